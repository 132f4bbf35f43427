"""The pure part of the search in rounds, without Optuna."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.history import Claim
from nas_fusion.samplers.acceptance import Acceptance
from nas_fusion.samplers.engine import Engine, Key, Supposing
from nas_fusion.samplers.enumeration import Enumeration
from nas_fusion.samplers.moves import Moves
from nas_fusion.samplers.policy import Rule
from nas_fusion.space import Configuration, SearchSpace
from tests.nas_fusion_tests.samplers_tests.engines import (
    KINDS,
    Cost,
    Table,
    lattice,
    policy,
    searched,
    searched_by_several,
)
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, random_losses


def tied(seed: int) -> Cost:
    """Losses that are often equal, now and then infinite."""
    return lambda claim: random.Random(f"{seed} {configuration_of(claim)}").choice(
        [(0.0, 0.0), (0.5, 1.5), (2.0, 2.0), math.inf]
    )


def table(space: SearchSpace, seed: int) -> Cost:
    """A random landscape without ties."""
    losses = random_losses(space, seed)
    return lambda claim: losses[configuration_of(claim)]


def by_lineage(seed: int) -> Cost:
    """Losses of folds that depend on the whole lineage of weights: whoever mixes lineages up comes to another result."""

    def cost(claim: Claim) -> tuple[float, ...]:
        chance = random.Random(f"{seed} {configuration_of(claim)} {claim.lineage}")
        mean = chance.random()
        return tuple(chance.gauss(mean, 0.1) for _ in range(3))

    return cost


def configuration_of(claim: Claim) -> Configuration:
    assert claim.configuration is not None
    return claim.configuration


class Switches(SearchSpace):
    """Point b has no effect unless a is on, c none if a is on, e none unless d is on."""

    def is_active(self, parameter: str, configuration: dict[str, str]) -> bool:  # type: ignore[override]
        needs = {"b": configuration["a"] == "on", "c": configuration["a"] == "off", "e": configuration["d"] == "on"}
        return needs.get(parameter, True)


SWITCHES = Switches({"a": ["off", "on"], "b": ["off", "x", "y"], "c": ["off", "x"], "d": ["off", "on"], "e": ["off", "x"]})
free_spaces = st.builds(
    lambda m, k: SearchSpace(choices(m, [f"module{i}" for i in range(k)])), st.integers(1, 5), st.integers(1, 2)
)
spaces = st.one_of(
    free_spaces,
    st.sampled_from(
        [
            SWITCHES,
            Moves(SWITCHES, {"a": "on"}),
            Moves(SearchSpace(choices(5, ("x", "y"))), {"layer2": "x"}, [["layer1", "layer4"]]),
            Moves(SearchSpace(choices(6)), {"layer6": "none"}, [["layer1", "layer2"], ["layer3", "layer4"]]),
        ]
    ),
)
kinds = st.sampled_from(KINDS)
patience = st.sampled_from([1, 2, None])
acceptances = st.builds(
    Acceptance, st.sampled_from(["best", "one_se", "paired"]), st.sampled_from([0.0, 0.1]), st.sampled_from([0.05, 0.4])
)
rules = st.one_of(
    st.builds(Rule, patience, st.sampled_from(["none", "parent", "baseline"]), acceptance=acceptances),
    st.builds(Rule, patience, st.just("parent"), acceptance=acceptances, control=st.just(True)),
)
widths = st.integers(1, 3)


@settings(deadline=None, max_examples=100)
@given(spaces, rules, kinds, widths, st.integers(0, 999))
def test_a_search_ends_and_never_asks_for_more_than_it_says(
    space: SearchSpace | Moves, rule: Rule, kind: str, width: int, seed: int
) -> None:
    made = policy(space, rule, kind=kind, width=width)
    for cost in (by_lineage(seed), tied(seed)):
        assert len(searched(lattice(space, rule, kind=kind, width=width), cost)) <= made.max_evaluations


@settings(deadline=None, max_examples=100)
@given(spaces, rules, kinds, widths, st.integers(0, 999), st.data())
def test_the_next_move_follows_from_what_is_known_alone(
    space: SearchSpace | Moves, rule: Rule, kind: str, width: int, seed: int, data: st.DataObject
) -> None:
    known = list(searched(lattice(space, rule, kind=kind, width=width), by_lineage(seed)).items())
    cut = data.draw(st.integers(0, len(known)))
    late, partial = lattice(space, rule, kind=kind, width=width), Table(dict(known[:cut]))
    late.refresh(partial)
    move = late.next_move(partial)
    assert (None if move is None else move.key) == (known[cut][0] if cut < len(known) else None)


@settings(deadline=None, max_examples=150)
@given(spaces, rules, kinds, widths, st.integers(0, 999), st.integers(1, 6))
def test_the_result_does_not_depend_on_workers_their_order_or_their_ends(
    space: SearchSpace | Moves, rule: Rule, kind: str, width: int, seed: int, n_workers: int
) -> None:
    def make() -> Engine:
        return lattice(space, rule, kind=kind, width=width)

    cost = by_lineage(seed) if seed % 2 else tied(seed)
    serial = make()
    expected = searched(serial, cost)
    engine, costs = searched_by_several(make, cost, n_workers, random.Random(seed))
    assert expected.items() <= costs.items()
    assert engine.path(Table(costs)) == serial.path(Table(expected))
    assert sorted(engine.used(Table(costs))) == sorted(expected)
    if n_workers == 1:
        assert costs == expected


@settings(deadline=None)
@given(free_spaces, kinds, st.integers(0, 999), st.randoms(use_true_random=False))
def test_the_names_and_the_order_of_parameters_do_not_matter(
    space: SearchSpace, kind: str, seed: int, chance: random.Random
) -> None:
    losses = random_losses(space, seed)
    names = dict(zip(space.parameters, chance.sample("abcdefgh", len(space.parameters)), strict=True))
    order = chance.sample(list(space.parameters), len(space.parameters))
    # Only backward searches look at the order of the choices: they begin with the first ones.
    modules = {p: [c[0], *chance.sample(c[1:], len(c) - 1)] for p, c in space.parameters.items()}
    other = SearchSpace({names[p]: modules[p] if kind.endswith("forward") else space.parameters[p] for p in order})
    renamed = {Configuration({names[p]: c for p, c in configuration.items()}): loss for configuration, loss in losses.items()}
    found = []
    for searched_space, table_of_losses in ((space, losses), (other, renamed)):
        engine = lattice(searched_space, kind=kind, width=2)
        costs = searched(engine, lambda claim, known=table_of_losses: known[configuration_of(claim)])  # type: ignore[misc]
        path = [dict(c) for c in engine.path(Table(costs))]
        found.append((len(costs), path))
    assert found[1] == (found[0][0], [{names[p]: c for p, c in configuration.items()} for configuration in found[0][1]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(10))
def test_any_increasing_function_of_the_losses_changes_nothing(kind: str, seed: int) -> None:
    space = SearchSpace(choices(4))
    cost, found = table(space, seed), []
    for change in (lambda x: x, lambda x: 3 * x - 7, lambda x: math.exp(x / 4)):
        engine = lattice(space, kind=kind)
        costs = searched(engine, lambda claim, change=change: change(cost(claim)))  # type: ignore[misc]
        found.append((list(costs), engine.path(Table(costs))))
    assert found[0] == found[1] == found[2]


def test_floating_search_meets_no_configuration_twice_whatever_is_inherited() -> None:
    space = SearchSpace(choices(4, ("mmtm", "concat_conv")))
    for seed in range(20):
        costs = searched(lattice(space, Rule(None, "parent"), kind="floating_forward"), by_lineage(seed))
        assert len({key.configuration for key in costs}) == len(costs)


def test_several_rounds_may_be_begun_ahead_where_nothing_is_inherited() -> None:
    engine = lattice(SearchSpace(choices(3)), kind="backward")
    engine.refresh(Table({}))
    claims: list[Key] = []
    while (move := engine.next_move(Table({}, claims))) is not None:
        claims.append(move.key)
    # The baseline, everything on, and what is one step below that: all of it is certain to be needed.
    assert claims == [Key(0), Key(7), Key(6), Key(5), Key(3)]


def test_lineages_that_only_a_guess_leads_to_are_not_begun() -> None:
    """A key names the parent, not what the parent inherited from: a guessed parent could have another lineage."""
    engine = lattice(SearchSpace(choices(4)), Rule(inherit="parent"), width=2)
    costs = {Key(0): 0.9, Key(1, 0): 0.5, Key(4, 0): 0.8, Key(8, 0): 0.7}  # of the first round {2} is missing
    claims = [Key(2, 0)]
    while (move := engine.next_move(Table(costs, claims))) is not None:
        engine.refresh(Table(costs, claims))
        assert move.claim.round == 2
        costs[move.key] = 0.4
    assert engine.next_move(Table(costs, claims)) is None


@pytest.mark.parametrize("engine", [lattice(SearchSpace(choices(3))), Enumeration(Moves(SearchSpace(choices(3))), "none")])
def test_supposing_an_end_changes_nothing(engine: Engine) -> None:
    space = SearchSpace(choices(3))
    costs = {Key(space.index(c)): float(len(space.active(c))) for c in space.configurations()}
    last = Key(7) if isinstance(engine, Enumeration) else Key(4)
    before = {key: cost for key, cost in costs.items() if key < last}
    engine.refresh(Table(before))
    move = engine.next_move(Table(before))
    while move is not None and move.key != last:
        move = engine.next_move(Table(before, [move.key]))
    assert move is not None
    supposing = Supposing(Table(before, [last]), last, 1.0)
    assert engine.is_complete(supposing)
    assert not engine.is_complete(Table(before, [last]))
    assert set(supposing.settled()) == {*before, last}
    assert not supposing.is_claimed(last)
    assert supposing.losses(last) == (1.0,)
    assert Supposing(Table(before), last, 1.0, (0.5, 1.5)).losses(last) == (0.5, 1.5)
    assert Supposing(Table(before), last, math.inf).losses(last) == ()


@pytest.mark.parametrize(
    ("sizes", "kind", "width", "expected"),
    [
        ((2, 2, 2, 2), "forward", 1, 11),
        ((2, 2, 2, 2), "forward", 2, 16),
        ((2,) * 10, "forward", 1, 56),
        ((3, 3), "forward", 1, 7),
        ((2, 3, 4), "forward", 1, 1 + 6 + 5 + 3),
        ((2,), "forward", 9, 2),
        ((2, 2, 2, 2), "backward", 1, 2 + 4 + 3 + 2),
        ((2, 2, 2, 2), "backward", 9, 16),
        ((3, 3), "backward", 1, 2 + 2),
        ((2,), "backward", 1, 2),
        ((3, 3), "floating_forward", 1, 9),
    ],
)
def test_max_evaluations(sizes: tuple[int, ...], kind: str, width: int, expected: int) -> None:
    space = SearchSpace({f"p{i}": [str(j) for j in range(size)] for i, size in enumerate(sizes)})
    made = policy(space, Rule(None), kind=kind, width=width)
    assert made.max_evaluations == expected
    if kind != "floating_forward":  # it need not see everything
        seeds = range(20 if space.size < 100 else 1)
        needed = [len(searched(lattice(space, Rule(None), kind=kind, width=width), table(space, seed))) for seed in seeds]
        assert max(needed) == expected or (width > 1 and max(needed) < expected)  # survivors share what they reach


@pytest.mark.parametrize("inherit", ["none", "parent"])
def test_enumeration_asks_again_for_what_was_given_back(inherit: str) -> None:
    engine, parent = Enumeration(Moves(SearchSpace(choices(2))), inherit), 0 if inherit == "parent" else -1
    keys = [Key(0), *(Key(i, parent) for i in (1, 2, 3))]
    known = {keys[0]: 0.5}
    claims: list[Key] = []
    for key in keys[1:]:
        move = engine.next_move(Table(known, claims))
        assert move is not None and move.key == key
        claims.append(key)
    assert engine.next_move(Table(known, claims)) is None
    move = engine.next_move(Table(known, [keys[1], keys[3]]))
    assert move is not None and move.key == keys[2]
    costs = {**known, **dict.fromkeys(keys[1:], math.inf)}
    engine.refresh(Table(costs))
    assert engine.is_complete(Table(costs))
    assert engine.path(Table(costs)) == [SearchSpace(choices(2)).baseline]
