from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.importance import BaseImportanceEvaluator
from optuna.testing.pytest_importance import (
    BasicImportanceEvaluatorTestCase,
    ConditionalImportanceEvaluatorTestCase,
    MultiObjectiveImportanceEvaluatorTestCase,
    NonConditionalImportanceEvaluatorTestCase,
)

from nas_fusion.analysis.importance import ShapleyImportanceEvaluator


class TestShapleyImportanceEvaluator(
    BasicImportanceEvaluatorTestCase, NonConditionalImportanceEvaluatorTestCase, MultiObjectiveImportanceEvaluatorTestCase
):
    @pytest.fixture
    def evaluator(self) -> Callable[..., BaseImportanceEvaluator]:
        return ShapleyImportanceEvaluator


class TestConditionalShapleyImportanceEvaluator(
    BasicImportanceEvaluatorTestCase, ConditionalImportanceEvaluatorTestCase, MultiObjectiveImportanceEvaluatorTestCase
):
    @pytest.fixture
    def evaluator(self) -> Callable[..., BaseImportanceEvaluator]:
        return lambda: ShapleyImportanceEvaluator(conditional=True)
