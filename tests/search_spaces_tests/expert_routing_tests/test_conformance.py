from __future__ import annotations

from functools import partial

import pytest

from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.testing import SearchSpaceTestCase, TrainableSpaceTestCase
from nas_fusion.testing.pytest_spaces import SpaceFactory
from search_spaces.expert_routing import ExpertRoutingSpace

NARROW = {"hidden": 6, "projection": 6, "encoder_layers": 1}


def connectomes(*names: str, regions: int = 6, classes: int = 2) -> Inputs:
    return Inputs(tuple(Modality(name, "matrix", (regions, regions)) for name in names), tuple("abc"[:classes]))


class TestTwoConnectomes(TrainableSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(ExpertRoutingSpace, **NARROW)

    @pytest.fixture
    def inputs(self) -> Inputs:
        return connectomes("SC", "FC")


class TestThreeConnectomesAsPublishedMadeNarrow(TrainableSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(ExpertRoutingSpace, modalities=("SC", "FC", "MS"), preset="as_published", epochs=2, **NARROW)

    @pytest.fixture
    def inputs(self) -> Inputs:
        return connectomes("SC", "FC", "MS", classes=3)


class TestAsReleased(TrainableSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(ExpertRoutingSpace, preset="as_released", **NARROW)

    @pytest.fixture
    def inputs(self) -> Inputs:
        return connectomes("SC", "FC")


class TestTransformersWithABalancedRouter(TrainableSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(ExpertRoutingSpace, gating="balanced", router="shared", encoder="graph_transformer", **NARROW)

    @pytest.fixture
    def inputs(self) -> Inputs:
        return connectomes("SC", "FC")


class TestFullScope(SearchSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(ExpertRoutingSpace, "full")


class TestFullScopeOfThreeConnectomesAsReleased(SearchSpaceTestCase):
    @pytest.fixture
    def space(self) -> SpaceFactory:
        return partial(ExpertRoutingSpace, "full", ("SC", "FC", "MS"), "as_released", gating="balanced")
