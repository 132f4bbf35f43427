"""Spaces that nobody could list: every search decides in them without going through them, or refuses in one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pytest

from nas_fusion.samplers import SearchSampler, load_sampler, state_of
from nas_fusion.samplers.candidates import Candidates
from nas_fusion.samplers.moves import Moves
from nas_fusion.space import LISTED, Configuration, SearchSpace
from tests.nas_fusion_tests.samplers_tests.constrained import Full
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, evaluated

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE = Full()


@pytest.fixture(autouse=True)
def _nothing_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Iterator[Configuration]:
        raise AssertionError("the space is listed")

    monkeypatch.setattr(SearchSpace, "configurations", refuse)
    monkeypatch.setattr(Moves, "configurations", refuse)


def loss(configuration: Configuration) -> float:
    """Routing helps, the rest hardly matters; every configuration has a loss of its own."""
    active = SPACE.active(configuration)
    weights = {"sc": -0.3, "fused": -0.2, "granularity": -0.1, "pooling": 0.1}
    return sum(weights.get(p, 0.01) for p in active) + 1e-9 * np.log1p(SPACE.index(configuration))


def searched(name: str, n: int, **options: Any) -> tuple[optuna.Study, Any]:
    sampler = load_sampler(name, SPACE, seed=0, n_trials=n, **options)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: loss(SPACE.suggest(trial)), n_trials=n)
    return study, sampler


def test_there_are_too_many_to_count() -> None:
    assert len(SPACE.parameters) == 24 and SPACE.size > 10**11 > LISTED
    assert SPACE.n_configurations is None
    assert Moves(SPACE).n_configurations == SPACE.size  # no more than a bound
    assert Moves(SPACE, {p: SPACE.off(p) for p in list(SPACE.parameters)[2:]}).size == 13**2


@pytest.mark.parametrize(
    ("name", "options", "n"),
    [
        ("sfsa", {}, 90),
        ("beam", {}, 90),
        ("floating", {"changes": True}, 90),
        ("surrogate", {}, 5),
        ("random", {}, 20),
        ("tpe", {}, 20),
    ],
)
def test_searches_decide_without_listing_it(name: str, options: dict[str, Any], n: int) -> None:
    study, sampler = searched(name, n, **options)
    asked = evaluated(study, SPACE)
    assert len(asked) == n
    state = state_of(study, SPACE, sampler)
    assert state.best in asked and loss(state.best) < loss(asked[0])
    assert not state.complete or name == "surrogate"
    if isinstance(sampler, SearchSampler):
        assert len(set(asked)) == n and all(trial.params == dict(c) for trial, c in zip(study.trials, asked, strict=True))


def test_rounds_go_on_from_what_a_parent_gives_an_effect() -> None:
    study, sampler = searched("sfsa", 90)
    path = [SPACE.active(c) for c in sampler.path(study)]
    first = len(SPACE.forward_moves(SPACE.baseline))
    assert path[:2] == [{}, {"sc": "e2k1"}]
    second = evaluated(study, SPACE)[1 + first :]
    assert any(c["granularity"] == "subject" for c in second) and all(c["sc"] == "e2k1" for c in second)


def test_the_surrogate_searches_better_than_chance() -> None:
    values = {name: [trial.value or 0.0 for trial in searched(name, 14)[0].trials] for name in ("surrogate", "random")}
    assert np.mean(values["surrogate"][-4:]) < np.mean(values["random"]) - 0.05


def test_neighbours_of_the_surrogate_are_moves_and_changes_in_canonical_form() -> None:
    candidates = Candidates(Moves(SPACE))
    here = SPACE.complete({"sc": "e3k2", "granularity": "subject"})
    found = candidates.canonical(candidates.neighbours(candidates.levels([SPACE.index(here)])))
    near = {SPACE.configuration(candidates.index(row)) for row in found}
    assert near == {*SPACE.forward_moves(here), *SPACE.backward_moves(here), *SPACE.change_moves(here)} | {
        SPACE.complete({"sc": "e3k2", "granularity": "subject", p: "off"}) for p in ("stage1", "stage2", "balance")
    } | {SPACE.complete({"sc": "e3k2", "granularity": "subject", "disentanglement": "off"})}
    assert SPACE.baseline in near  # without routing, its granularity goes too


def test_what_is_made_canonical_keeps_what_is_forced_and_grouped() -> None:
    candidates = Candidates(Moves(SPACE, {"granularity": "subject", "sc": "e3k2"}, [["stage1", "stage2"]]))
    rows = candidates.canonical(candidates.drawn(0))
    found = [SPACE.configuration(candidates.index(row)) for row in rows]
    assert len(found) > 500 and all(candidates.moves.is_allowed(c) for c in found)
    assert {c["contrastive"] for c in found if c["stage2"] == "off"} == {"on"}  # on is its first choice: without effect


@pytest.mark.parametrize("name", ["exhaustive", "grid"])
def test_going_through_all_of_it_is_refused(name: str) -> None:
    message = r"`space` must have at most 1048576 configurations to be searched exhaustively, but got about 10\^11: take a"
    with pytest.raises(ValueError, match=message):
        load_sampler(name, SPACE, seed=0)
    with pytest.raises(ValueError, match=r"but got about 10\^602"):
        load_sampler(name, choices(2000), seed=0)
    assert load_sampler("exhaustive", SPACE, forced={p: SPACE.off(p) for p in list(SPACE.parameters)[3:]}) is not None


def test_backward_asks_where_to_begin() -> None:
    with pytest.warns(UserWarning, match="begins with every parameter at its first choice after off, one of very many ways"):
        sampler = load_sampler("backward", SPACE)
    assert sampler.moves.everything()["sc"] == "e2k1"  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_sampler("backward", SPACE, start={"sc": "e3k2"})
        load_sampler("backward", choices(20))  # there is only one way to have everything on
        load_sampler("backward", choices(4, ("mmtm", "concat_conv")))


def test_bounds_are_numbers() -> None:
    bounds = {name: load_sampler(name, SPACE).max_evaluations for name in ("sfsa", "beam", "floating", "surrogate")}  # type: ignore[attr-defined]
    assert bounds["sfsa"] < bounds["beam"] < 4000
    assert bounds["floating"] == SPACE.size
    assert bounds["surrogate"] == 2400  # 9/8 of the coefficients of second order: give `n_trials`
