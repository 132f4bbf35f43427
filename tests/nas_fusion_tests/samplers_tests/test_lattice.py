"""The pure part of the search in rounds, without Optuna."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_fusion.samplers.engine import Engine, Key, Supposing
from nas_fusion.samplers.enumeration import Enumeration
from nas_fusion.samplers.lattice import Lattice, Rule, max_evaluations
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, random_losses


@dataclass(frozen=True)
class Table:
    """What is known, as a plain table."""

    costs: Mapping[Key, float]
    claims: Collection[Key] = ()

    def cost(self, key: Key) -> float | None:
        return self.costs.get(key)

    def is_claimed(self, key: Key) -> bool:
        return key in self.claims

    def settled(self) -> Iterable[Key]:
        return self.costs


def searched(engine: Engine, space: SearchSpace, seed: int) -> dict[Key, float]:
    """Evaluate what an engine asks for, one after the other, to the end."""
    losses, costs = random_losses(space, seed), dict[Key, float]()
    while True:
        engine.refresh(Table(costs))
        move = engine.next_move(Table(costs))
        if move is None:
            assert engine.is_complete(Table(costs))
            return costs
        assert not engine.is_complete(Table(costs))
        assert move.key not in costs and move.claim.configuration is not None
        costs[move.key] = losses[move.claim.configuration]


spaces = st.builds(lambda m, k: SearchSpace(choices(m, [f"module{i}" for i in range(k)])), st.integers(1, 5), st.integers(1, 2))
rules = st.builds(Rule, st.integers(1, 4), st.sampled_from([0.0, 1.0]), st.integers(1, 3), st.sampled_from(["none", "parent"]))


@settings(deadline=None)
@given(spaces, rules, st.integers(0, 999))
def test_a_search_never_asks_for_more_than_it_says(space: SearchSpace, rule: Rule, seed: int) -> None:
    costs = searched(Lattice(space, rule), space, seed)
    assert len(costs) <= max_evaluations(space, rule.width)


@settings(deadline=None)
@given(spaces, rules, st.integers(0, 999), st.data())
def test_the_next_move_follows_from_what_is_known_alone(space: SearchSpace, rule: Rule, seed: int, data: st.DataObject) -> None:
    known = list(searched(Lattice(space, rule), space, seed).items())
    cut = data.draw(st.integers(0, len(known)))
    late, partial = Lattice(space, rule), Table(dict(known[:cut]))
    late.refresh(partial)
    move = late.next_move(partial)
    assert (None if move is None else move.key) == (known[cut][0] if cut < len(known) else None)


@settings(deadline=None)
@given(spaces, st.integers(0, 999), st.randoms(use_true_random=False))
def test_the_order_in_which_costs_become_known_does_not_matter(space: SearchSpace, seed: int, random: object) -> None:
    rule, losses = Rule(width=2), random_losses(space, seed)
    serial = Lattice(space, rule)
    expected = searched(serial, space, seed)
    engine, costs, claims = Lattice(space, rule), dict[Key, float](), dict[Key, float]()
    while not engine.is_complete(Table(costs)):
        engine.refresh(Table(costs))
        while (move := engine.next_move(Table(costs, claims))) is not None and len(claims) < 4:
            assert move.claim.configuration is not None
            claims[move.key] = losses[move.claim.configuration]
        key = random.choice(sorted(claims))  # type: ignore[attr-defined]
        costs[key] = claims.pop(key)
    engine.refresh(Table(costs))
    serial.refresh(Table(expected))
    assert engine.path(Table(costs)) == serial.path(Table(expected))
    assert sorted(engine.used(Table(costs))) == sorted(expected)


@pytest.mark.parametrize("engine", [Lattice(SearchSpace(choices(3)), Rule()), Enumeration(SearchSpace(choices(3)), "none")])
def test_supposing_an_end_changes_nothing(engine: Engine) -> None:
    space = SearchSpace(choices(3))
    costs = {Key(space.index(c)): float(len(space.active(c))) for c in space.configurations()}
    last = Key(4) if isinstance(engine, Lattice) else Key(7)
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


@pytest.mark.parametrize(
    ("sizes", "width", "expected"),
    [
        ((2, 2, 2, 2), 1, 11),
        ((2, 2, 2, 2), 2, 16),
        ((2,) * 10, 1, 56),
        ((3, 3), 1, 7),
        ((2, 3, 4), 1, 1 + 6 + 5 + 3),
        ((2,), 9, 2),
    ],
)
def test_max_evaluations(sizes: tuple[int, ...], width: int, expected: int) -> None:
    space = SearchSpace({f"p{i}": [str(j) for j in range(size)] for i, size in enumerate(sizes)})
    assert max_evaluations(space, width) == expected


@pytest.mark.parametrize("inherit", ["none", "parent"])
def test_enumeration_asks_again_for_what_was_given_back(inherit: str) -> None:
    engine, parent = Enumeration(SearchSpace(choices(2)), inherit), 0 if inherit == "parent" else -1
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
