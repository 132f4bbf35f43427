from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from nas_fusion.analysis import bootstrap_scores
from nas_fusion.analysis.bootstrap import stratified_weights
from nas_fusion.record import Predictions
from tests.nas_fusion_tests.analysis_tests.builders import predictions


def one_class(mean: float, subjects: int) -> Predictions:
    """All of class 0, where drawing within classes is drawing freely."""
    both = predictions(mean, subjects=subjects)
    right = np.exp(-both.losses)
    return replace(both, labels=np.zeros(subjects, np.int64), probabilities=np.stack([right, 1 - right], axis=1))


def test_the_interval_of_the_loss_agrees_with_scipy() -> None:
    sample = one_class(0.6, 150)
    ours = bootstrap_scores(sample, resamples=9999)["loss"]
    theirs = stats.bootstrap(
        (sample.losses,), np.mean, n_resamples=9999, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert ours.value == pytest.approx(0.6)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_the_interval_of_the_auc_agrees_with_a_loop_over_scikit_learn() -> None:
    sample = predictions(0.6, subjects=60)
    scores = []
    for weights in stratified_weights(sample, 300, 7):
        index = np.repeat(np.arange(60), weights.astype(int))
        scores.append(metrics.roc_auc_score(sample.labels[index], sample.probabilities[index, 1]))
    found = bootstrap_scores(sample, resamples=300, confidence=0.8, seed=7)["auc"]
    assert found.value == pytest.approx(metrics.roc_auc_score(sample.labels, sample.probabilities[:, 1]))
    assert (found.low, found.high) == pytest.approx(np.quantile(scores, [0.1, 0.9]))


def test_class_sizes_are_kept_in_every_draw() -> None:
    weights = stratified_weights(predictions(0.5, subjects=30), 50, 0)
    assert weights.shape == (50, 30)
    assert (weights[:, ::2].sum(axis=1) == 15).all() and (weights[:, 1::2].sum(axis=1) == 15).all()


def test_a_subject_is_drawn_with_all_its_rows() -> None:
    single = predictions(0.5, subjects=30)
    index = np.tile(np.arange(30), 2)
    twice = Predictions(single.subjects * 2, np.repeat([0, 1], 30), single.labels[index], single.probabilities[index])
    weights = stratified_weights(twice, 20, 0)
    assert (weights[:, :30] == weights[:, 30:]).all()
    assert bootstrap_scores(twice)["loss"] == pytest.approx(bootstrap_scores(single)["loss"])


def test_the_seed_alone_decides_the_draws() -> None:
    sample = predictions(0.5)
    assert bootstrap_scores(sample) == bootstrap_scores(sample)
    assert bootstrap_scores(sample, seed=1)["loss"] != bootstrap_scores(sample)["loss"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resamples": 0}, "`resamples` must be at least 1, but got 0"),
        ({"confidence": 1.0}, r"`confidence` must be in \(0, 1\), but got 1.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_scores(predictions(0.5), **options)  # type: ignore[arg-type]


def test_no_subject_is_refused() -> None:
    nobody = Predictions((), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))
    with pytest.raises(ValueError, match="`predictions` must hold at least one subject, but got none"):
        bootstrap_scores(nobody)


# --- subjects in groups ---


def test_a_group_is_drawn_with_all_its_subjects_within_its_class() -> None:
    sample = predictions(0.5, subjects=24)  # classes alternate
    groups = {
        subject: f"{label}{i // 8}" for i, (subject, label) in enumerate(zip(sample.subjects, sample.labels, strict=True))
    }
    grouped = sample.grouped(groups)
    weights = stratified_weights(grouped, 200, 0)
    for group in set(groups.values()):
        rows = np.array([groups[subject] == group for subject in sample.subjects])
        assert (weights[:, rows] == weights[:, rows][:, :1]).all()
    assert (weights[:, sample.labels == 0].sum(axis=1) == 12).all()  # three groups of four of each class


def test_groups_of_several_classes_are_drawn_from_all() -> None:
    sample = predictions(0.5, subjects=24)
    grouped = sample.grouped({subject: f"p{i // 4}" for i, subject in enumerate(sample.subjects)})
    weights = stratified_weights(grouped, 500, 0)
    drawn = weights[:, ::4]  # the first of each of six groups
    assert (drawn.sum(axis=1) == 6).all() and np.allclose(drawn.mean(axis=0), 1, atol=0.15)
    wide, narrow = (bootstrap_scores(each)["loss"] for each in (copied_in_groups(sample), sample))
    assert wide.high - wide.low == pytest.approx(narrow.high - narrow.low, rel=0.1)


def copied_in_groups(sample: Predictions) -> Predictions:
    """Return five people alike for each subject, a group each: their interval is that of the subjects."""
    index = np.repeat(np.arange(len(sample.subjects)), 5)
    subjects = tuple(f"{sample.subjects[i]}-{copy}" for copy, i in enumerate(index))
    groups = tuple(sample.subjects[i] for i in index)
    return Predictions(subjects, sample.fold[index], sample.labels[index], sample.probabilities[index], groups=groups)
