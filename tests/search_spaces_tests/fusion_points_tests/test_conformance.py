from __future__ import annotations

from functools import partial

import pytest

from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.testing import InheritingSpaceTestCase, SupernetSpaceTestCase, TrainableSpaceTestCase
from nas_fusion.testing.pytest_spaces import SpaceFactory
from search_spaces.fusion_points import FusionPointSpace

CLASSES = ("control", "patient")


def images(*shapes: tuple[int, ...]) -> Inputs:
    return Inputs(tuple(Modality(f"M{i}", "image", shape) for i, shape in enumerate(shapes)), CLASSES)


COHORTS = {
    "three volumes of different shapes": images((1, 12, 12, 12), (2, 12, 10, 8), (1, 9, 9, 9)),
    "four signals": images((3, 20), (1, 20), (2, 33), (1, 20)),
    "two planes, three classes": Inputs(images((1, 16, 16), (3, 16, 12)).modalities, ("a", "b", "c")),
    "tables": Inputs((Modality("clinical", "vector", (7,)), Modality("blood", "vector", (30,))), CLASSES),
    "matrices": Inputs((Modality("SC", "matrix", (20, 20)), Modality("FC", "matrix", (20, 20))), CLASSES),
    "volume and table": Inputs((Modality("T1w", "image", (1, 10, 10, 10)), Modality("age", "vector", (2,))), CLASSES),
}


@pytest.mark.parametrize("cohort", COHORTS)
class TestEveryKindOfCohort(InheritingSpaceTestCase, SupernetSpaceTestCase):
    @pytest.fixture
    def space(self, cohort: str) -> SpaceFactory:
        return partial(FusionPointSpace, modules=("mmtm", "concat_conv"), points=("layer2",), width=1 / 16)

    @pytest.fixture
    def inputs(self, cohort: str) -> Inputs:
        return COHORTS[cohort]


COMPLETED = {
    "who meets": (
        partial(FusionPointSpace, "layer2", ["film"], meet="pairs", modalities=("a", "b", "c")),
        Inputs(tuple(Modality(name, "vector", (5,)) for name in ("a", "b", "c")), CLASSES),
    ),
    "other depths, some of the modalities": (
        partial(
            FusionPointSpace,
            {"early": {"m": "layer1", "t": "layer3"}, "late": {"m": "layer2", "t": "layer4"}},
            ["channel_exchange"],
            backbones={"m": "graph"},
            backbone="resnet10",
            width=1 / 16,
            hidden=8,
        ),
        Inputs((Modality("v", "image", (1, 10, 10)), Modality("t", "vector", (5,)), Modality("m", "matrix", (8, 8))), CLASSES),
    ),
}


@pytest.mark.parametrize("case", COMPLETED)
class TestWhoMeetsWhere(InheritingSpaceTestCase, SupernetSpaceTestCase):
    @pytest.fixture
    def space(self, case: str) -> SpaceFactory:
        return COMPLETED[case][0]

    @pytest.fixture
    def inputs(self, case: str) -> Inputs:
        return COMPLETED[case][1]


class TestSmallPreset(InheritingSpaceTestCase, SupernetSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return FusionPointSpace


class TestSoftmaxGate(InheritingSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(FusionPointSpace, gate="softmax", ratio=2, width=1 / 16)


class TestPaperPresetMadeNarrow(InheritingSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(FusionPointSpace, preset="paper", width=1 / 32, flips=(0,), epochs=2)


class TestAsPublished(TrainableSpaceTestCase):
    """Exempt from the identity at activation."""

    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(FusionPointSpace, modules="mmtm_as_published")
