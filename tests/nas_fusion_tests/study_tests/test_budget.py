"""Budgets: arms of a comparison that never end by themselves get that of the others."""

from __future__ import annotations

import pytest

from nas_fusion import SearchSpace, load_sampler
from nas_fusion.study.budget import equal_budgets, max_evaluations
from nas_fusion.study.spec import StudySpec

SPACE = SearchSpace({f"layer{i}": ["none", "mmtm"] for i in (1, 2, 3, 4)})
SPEC = StudySpec(space="choices", source="tiny-cohort", fingerprint="f", split="s")


def budgets(*samplers: str, trials: int | None = None) -> dict[str, int | None]:
    specs = {name: SPEC.replace(sampler=name, trials=trials) for name in samplers}
    of = {name: load_sampler(name, SPACE, n_trials=trials) for name in samplers}
    return {name: spec.trials for name, spec in equal_budgets(specs, of, SPACE).items()}


@pytest.mark.parametrize(
    ("samplers", "expected"),
    [
        (("sfsa", "random"), 11),
        (("sfsa", "beam", "tpe"), max_evaluations(SPEC, load_sampler("beam", SPACE), SPACE)),
        (("sfsa", "exhaustive", "random"), 11),
        (("exhaustive", "random"), 16),
        (("grid", "random"), 16),
    ],
)
def test_arms_without_an_end_get_the_budget_of_the_others(samplers: tuple[str, ...], expected: int) -> None:
    found = budgets(*samplers)
    assert found.pop(samplers[-1]) == expected
    assert set(found.values()) == {None}


def test_a_number_that_is_given_counts_for_all() -> None:
    assert budgets("sfsa", "random", trials=7) == {"sfsa": 7, "random": 7}


def test_where_no_arm_ends_none_is_given_a_budget() -> None:
    specs = {name: SPEC.replace(sampler=name) for name in ("random", "tpe")}
    found = equal_budgets(specs, {name: load_sampler(name, SPACE) for name in specs}, SPACE)
    assert found == specs
    with pytest.raises(ValueError, match="`--trials` must be given for the sampler 'random'"):
        max_evaluations(found["random"], load_sampler("random", SPACE), SPACE)
