"""Rankings: what follows from probabilities, and how a study gets one."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from nas_fusion import Cohort, EvaluationWorker, SearchSpace, history
from nas_fusion.evaluation import SupernetPlan
from nas_fusion.evaluation.ranking import mean_probabilities, most_probable
from nas_fusion.evaluation.supernet import TrainedSupernet, train_supernet
from nas_fusion.samplers import DifferentiableSampler
from tests.nas_fusion_tests.evaluation_tests.products import ProductSpace, product_cohort
from tests.nas_fusion_tests.evaluation_tests.tiny import TinySpace, tiny_cohort

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE = SearchSpace({"a": ("off", "x", "y"), "b": ("off", "x"), "c": ("off", "x", "y", "z")})
simplex = st.lists(st.integers(1, 9), min_size=4, max_size=4)


# --- from probabilities to configurations ---


@settings(max_examples=30, deadline=None)
@given(weights=st.lists(simplex, min_size=3, max_size=3), n=st.integers(1, 24))
def test_most_probable_of_a_product(weights: list[list[int]], n: int) -> None:
    probabilities = {
        name: tuple((np.array(w[: len(choices)]) / sum(w[: len(choices)])).tolist())
        for (name, choices), w in zip(SPACE.parameters.items(), weights, strict=True)
    }
    found = most_probable(SPACE, probabilities, n)
    every = sorted((math.prod(values) for values in itertools.product(*probabilities.values())), reverse=True)
    assert [p for _, p in found] == pytest.approx(every[:n])
    for configuration, p in found:
        chosen = [probabilities[name][choices.index(configuration[name])] for name, choices in SPACE.parameters.items()]
        assert p == pytest.approx(math.prod(chosen))
    if n == SPACE.size:
        assert sum(p for _, p in found) == pytest.approx(1) and len({c for c, _ in found}) == SPACE.size


def test_ties_go_to_fewer_modules_then_by_index() -> None:
    equal = {name: (1 / len(choices),) * len(choices) for name, choices in SPACE.parameters.items()}
    found = [configuration for configuration, _ in most_probable(SPACE, equal)]
    assert found == sorted(found, key=lambda c: (len(SPACE.active(c)), SPACE.index(c)))


def test_equivalent_configurations_add_up() -> None:
    class Dependent(SearchSpace):
        def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
            return parameter == "a" or configuration["a"] != "off"

    space = Dependent({"a": ("off", "on"), "b": ("off", "x", "y")})
    found = most_probable(space, {"a": (0.4, 0.6), "b": (0.2, 0.5, 0.3)})
    named = {tuple(space.active(c).values()): p for c, p in found}
    assert named == pytest.approx({(): 0.4, ("on",): 0.12, ("on", "x"): 0.3, ("on", "y"): 0.18})
    assert next(iter(named)) == ()


def test_large_spaces_are_not_enumerated() -> None:
    space = SearchSpace({f"p{i}": ("off", "on") for i in range(60)})
    found = most_probable(space, {name: (0.1, 0.9) for name in space.parameters}, 62)
    assert len(space.active(found[0][0])) == 60 and found[0][1] == pytest.approx(0.9**60)
    assert [len(space.active(c)) for c, _ in found] == [60] + [59] * 60 + [58]


def test_probabilities_are_averaged_over_folds() -> None:
    folds: list[dict[str, tuple[float, ...]]] = [{"a": (0.2, 0.8), "b": (0.5, 0.5)}, {"a": (0.6, 0.4), "b": (1.0, 0.0)}]
    assert mean_probabilities(folds) == {"a": pytest.approx((0.4, 0.6)), "b": pytest.approx((0.75, 0.25))}


# --- rankings of studies ---


def new_study(k: int = 2, length: float | None = None) -> optuna.Study:
    return optuna.create_study(sampler=DifferentiableSampler(ProductSpace(), k=k, length=length))


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return product_cohort(folds=2)


@pytest.fixture(scope="module")
def folder(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds a ranking."""
    place = tmp_path_factory.mktemp("store")
    EvaluationWorker(ProductSpace(), cohort, store=place, device="cpu").rank(new_study())
    return place


def test_ranked_then_evaluated_like_any_other_trials(cohort: Cohort) -> None:
    study, worker = new_study(), EvaluationWorker(ProductSpace(), cohort, device="cpu")
    ranking = worker.rank(study)
    assert history.ranking_of(study) == ranking
    assert len(ranking["configurations"]) == 8 and sum(p for _, p in ranking["configurations"]) == pytest.approx(1)
    assert sum(ranking["probabilities"]["p0"].values()) == pytest.approx(1)
    assert ranking["configurations"][0][0]["p0"] == "on"
    assert ranking["cost"]["epochs"] == 2 * 8
    assert 2 * 8 * 45 < ranking["cost"]["samples"] < 2 * 8 * 64 * 2 and ranking["cost"]["parameters"] == 2 * 10 + 3 * 4
    baseline = worker.evaluate(worker.space.baseline).cost
    assert ranking["cost"]["lineage_epochs"] == 2 * 8 + baseline["epochs"] == 2 * 8 + 2 * 8
    assert ranking["cost"]["lineage_samples"] == ranking["cost"]["samples"] + baseline["samples"]
    assert ranking["trained"] == [worker.key(worker.space.baseline), ranking["key"]]
    study.optimize(worker)
    best = [c for c, _ in ranking["configurations"] if "on" in c.values()][:2]
    assert [trial.params for trial in study.trials] == [dict(worker.space.baseline), *best]
    evaluations = [history.read_evaluation(trial, worker.space) for trial in study.trials]
    assert [e.trained for e in evaluations if e is not None] == [False, True, True]
    assert [e.lineage for e in evaluations if e is not None] == [(), (worker.space.baseline,), (worker.space.baseline,)]


def test_asked_again_it_answers(cohort: Cohort, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_fusion.evaluation.ranking.train_supernet", lambda *a, **k: pytest.fail("trained again"))
    worker, study = EvaluationWorker(ProductSpace(), cohort, store=folder, device="cpu"), new_study()
    ranking = worker.rank(study)
    assert ranking["trained"] == [] and ranking["cost"]["epochs"] == 16
    assert worker.rank(study) == ranking


def test_other_process_same_numbers(cohort: Cohort, folder: Path) -> None:
    torch.manual_seed(5)
    known = EvaluationWorker(ProductSpace(), cohort, store=folder, device="cpu").rank(new_study())
    again = EvaluationWorker(ProductSpace(), cohort, device="cpu").rank(new_study())
    assert again["configurations"] == known["configurations"] and again["key"] == known["key"]
    other = EvaluationWorker(ProductSpace(), cohort, seed=1, device="cpu").rank(new_study())
    assert other["configurations"] != known["configurations"] and other["key"] != known["key"]


def test_sampler_says_how_long(cohort: Cohort) -> None:
    worker = EvaluationWorker(ProductSpace(), cohort, device="cpu", plan={"epochs": 4})
    assert worker.rank(new_study(length=0.5))["cost"]["epochs"] == 2 * 2
    assert worker.rank(new_study(length=0.5), plan=SupernetPlan(length=1))["cost"]["epochs"] == 2 * 4


def test_study_is_ranked_once(cohort: Cohort) -> None:
    study = new_study(length=0.25)
    EvaluationWorker(ProductSpace(), cohort, device="cpu").rank(study)
    with pytest.raises(ValueError, match="`study` must be ranked once, but its ranking was made with other settings"):
        EvaluationWorker(ProductSpace(), cohort, seed=1, device="cpu").rank(study)


def test_validation_subjects_decide_only_the_inherited_weights() -> None:
    """Without inheritance their labels may be anything: the ranking is the same."""
    cohort = product_cohort()
    assert cohort.splits is not None
    labels = cohort.labels.clone()
    for part in (cohort.splits.folds[0].validation, cohort.splits.test):
        labels[cohort.positions(part)] = 1 - labels[cohort.positions(part)]
    changed = Cohort(**{**{name: getattr(cohort, name) for name in cohort.__dataclass_fields__}, "labels": labels})
    first, second = (
        EvaluationWorker(ProductSpace(), each, inherit="none", device="cpu").rank(new_study()) for each in (cohort, changed)
    )
    assert first["configurations"] == second["configurations"]
    assert first["trained"] == [first["key"]]


def rank_in_process(folder: Path, cohort: Cohort, *, stops: bool) -> None:
    """Rank a study on a journal; leave a line for each supernet that is begun, and stop in it if so asked."""
    study = optuna.load_study(
        storage=journal(folder), study_name="s", sampler=DifferentiableSampler(ProductSpace(), length=0.25)
    )

    def begun(*arguments: Any, **options: Any) -> TrainedSupernet:
        with (folder / "begun").open("a") as file:
            file.write(f"{os.getpid()}\n")
        while stops:
            time.sleep(1)
        return train_supernet(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas_fusion.evaluation.ranking.train_supernet", begun)
        EvaluationWorker(ProductSpace(), cohort, store=folder / "store", device="cpu").rank(study)


def journal(folder: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(folder / "study.journal")))


@pytest.mark.parametrize("is_killed", [False, True])
def test_one_process_ranks_and_the_others_wait(is_killed: bool, tmp_path: Path) -> None:
    cohort = product_cohort()
    optuna.create_study(storage=journal(tmp_path), study_name="s")
    context = multiprocessing.get_context("fork")
    first = context.Process(target=rank_in_process, args=(tmp_path, cohort), kwargs={"stops": is_killed}, daemon=True)
    first.start()
    deadline = time.monotonic() + 60
    while is_killed and not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    others = [
        context.Process(target=rank_in_process, args=(tmp_path, cohort), kwargs={"stops": False}, daemon=True) for _ in range(2)
    ]
    for other in others:
        other.start()
    if is_killed:
        time.sleep(0.5)
        assert first.pid is not None and (tmp_path / "begun").read_text() == f"{first.pid}\n"  # the others wait
        os.kill(first.pid, signal.SIGKILL)
    for process in (first, *others):
        process.join(60)
    assert [process.exitcode for process in (first, *others)] == [-signal.SIGKILL if is_killed else 0, 0, 0]
    assert len((tmp_path / "begun").read_text().split()) == 1 + is_killed
    written = history.ranking_of(optuna.load_study(storage=journal(tmp_path), study_name="s"))
    undisturbed = EvaluationWorker(ProductSpace(), cohort, device="cpu").rank(new_study(length=0.25))
    assert written is not None and written["configurations"] == undisturbed["configurations"]


def test_space_without_a_supernet() -> None:
    worker = EvaluationWorker(TinySpace(), tiny_cohort(), device="cpu")
    with pytest.raises(TypeError, match="TinySpace has no supernet: differentiable search needs one"):
        worker.rank(optuna.create_study(sampler=DifferentiableSampler(TinySpace())))
