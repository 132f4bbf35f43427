"""Decisions under noise and shortened searches from Python: specifications, `compare`, and equality with the search in full."""

from __future__ import annotations

import sys
from pathlib import Path

import optuna
import pytest
from optuna.pruners import NopPruner

from nas_fusion import compare, history
from nas_fusion.pruners import HalvingPruner, RacingPruner
from nas_fusion.study.laboratory import Laboratory, split_digest
from nas_fusion.study.progress import EvaluationPruned, Event
from nas_fusion.study.shortening import arm_specs, n_losses, pruner_of, shortenings
from nas_fusion.study.spec import StudySpec, load_study, open_study

sys.path.append(str(Path(__file__).parents[1] / "cli_tests" / "plugin"))

from tiny_plugin import TinySpace, tiny_cohort


def laboratory(folds: int = 1, **changes: object) -> Laboratory:
    from nas_fusion.cohorts import load_cohort

    space, cohort = TinySpace(points=2), tiny_cohort() if folds == 1 else load_cohort("tiny-cohort", folds=folds)
    spec = StudySpec(space="tiny", source="tiny-cohort", fingerprint=cohort.fingerprint, split=split_digest(cohort.splits))
    return Laboratory(spec.replace(**changes), space, cohort)


def test_a_study_made_before_there_were_seeds_and_shortenings_is_resumed() -> None:
    storage, spec = optuna.storages.InMemoryStorage(), laboratory().spec
    old = {name: value for name, value in spec.to_json().items() if name not in ("seeds", "racing", "halving")}
    history.describe(optuna.create_study(storage=storage, study_name="old"), old)
    assert open_study(spec, storage, "old").study_name == "old" and load_study(storage, "old")[1] == spec
    with pytest.raises(ValueError, match="the study was made with seeds=1, but seeds=2 was asked for"):
        open_study(spec.replace(seeds=2), storage, "old")
    with pytest.raises(ValueError, match="halving=false, but halving=true"):
        open_study(spec.replace(halving=True), storage, "old")


def test_values_out_of_range_are_refused() -> None:
    for changes, message in (
        ({"seeds": 0}, "`seeds` must be at least 1, but got 0"),
        ({"racing": 0.5}, r"`p` must be in \(0, 0.5\), but got 0.5"),
        ({"racing": 0.1, "halving": True}, "`racing` and `halving` must not be given together"),
    ):
        with pytest.raises(ValueError, match=message):
            laboratory(**changes)


def test_the_pruner_follows_the_specification() -> None:
    plain, folded = laboratory(), laboratory(folds=5)
    assert isinstance(pruner_of(plain.spec, plain), NopPruner) and shortenings(plain.spec) == ()
    racing, halving = folded.spec.replace(racing=0.1), folded.spec.replace(halving=True)
    assert isinstance(pruner_of(racing, folded), RacingPruner) and shortenings(racing) == ("racing at p = 0.1",)
    assert isinstance(folded.pruner(halving), HalvingPruner) and shortenings(halving) == ("halving in each round",)
    assert [n_losses(s, lab) for s, lab in ((plain.spec, plain), (plain.spec.replace(seeds=4), plain), (racing, folded))] == [
        1,
        4,
        5,
    ]
    with pytest.raises(ValueError, match=r"must have at least 4 folds .*, but got 1"):
        pruner_of(plain.spec.replace(racing=0.1), plain)
    assert isinstance(pruner_of(plain.spec.replace(racing=0.1, seeds=4), plain), RacingPruner)  # seeds of one fold will do


def test_each_arm_is_shortened_if_it_works_in_rounds() -> None:
    folded = laboratory(folds=5)
    spec = folded.spec.replace(racing=0.1)
    specs = arm_specs(spec, folded, ("beam", "exhaustive", "grid"), {"accept": "paired"}, called="sampler_options")
    assert [specs[name].racing for name in specs] == [0.1, None, None]
    assert [dict(specs[name].sampler_options) for name in specs] == [{"accept": "paired"}, {}, {}]
    with pytest.raises(ValueError, match=r"`--racing` must go with a sampler that works in rounds .*but got exhaustive, grid"):
        arm_specs(spec, folded, ("exhaustive", "grid"), {}, called="sampler_options")


def test_compare_takes_them_all_and_tells_what_was_cut() -> None:
    from nas_fusion.cohorts import load_cohort

    events: list[Event] = []
    found = compare(
        TinySpace(points=3),
        load_cohort("tiny-cohort", folds=5),
        samplers=("sfsa",),
        sampler_options={"speculate": False},
        racing=0.2,
        plan={"epochs": 2},
        device="cpu",
        listener=events.append,
    )
    arm = found.arm("sfsa")
    assert arm.title == "SFSA (shortened)" and arm.shortened == ("racing at p = 0.2",)
    assert len([event for event in events if isinstance(event, EvaluationPruned)]) == len(arm.pruned) > 0
    assert all(each.cost["epochs"] == 2 * len(each.losses) < 10 for each in arm.pruned)
    assert found.trained_for_search == arm.n_evaluations == arm.trained


def test_compare_refuses_before_anything_is_trained() -> None:
    events: list[Event] = []
    for options, message in (
        ({"sampler_options": {"accept": "paired"}}, "`--accept paired` must have at least two folds"),
        ({"sampler_options": {"acept": "paired"}}, "`sampler_options` must give options of sfsa .*but got 'acept'"),
        ({"racing": 0.1}, "must have at least 4 folds"),
        ({"sampler_options": {"control": True}, "inherit": "none"}, '`control` must go with inherit="parent"'),
    ):
        with pytest.raises(ValueError, match=message):
            compare(TinySpace(), tiny_cohort(), samplers=("sfsa",), device="cpu", listener=events.append, **options)
    assert events == []
