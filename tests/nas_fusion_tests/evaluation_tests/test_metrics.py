from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score

from nas_fusion.evaluation.metrics import METRICS, metrics


def drawn(classes: int, seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), generator.integers(0, classes, n - classes)])
    scores = np.round(generator.random((n, classes)), 1) + 0.05  # rounded: with ties
    return labels, scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_binary_metrics_are_those_of_scikit_learn(seed: int) -> None:
    labels, probabilities = drawn(2, seed)
    predicted = probabilities.argmax(axis=1)
    expected = {
        "accuracy": accuracy_score(labels, predicted),
        "f1": f1_score(labels, predicted),
        "sensitivity": recall_score(labels, predicted),
        "specificity": recall_score(labels, predicted, pos_label=0),
        "auc": roc_auc_score(labels, probabilities[:, 1]),
    }
    assert metrics(labels, probabilities) == pytest.approx(expected)


@pytest.mark.parametrize("classes", [3, 5])
def test_metrics_of_more_classes_are_macro_averages(classes: int) -> None:
    labels, probabilities = drawn(classes, seed=classes)
    predicted = probabilities.argmax(axis=1)
    expected = {
        "accuracy": accuracy_score(labels, predicted),
        "f1": f1_score(labels, predicted, average="macro"),
        "sensitivity": recall_score(labels, predicted, average="macro"),
        "specificity": np.mean([recall_score(labels != k, predicted != k) for k in range(classes)]),
        "auc": roc_auc_score(labels, probabilities, average="macro", multi_class="ovr"),
    }
    assert metrics(labels, probabilities) == pytest.approx(expected)


def test_a_fold_of_one_class_leaves_undefined_what_is_undefined() -> None:
    found = metrics(np.zeros(3, np.int64), np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]))
    assert (found["accuracy"], found["specificity"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert math.isnan(found["auc"]) and math.isnan(found["sensitivity"])
    assert found["f1"] == 0


def test_a_class_that_does_not_occur_is_left_out_of_the_mean() -> None:
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1]])
    found = metrics(labels, probabilities)
    assert found["sensitivity"] == pytest.approx((1 + 0.5) / 2)
    assert found["auc"] == pytest.approx(1)
    assert set(found) == set(METRICS)


def test_equal_scores_count_half() -> None:
    assert metrics(np.array([0, 1, 1]), np.full((3, 2), 0.5))["auc"] == 0.5
