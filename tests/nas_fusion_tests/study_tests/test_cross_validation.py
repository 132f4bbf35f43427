"""Cross-validation of models whose held-out scores are known; leaks, resumption, stages that are shared, failures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from nas_fusion import EvaluationWorker
from nas_fusion.analysis.cross_validation import CrossValidation, FoldScore, cross_validation_table, expert_entropy
from nas_fusion.cohorts import Cohort, Fold, Splits
from nas_fusion.evaluation import Store
from nas_fusion.study.cross_arms import Wanted, arms_of
from nas_fusion.study.cross_folds import CrossPlan, OuterFold, outer_folds
from nas_fusion.study.cross_scores import score_fold
from nas_fusion.study.cross_validation import cross_validate
from nas_fusion.study.final_test import test_key as key_of_test
from nas_fusion.study.laboratory import Laboratory
from nas_fusion.study.progress import EvaluationDone, EvaluationFailed, Event, FoldScored, PhaseStarted, WorkFailed
from nas_fusion.study.spec import StudySpec
from tests.nas_fusion_tests.study_tests.cross_toys import BrokenSpace, ToySpace, hint_cohort

COHORT = hint_cohort(60, wrong=12)
MEMORY = {"model": "memory"}


class Listener:
    """Keeps what it is told; may interrupt after some evaluations."""

    def __init__(self, most: float = math.inf) -> None:
        self.events: list[Event] = []
        self.most = most

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if len(self.trained) >= self.most:
            raise KeyboardInterrupt

    @property
    def trained(self) -> list[str]:
        return [event.label for event in self.events if isinstance(event, EvaluationDone) and event.trained]


@pytest.fixture(scope="module")
def result() -> CrossValidation:
    """The model that believes hints, and the one that remembers, by twice five folds."""
    return cross_validate(ToySpace(), COHORT, ["baseline", "model=memory", "hinted"], folds=5, repeats=2)


def test_the_planted_accuracy_is_found_exactly(result: CrossValidation) -> None:
    """12 of 60 hints are wrong, each subject is held out once a repeat, and the folds are equally large."""
    table = cross_validation_table(result)
    for arm in ("A_0", "hinted"):
        assert table.loc[(arm, "accuracy")]["mean"] == pytest.approx(0.8)
        assert table.loc[(arm, "loss")]["mean"] == pytest.approx(0.8 * math.log1p(math.exp(-4)) + 0.2 * math.log1p(math.exp(4)))
    assert [table.loc[("hinted", "loss")][name] for name in ("difference", "p")] == [0.0, 1.0]


def test_who_remembers_all_but_the_held_out_scores_chance(result: CrossValidation) -> None:
    """Labels of training and validation subjects are remembered; any of the held-out among them would show."""
    scores = [score for score in result.scores if score.arm == "model=memory"]
    assert len(scores) == 10
    for score in scores:
        assert score.scores["accuracy"] == score.scores["auc"] == 0.5  # six of each class; no opinion counts for the first
        assert score.scores["loss"] == pytest.approx(math.log(2)) and score.scores["sensitivity"] == 0.0
        assert score.validation_loss < 1e-3


def scored(cohort: Cohort, outer: OuterFold, arm: Wanted, store: Store) -> FoldScore:
    """One arm of a toy space on one fold, scored by what a worker process runs."""
    space = ToySpace(len(cohort))
    spec = StudySpec(space="toys", source="hints", fingerprint=cohort.fingerprint, split="", inherit="none")
    laboratory, told = Laboratory(spec, space, cohort), list[Event]()
    laboratory.__dict__["store"] = store
    score_fold(outer, arms_of(space, cohort.inputs, [arm]), laboratory, told.append, worker=0)
    (score,) = [event.score for event in told if isinstance(event, FoldScored)]
    return score


def test_a_leak_would_show() -> None:
    """The same model on subjects that it was trained or selected on: what the test above would see if parts overlapped."""
    store, outer = Store(), outer_folds(COHORT, CrossPlan(5))[0]
    score = scored(COHORT, outer, MEMORY, store)
    worker = EvaluationWorker(ToySpace(), replace(COHORT, splits=outer.splits), store=store, seed=outer.seed)
    (fold,) = outer.splits.folds
    for part, accuracy in ((fold.train, 1.0), (fold.validation, 1.0), (outer.splits.test, 0.5)):
        said = worker.predict([score.key], COHORT.subset(part))
        assert float((said.probabilities.argmax(axis=1) == said.labels).mean()) == accuracy


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_fold_whose_parts_overlap_cannot_be_made(part: str) -> None:
    subjects = COHORT.subjects
    parts = {"train": subjects[:30], "validation": subjects[30:40]}
    with pytest.raises(ValueError, match="a fold and `test` must be disjoint"):
        OuterFold(0, 0, Splits((Fold(**parts),), (*subjects[40:], parts[part][0])), 0)


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c")])
def test_scores_against_scikit_learn(classes: tuple[str, ...]) -> None:
    """Recomputed from the probabilities that were kept; with three classes each in turn is the positive one."""
    store, cohort = Store(), hint_cohort(63, wrong=20, classes=classes)
    outer = outer_folds(cohort, CrossPlan(3))[1]
    score = scored(cohort, outer, "baseline", store)
    said = store.predictions(key_of_test([score.key], replace(cohort, splits=outer.splits)))
    guessed, labels, several = said.probabilities.argmax(axis=1), said.labels, len(classes) > 2
    average = {"average": "macro" if several else "binary"}
    passes = [metrics.recall_score(labels != k, guessed != k) for k in (range(3) if several else [1])]
    probabilities = said.probabilities if several else said.probabilities[:, 1]
    assert said.subjects == outer.splits.test
    assert score.scores == pytest.approx(
        {
            "loss": metrics.log_loss(labels, said.probabilities),
            "accuracy": metrics.accuracy_score(labels, guessed),
            "sensitivity": metrics.recall_score(labels, guessed, **average),
            "specificity": np.mean(passes),
            "f1": metrics.f1_score(labels, guessed, **average),
            "auc": metrics.roc_auc_score(labels, probabilities, multi_class="ovr"),
        }
    )


def test_a_killed_run_resumes_and_nothing_is_trained_twice(tmp_path: Path) -> None:
    arms, folds = ["baseline", "model=memory", "both"], 4
    killed, again, third = Listener(most=5), Listener(), Listener()
    with pytest.raises(KeyboardInterrupt):
        cross_validate(ToySpace(), COHORT, arms, folds=folds, artifacts=tmp_path, listener=killed)
    resumed = cross_validate(ToySpace(), COHORT, arms, folds=folds, artifacts=tmp_path, listener=again)
    assert len(killed.trained) == 5 and not set(killed.trained) & set(again.trained)
    assert len(killed.trained + again.trained) == len(arms) * folds
    once = cross_validate(ToySpace(), COHORT, arms, folds=folds)
    assert [score.scores for score in resumed.scores] == [score.scores for score in once.scores]
    assert cross_validate(ToySpace(), COHORT, arms, folds=folds, artifacts=tmp_path, listener=third) == resumed
    assert third.trained == []


def test_more_repeats_train_only_what_is_new(tmp_path: Path) -> None:
    first, more = Listener(), Listener()
    cross_validate(ToySpace(), COHORT, ["baseline"], folds=3, artifacts=tmp_path, listener=first)
    cross_validate(ToySpace(), COHORT, ["baseline"], folds=3, repeats=2, artifacts=tmp_path, listener=more)
    assert first.trained == [f"repeat 1, fold {k}: A_0" for k in (1, 2, 3)]
    assert more.trained == [f"repeat 2, fold {k}: A_0" for k in (1, 2, 3)]


def test_shared_stages_are_trained_once_a_fold() -> None:
    """Four configurations have the first stage in common; the reference has none of it."""
    space, arms = ToySpace(), ["baseline", "model=memory", "routed=yes", "model=memory,routed=yes", "hinted"]
    cross_validate(space, COHORT, arms, folds=3)
    assert space.built == ["first"] * 3


def test_expert_entropies_are_those_of_the_selected_epoch() -> None:
    result = cross_validate(ToySpace(), COHORT, ["baseline", "routed=yes"], folds=3)
    usage = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(4)
    assert expert_entropy(result, "routed=yes") == pytest.approx({"fused.0": usage})
    assert [score.gate_entropy for score in result.scores if score.arm == "routed=yes"] == 3 * [
        pytest.approx({"fused.0": 0.5 / math.log(4)})
    ]
    assert {score.largest_share["fused.0"] for score in result.scores if score.arm == "routed=yes"} == {0.75}
    assert expert_entropy(result, "A_0") == {}


def test_an_ensemble_averages_probabilities_and_has_the_epochs_of_a_member() -> None:
    result = cross_validate(ToySpace(), COHORT, ["baseline", "both"], folds=3)
    for score in result.scores:
        assert score.epochs == 4  # two stages of two epochs
    both = [score for score in result.scores if score.arm == "both"]
    assert [score.scores["accuracy"] for score in both] == [s.scores["accuracy"] for s in result.scores if s.arm == "A_0"]
    assert all(0.2 < score.scores["loss"] < math.log(2) + 0.2 for score in both)


def test_an_arm_that_fails_does_not_stop_the_others() -> None:
    listener = Listener()
    result = cross_validate(BrokenSpace(), COHORT, ["model=memory", "baseline"], folds=3, listener=listener)
    assert [score.arm for score in result.scores] == ["A_0"] * 3
    assert result.failures[0] == "repeat 1, fold 1: model=memory: RuntimeError: no memory left"
    assert sum(isinstance(event, EvaluationFailed) for event in listener.events) == 3
    with pytest.raises(WorkFailed, match=r"No arm could be trained in any fold; the last: .*no memory left"):
        cross_validate(BrokenSpace(), COHORT, ["model=memory"], folds=3)


def test_what_listeners_are_told() -> None:
    listener = Listener()
    cross_validate(ToySpace(), COHORT, ["baseline"], folds=3, repeats=2, listener=listener)
    assert listener.events[0] == PhaseStarted("2 × 3 folds", 6)
    assert not any(isinstance(event, FoldScored) for event in listener.events)


def test_subjects_can_be_left_out_and_sites_stay_whole() -> None:
    """What `--development-only` does; the sizes are those of the scores."""
    cohort = hint_cohort(60, groups=True)
    result = cross_validate(ToySpace(), cohort.development(), ["baseline"], folds=3)
    assert result.cohort["subjects"] == 50 and sum(score.n_test for score in result.scores) == 50
    assert {score.n_train + score.n_validation + score.n_test for score in result.scores} == {50}
    assert result.cohort["groups"] == len({group for group in (cohort.development().groups or ())})


def test_several_workers_need_a_place_to_meet() -> None:
    with pytest.raises(ValueError, match="`artifacts` must be a folder or a URL where several workers meet"):
        cross_validate(ToySpace(), COHORT, workers=2)


def test_against_is_the_first_arm_by_default() -> None:
    assert cross_validate(ToySpace(), COHORT, ["hinted", "baseline"], folds=2).against == "hinted"
    assert cross_validate(ToySpace(), COHORT, ["hinted", "baseline"], folds=2, against="baseline").against == "A_0"
    with pytest.raises(ValueError, match="`against` must be one of the arms hinted, A_0, but got 'memory'"):
        cross_validate(ToySpace(), COHORT, ["hinted", "baseline"], folds=2, against="memory")
