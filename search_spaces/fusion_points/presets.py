"""Named presets: options of backbones and a training plan that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas_fusion import TrainingPlan

_RESNETS = ("resnet10", "resnet18", "resnet34", "resnet50")


@dataclass(frozen=True)
class Preset:
    """Defaults of a search space.

    Attributes:
        backbones: Name of a backbone to its options; a backbone that is not named has its own defaults.
        plan: How the streams are trained. Its flips are used where every modality is an image of at least two spatial axes.
        backbone: Name of the backbone of images and matrices.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    plan: TrainingPlan
    backbone: str = "resnet18"


PRESETS = {
    # Measured on the embedded cohort: 10 s a training on one core. With a smaller learning rate some trainings never leave the
    # plateau within 10 epochs.
    "small": Preset(
        {
            **{name: {"width": 1 / 8, "stem_kernel": 3, "stem_stride": 2, "max_pool": True} for name in _RESNETS},
            "perceptron": {"hidden": 32},
        },
        TrainingPlan(
            epochs=10,
            batch_size=16,
            learning_rate=5e-3,
            weight_decay=1e-3,
            optimiser="adamw",
            schedule="one_cycle",
            flips=(0, 1),
        ),
    ),
    # The network of arXiv 2505.02467 (one 3D ResNet-18 a modality). Its training plan is not published: this one is ours, for
    # real cohorts of a few hundred subjects. The only flip is that of the first axis, left-right in RAS orientation.
    "paper": Preset(
        {
            **{name: {"width": 1.0, "stem_kernel": 7, "stem_stride": 1, "max_pool": True} for name in _RESNETS},
            "perceptron": {"hidden": 64},
        },
        TrainingPlan(
            epochs=60,
            batch_size=8,
            learning_rate=3e-4,
            weight_decay=1e-2,
            optimiser="adamw",
            schedule="cosine",
            patience=15,
            flips=(0,),
        ),
    ),
}
