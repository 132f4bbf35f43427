"""Subjects who lack modalities: who trains what, who is predicted by what, and never a number that is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nas_fusion import Cohort, EvaluationWorker, load_cohort, load_space
from nas_fusion.evaluation.averaging import averaged, mean_of_speakers
from nas_fusion.record import Predictions
from tests.nas_fusion_tests.evaluation_tests.tiny import tiny_cohort

PLAN = {"epochs": 2, "batch_size": 8}


def lacking(cohort: Cohort, share: float = 0.3) -> Cohort:
    """Return a cohort in which a share of the subjects lacks each modality: NaN stands where nothing is."""
    generator = torch.Generator().manual_seed(3)
    present = torch.rand(len(cohort), 2, generator=generator) >= share
    present[:, 1] |= ~present.any(1)
    values = {
        name: torch.where(present[:, i : i + 1], tensor, torch.nan)
        for i, (name, tensor) in enumerate(cohort.modalities.items())
    }
    return replace(cohort, modalities=values, present=present, fingerprint="lacking")


def worker_of(cohort: Cohort, **options: object) -> EvaluationWorker:
    return EvaluationWorker(load_space("fusion-points", **{**PLAN, **options}), cohort, device="cpu")


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return lacking(tiny_cohort())


@pytest.fixture(scope="module")
def worker(cohort: Cohort) -> EvaluationWorker:
    return worker_of(cohort)


def subjects_with(cohort: Cohort, modality: int, among: tuple[str, ...]) -> list[str]:
    return [s for s in among if bool(cohort.present[cohort.subjects.index(s), modality])]


@pytest.mark.parametrize("modality", [0, 1])
def test_a_modality_alone_is_trained_and_judged_on_those_who_have_it(
    modality: int, cohort: Cohort, worker: EvaluationWorker
) -> None:
    assert cohort.splits is not None
    (fold,) = cohort.splits.folds
    evaluation = worker.evaluate_reference(f"alone:{'ab'[modality]}")
    predictions = worker.store.predictions(evaluation.key)
    assert list(predictions.subjects) == subjects_with(cohort, modality, fold.validation)
    assert evaluation.value == pytest.approx(predictions.losses.mean())
    assert evaluation.cost["samples"] == 2 * len(subjects_with(cohort, modality, fold.train))
    tested = worker.predict([evaluation.key], cohort.subset(cohort.splits.test))
    assert list(tested.subjects) == subjects_with(cohort, modality, cohort.splits.test)
    assert np.isfinite(tested.probabilities).all()


def test_what_others_have_does_not_change_a_modality_alone(cohort: Cohort, worker: EvaluationWorker) -> None:
    """The same as on a cohort of those who have it alone: the rest is not there."""
    assert cohort.splits is not None
    (fold,) = cohort.splits.folds
    kept = [s for s in cohort.subjects if s in set(subjects_with(cohort, 0, cohort.subjects))]
    parts = replace(
        fold,
        train=tuple(s for s in fold.train if s in kept),
        validation=tuple(s for s in fold.validation if s in kept),
    )
    splits = replace(cohort.splits, folds=(parts,), test=tuple(s for s in cohort.splits.test if s in kept))
    alone = worker_of(replace(cohort.subset(kept), splits=splits))
    found, expected = (each.evaluate_reference("alone:a") for each in (worker, alone))
    assert found.curves == expected.curves


def test_late_fusion_averages_those_who_say_something(cohort: Cohort, worker: EvaluationWorker) -> None:
    assert cohort.splits is not None
    late = worker.store.predictions(worker.evaluate_reference("late_fusion").key)
    alone = [worker.store.predictions(worker.evaluate_reference(f"alone:{name}").key) for name in "ab"]
    said = [dict(zip(each.subjects, each.probabilities, strict=True)) for each in alone]
    assert set(late.subjects) == set(cohort.splits.folds[0].validation)
    for subject, probabilities, label in zip(late.subjects, late.probabilities, late.labels, strict=True):
        expected = np.mean([each[subject] for each in said if subject in each], axis=0)
        assert np.array_equal(probabilities, expected)
        assert label == int(cohort.labels[cohort.subjects.index(subject)])
    test = cohort.subset(cohort.splits.test)
    tested = worker.predict([worker.reference_key("late_fusion")], test)
    by_members = worker.predict(worker.members("late_fusion"), test)
    assert tested.subjects == by_members.subjects == test.subjects
    assert np.allclose(tested.probabilities, by_members.probabilities)


def test_every_configuration_and_reference_is_finite(cohort: Cohort, worker: EvaluationWorker) -> None:
    space = worker.space
    for name in space.references(cohort.inputs):
        assert np.isfinite(worker.evaluate_reference(name).value)
    everywhere = worker.evaluate(space.complete(dict.fromkeys(space.parameters, "mmtm")), lineage=(space.baseline,))
    assert np.isfinite(everywhere.curves).all()
    assert all(bool(x.isfinite().all()) for x in worker.store.weights(everywhere.key).values())


def test_batch_norm_survives_a_modality_that_nobody_has_in_training(cohort: Cohort) -> None:
    assert cohort.splits is not None
    present = cohort.present.clone()
    present[cohort.positions(cohort.splits.folds[0].train), 0] = False
    present[:, 1] |= ~present.any(1)
    nobody = replace(cohort, present=present, modalities={n: x.nan_to_num() for n, x in cohort.modalities.items()})
    worker = worker_of(nobody)
    space = worker.space
    evaluation = worker.evaluate(space.complete(dict.fromkeys(space.parameters, "mmtm")))
    assert np.isfinite(evaluation.curves).all()
    assert all(bool(x.isfinite().all()) for x in worker.store.weights(evaluation.key).values())
    message = r"`splits` must give fold 0 two subjects to train and one to validate who have a, but got 0 and \d+"
    with pytest.raises(ValueError, match=message):
        worker.evaluate_reference("alone:a")


def test_modality_dropout_is_repeatable_changes_training_and_leaves_single_modalities_alone() -> None:
    whole = tiny_cohort()
    plain, first, second = worker_of(whole), worker_of(whole, modality_dropout=0.4), worker_of(whole, modality_dropout=0.4)
    baseline = plain.space.baseline
    curves = [each.evaluate(baseline).curves for each in (plain, first, second)]
    assert curves[1] == curves[2] != curves[0]
    assert np.isfinite(curves).all()
    assert first.key(baseline) != plain.key(baseline)
    alone = [each.evaluate_reference("alone:a").curves for each in (plain, first)]
    assert alone[0] == alone[1]


def test_keys_tell_who_is_left_out_and_stay_what_they_were_where_nobody_is(cohort: Cohort) -> None:
    whole = replace(tiny_cohort(), fingerprint="lacking")  # the fingerprint alone does not tell them apart
    complete, some = worker_of(whole), worker_of(cohort)
    assert complete.key(complete.space.baseline) == some.key(some.space.baseline)
    assert complete.reference_key("alone:a") != some.reference_key("alone:a")
    assert complete.reference_key("late_fusion") != some.reference_key("late_fusion")


def test_averages_are_of_rows_that_exist() -> None:
    def of(subjects: tuple[str, ...], fold: list[int], chance: list[float]) -> Predictions:
        p = np.array(chance)
        labels = np.array([int(s[1]) % 2 for s in subjects])
        return Predictions(subjects, np.array(fold), labels, np.stack([1 - p, p], axis=1))

    a, b = of(("s0", "s1", "s3"), [0, 0, 1], [0.2, 0.4, 0.8]), of(("s1", "s2", "s3"), [0, 1, 1], [0.6, 0.5, 0.4])
    found = averaged([a, b])
    assert found.subjects == ("s0", "s1", "s3", "s2") and found.fold.tolist() == [0, 0, 1, 1]
    assert found.labels.tolist() == [0, 1, 1, 0] and found.seed is None
    assert found.probabilities[:, 1].tolist() == pytest.approx([0.2, 0.5, 0.6, 0.5])
    nan = torch.tensor([[torch.nan, torch.nan], [0.5, 0.5]])
    assert mean_of_speakers([nan, torch.tensor([[0.2, 0.8], [0.1, 0.9]])]).tolist() == [
        pytest.approx([0.2, 0.8]),
        pytest.approx([0.3, 0.7]),
    ]


def test_a_space_whose_models_need_every_modality_says_so_before_it_trains() -> None:
    space = load_space("expert-routing")
    cohort = load_cohort("simulated-connectomes", train=6, validation=4, test=2)
    present = torch.ones(len(cohort), 2, dtype=torch.bool)
    present[3, 1] = False
    with pytest.raises(
        ValueError, match=r"`cohort` must have every modality of each subject for expert-routing, but some lack FC\."
    ):
        EvaluationWorker(space, replace(cohort, present=present), device="cpu")
    worker = EvaluationWorker(space, cohort, plan={"modality_dropout": 0.2}, device="cpu")
    with pytest.raises(ValueError, match=r"`modality_dropout` must be 0 for expert-routing, .*, but got 0\.2"):
        worker.evaluate(space.baseline)
