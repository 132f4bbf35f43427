"""Optuna's own suites, unchanged, on our samplers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase

from nas_fusion.samplers import BackwardSampler, BeamSampler, ExhaustiveSampler, SFSASampler
from tests.nas_fusion_tests.samplers_tests.landscapes import choices


class _Suites(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """All that Optuna asks of samplers of a single objective."""


class TestSFSASampler(_Suites):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: SFSASampler(choices(3), seed=0)


class TestBeamSampler(_Suites):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: BeamSampler(choices(3), width=2, seed=0)


class TestBackwardSampler(_Suites):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: BackwardSampler(choices(3), seed=0)


class TestExhaustiveSampler(_Suites):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: ExhaustiveSampler(choices(3), seed=0)
