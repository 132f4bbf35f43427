from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from nas_fusion.analysis.scores import SCORES, weighted_scores
from nas_fusion.record import Predictions


def drawn(seed: int, subjects: int, classes: int, *, coarse: bool = False) -> Predictions:
    """Predictions with every class; `coarse` ones are full of ties."""
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), generator.integers(classes, size=subjects - classes)])
    raw = generator.random((subjects, classes)) + 0.5 * np.eye(classes)[labels]
    raw = np.ceil(3 * raw) if coarse else raw
    return Predictions(
        tuple(f"s{i}" for i in range(subjects)), np.zeros(subjects, np.int64), labels, raw / raw.sum(axis=1, keepdims=True)
    )


def reference(p: Predictions, weight: np.ndarray) -> dict[str, float]:
    """The same scores by scikit-learn, class against rest."""
    classes = p.probabilities.shape[1]
    guesses = p.probabilities.argmax(axis=1)
    positives = [1] if classes == 2 else range(classes)
    scores = {
        "loss": metrics.log_loss(p.labels, p.probabilities, sample_weight=weight, labels=list(range(classes))),
        "accuracy": metrics.accuracy_score(p.labels, guesses, sample_weight=weight),
    }
    of_class = [
        (
            metrics.f1_score(p.labels == k, guesses == k, sample_weight=weight),
            metrics.recall_score(p.labels == k, guesses == k, sample_weight=weight),
            metrics.recall_score(p.labels != k, guesses != k, sample_weight=weight),
            metrics.roc_auc_score(p.labels == k, p.probabilities[:, k], sample_weight=weight),
        )
        for k in positives
    ]
    return scores | dict(zip(SCORES[2:], np.mean(of_class, axis=0).tolist(), strict=True))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), subjects=st.integers(8, 40), classes=st.integers(2, 4), coarse=st.booleans())
def test_scores_agree_with_scikit_learn_under_any_weights(seed: int, subjects: int, classes: int, coarse: bool) -> None:
    predictions = drawn(seed, subjects, classes, coarse=coarse)
    weights = np.random.default_rng(seed + 1).integers(1, 4, size=(3, subjects)).astype(float)
    found = weighted_scores(predictions, weights)
    for row, weight in enumerate(weights):
        for name, value in reference(predictions, weight).items():
            assert found[name][row] == pytest.approx(value, abs=1e-9), name


def test_a_weight_of_two_is_the_subject_twice() -> None:
    predictions = drawn(3, 12, 2)
    weights = np.ones((1, 12))
    weights[0, 5] = 2
    index = [*range(12), 5]
    twice = Predictions(
        tuple(f"s{i}" for i in range(13)), np.zeros(13, np.int64), predictions.labels[index], predictions.probabilities[index]
    )
    once, doubled = weighted_scores(predictions, weights), weighted_scores(twice, np.ones((1, 13)))
    assert {name: once[name][0] for name in SCORES} == pytest.approx({name: doubled[name][0] for name in SCORES})


def test_what_is_undefined_is_not_a_number() -> None:
    one_class = Predictions(("a", "b"), np.zeros(2, np.int64), np.array([1, 1]), np.array([[0.2, 0.8], [0.6, 0.4]]))
    found = weighted_scores(one_class, np.ones((1, 2)))
    assert np.isnan(found["auc"][0]) and np.isnan(found["specificity"][0])
    assert found["sensitivity"][0] == 0.5 and found["accuracy"][0] == 0.5
