"""Wrong backbones that the suite must catch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from nas_fusion.cohorts import Modality
from nas_fusion.fusion import Backbone, Stream
from nas_fusion.fusion.backbone import Described
from nas_fusion.testing import BackboneTestCase

TABLE = Modality("clinical", "vector", (5,))


class Layers(Backbone):
    """Two linear layers, and one fault."""

    kinds = ("vector",)
    points = ("first", "second")

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def build(self, modality: Described, classes: int, points: Sequence[str]) -> Stream:
        if self.fault != "unchecked":
            self.check(modality, points)
        if self.fault == "draws":
            torch.rand(1, device="cpu")
        stages: dict[str, nn.Module] = {"first": nn.Linear(5, 4), "second": nn.Linear(4, 4)}
        if self.fault == "mixes":
            stages["second"] = Mixes()
        stream = Stream(stages, nn.Linear(4, classes), [("first", 4, 1), ("second", 3 if self.fault == "lies" else 4, 1)])
        if self.fault == "idle":
            stream.idle = nn.Linear(2, 2)
        return stream


class Mixes(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + features.mean(0)


class TestRightBackbone(BackboneTestCase):
    @pytest.fixture
    def backbone(self) -> Backbone:
        return Layers()

    @pytest.fixture
    def modality(self) -> Modality:
        return TABLE


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("draws", "test_points_are_known_before_there_are_data"),
        ("lies", "test_a_pass_in_steps_is_the_whole_and_taps_tell_the_truth"),
        ("idle", "test_every_parameter_is_trained"),
        ("mixes", "test_subjects_stay_apart_and_weights_are_loaded"),
        ("unchecked", "test_what_it_cannot_take_raises"),
    ],
)
def test_wrong_backbones_are_caught(fault: str, test: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(BackboneTestCase(), test)(Layers(fault), TABLE)
