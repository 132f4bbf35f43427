"""Optuna's own suites, unchanged, on our samplers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase

from nas_fusion.samplers import BackwardSampler, BeamSampler, ExhaustiveSampler, FloatingSampler, SFSASampler
from tests.nas_fusion_tests.samplers_tests.landscapes import choices

MAKERS: dict[str, Callable[[], BaseSampler]] = {
    "sfsa": lambda: SFSASampler(choices(3), seed=0),
    "beam": lambda: BeamSampler(choices(3), width=2, seed=0),
    "beam with options": lambda: BeamSampler(
        choices(5, ("mmtm", "concat_conv")),
        inherit="parent",
        forced={"layer5": "mmtm"},
        groups=[["layer1", "layer2"]],
        accept="one_se",
        control=True,
        seed=0,
    ),
    "beam that starts elsewhere": lambda: BeamSampler(choices(3), start={"layer2": "mmtm"}, accept="paired", seed=0),
    "backward": lambda: BackwardSampler(choices(3), seed=0),
    "floating forward": lambda: FloatingSampler(choices(3), seed=0),
    "floating backward": lambda: FloatingSampler(choices(3), direction="backward", seed=0),
    "exhaustive": lambda: ExhaustiveSampler(choices(3), seed=0),
    "exhaustive with options": lambda: ExhaustiveSampler(
        choices(4), forced={"layer1": "mmtm"}, groups=[["layer2", "layer3"]], seed=0
    ),
}


@pytest.mark.parametrize("name", MAKERS)
class TestSamplers(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """All that Optuna asks of samplers of a single objective."""

    @pytest.fixture
    def sampler(self, name: str) -> Callable[[], BaseSampler]:
        return MAKERS[name]
