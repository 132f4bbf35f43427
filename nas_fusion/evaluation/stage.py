"""Stages: what a search space asks the worker to train. The worker knows stages, not methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from nas_fusion.cohorts import Batch
from nas_fusion.space import Configuration

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class TrainingPlan:
    """How long and with what a stage is trained: data, no code, so that it takes part in an evaluation's key.

    Attributes:
        epochs: Passes over the training subjects, at least 1.
        inherited_epochs: Passes where weights are inherited, `None` for the same as `epochs`.
        batch_size: Subjects a step.
        learning_rate: Peak learning rate, at least 0.
        weight_decay: At least 0; decoupled for `adamw`.
        optimiser: `adamw`, `adam` or `sgd`.
        schedule: `one_cycle` (20 % warm-up), `cosine`, `step` (0.8 every 50 epochs) or `constant`.
        patience: Epochs without a better validation loss after which training ends, `None` for never.
        flips: Spatial axes (0 = first) that are flipped at random, the same way in all modalities of a subject.

    Raises:
        ValueError: If a field is out of its range.
    """

    epochs: int = 10
    inherited_epochs: int | None = None
    batch_size: int = 16
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    optimiser: str = "adamw"
    schedule: str = "one_cycle"
    patience: int | None = None
    flips: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("inherited_epochs", 1), ("patience", 1)):
            value = getattr(self, name)
            if type(value) is not int and not (value is None and name in ("inherited_epochs", "patience")):
                raise ValueError(f"`{name}` must be a whole number, but got {value!r}.")
            if value is not None and value < least:
                raise ValueError(f"`{name}` must be at least {least}, but got {value}.")
        for name, number in (("learning_rate", self.learning_rate), ("weight_decay", self.weight_decay)):
            if type(number) not in (int, float) or not math.isfinite(number) or number < 0:
                raise ValueError(f"`{name}` must be a finite number of at least 0, but got {number!r}.")
        if not isinstance(self.flips, tuple) or not all(type(axis) is int for axis in self.flips):
            raise ValueError(f"`flips` must be a tuple of axes, but got {self.flips!r}.")
        for name, allowed in (
            ("optimiser", ("adamw", "adam", "sgd")),
            ("schedule", ("one_cycle", "cosine", "step", "constant")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"`{name}` must be one of {', '.join(allowed)}, but got {getattr(self, name)!r}.")


def cross_entropy(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the mean cross-entropy, in nats, of a model's logits for a batch."""
    return nn.functional.cross_entropy(model(batch.inputs, batch.present).float(), batch.labels)


@dataclass(frozen=True)
class Stage:
    """One training phase.

    Attributes:
        name: Unique among the stages of a configuration.
        plan: How it is trained.
        model: Builds the freshly initialised model from torch's global generator. `model(inputs, present)` returns logits.
        loss: `(model, batch)` to the scalar that is minimised. Selection is always by the task's validation cross-entropy.
        trains: Whether the parameter of a name is trained; `None` for all. What is frozen is asserted not to change.
        start: From the states of the earlier stages (name to state dict) to the tensors this stage starts from, by name;
            `None` to start fresh or from the inherited weights.
        depends_on: The part of the configuration that matters here: configurations that agree in it share the stage's result.
    """

    name: str
    plan: TrainingPlan
    model: Callable[[], nn.Module]
    depends_on: Configuration
    loss: Callable[[nn.Module, Batch], torch.Tensor] = cross_entropy
    trains: Callable[[str], bool] | None = None
    start: Callable[[Mapping[str, State]], State] | None = None


@dataclass(frozen=True)
class Reference:
    """A model that configurations are compared with but that is none itself.

    It is either trained (`stages`) or the mean of the probabilities of its `members`.

    Attributes:
        title: A few words for tables, such as `T1w alone`.
        stages: Training stages, empty for an ensemble.
        members: Names of other references, or configurations, whose probabilities are averaged.
        ours: Whether it is an addition of ours rather than an arm of the paper; tables say so.
    """

    title: str
    stages: tuple[Stage, ...] = ()
    members: tuple[str | Configuration, ...] = ()
    ours: bool = field(default=False, kw_only=True)
