"""Every search on a space with several choices a parameter and a parameter that may be without effect, by direct references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import optuna
import pytest

from nas_fusion.samplers import (
    BackwardSampler,
    BeamSampler,
    ExhaustiveSampler,
    FloatingSampler,
    SearchSampler,
    SFSASampler,
    SurrogateSampler,
)
from nas_fusion.space import Configuration
from tests.nas_fusion_tests.samplers_tests.constrained import Branches
from tests.nas_fusion_tests.samplers_tests.landscapes import evaluated, floating_backward, lookup, random_losses, run

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE = Branches()
EVERYTHING = SPACE.complete({"sc": "e3k2", "fc": "e3k2", "fused": "e2k2", "granularity": "subject"})
Losses = dict[Configuration, float]
Made = Callable[..., SearchSampler]
SEEDS = range(15)


def floating_changes(*arguments: object, **options: object) -> FloatingSampler:
    return FloatingSampler(*arguments, changes=True, **options)  # type: ignore[arg-type]


SAMPLERS: list[Made] = [SFSASampler, BeamSampler, BackwardSampler, FloatingSampler, floating_backward, floating_changes]
SAMPLERS += [SurrogateSampler, ExhaustiveSampler]


def smooth_losses(seed: int) -> Losses:
    """A loss of each configuration with effects of choices and of pairs, rather than without any order."""
    generator = np.random.default_rng(seed)
    effects = {choice: generator.normal() for parameter, choices in SPACE.parameters.items() for choice in choices[1:]}
    pairs = {p: generator.normal() for p in SPACE.parameters}
    return {
        c: sum(effects[choice] for choice in SPACE.active(c).values()) + pairs["fused"] * (len(SPACE.active(c)) == 2)
        for c in SPACE.configurations()
    }


# --- direct references: the searches in the words of their papers, over sets of moves, without engines, keys and rounds ---


class Trace:
    """Looks losses up and remembers what was looked at, in order, each once."""

    def __init__(self, losses: Losses) -> None:
        self.losses = losses
        self.order: list[Configuration] = []

    def rank(self, configuration: Configuration) -> tuple[float, int, int]:
        return self.losses[configuration], len(SPACE.active(configuration)), SPACE.index(configuration)

    def look(self, configurations: Iterable[Configuration]) -> list[Configuration]:
        """All of them, the best first."""
        found = list(configurations)
        self.order += [c for c in dict.fromkeys(found) if c not in self.order]
        return sorted(found, key=self.rank)


def beam(losses: Losses, width: int) -> tuple[list[Configuration], Configuration]:
    trace = Trace(losses)
    survivors = trace.look([SPACE.baseline])
    best = survivors[0]
    while True:
        moves = dict.fromkeys(move for survivor in survivors for move in SPACE.forward_moves(survivor))
        survivors = trace.look(moves)[:width]
        if not survivors or trace.rank(survivors[0]) >= trace.rank(best):
            return trace.order, best
        best = survivors[0]


def backward(losses: Losses) -> tuple[list[Configuration], Configuration]:
    trace = Trace(losses)
    trace.look([SPACE.baseline])
    (best,) = trace.look([EVERYTHING])
    while moves := trace.look(c for c in SPACE.backward_moves(best) if c != SPACE.baseline):
        if trace.rank(moves[0]) >= trace.rank(best):
            break
        best = moves[0]
    return trace.order, min(best, SPACE.baseline, key=trace.rank)


def floating(losses: Losses, *, changes: bool) -> tuple[list[Configuration], Configuration]:
    trace = Trace(losses)
    (current,) = trace.look([SPACE.baseline])
    records = {0: current}

    def size(configuration: Configuration) -> int:
        return len(SPACE.active(configuration))

    def keep(configuration: Configuration) -> None:
        known = records.setdefault(size(configuration), configuration)
        records[size(configuration)] = min(known, configuration, key=trace.rank)

    def worth_it(here: Configuration, moves: Iterable[Configuration]) -> Iterator[Configuration]:
        ranked = trace.look(c for c in moves if c != SPACE.baseline)
        for count in dict.fromkeys(map(size, ranked)):
            best = next(c for c in ranked if size(c) == count)
            if trace.rank(best) < trace.rank(records.get(count, here)):
                yield best

    while moves := trace.look(c for c in SPACE.forward_moves(current) if c != SPACE.baseline):
        (newest,) = (p for p in SPACE.parameters if moves[0][p] != current[p])
        current, barred = moves[0], newest
        keep(current)
        while True:
            back = [c for c in SPACE.backward_moves(current) if not barred or c[barred] != SPACE.off(barred)]
            back += SPACE.change_moves(current) if changes else []
            better = sorted(worth_it(current, back), key=trace.rank)
            if not better:
                break
            current, barred = better[0], ""
            keep(current)
    return trace.order, min(records.values(), key=trace.rank)


REFERENCES: list[tuple[Made, Callable[[Losses], tuple[list[Configuration], Configuration]]]] = [
    (SFSASampler, lambda losses: beam(losses, 1)),
    (BeamSampler, lambda losses: beam(losses, 2)),
    (lambda space: BeamSampler(space, width=5), lambda losses: beam(losses, 5)),
    (BackwardSampler, backward),
    (FloatingSampler, lambda losses: floating(losses, changes=False)),
    (floating_changes, lambda losses: floating(losses, changes=True)),
]


@pytest.mark.parametrize("kind", [smooth_losses, lambda seed: random_losses(SPACE, seed)], ids=["smooth", "random"])
@pytest.mark.parametrize(("sampler", "reference"), REFERENCES)
def test_searches_are_those_of_a_direct_reference(
    sampler: Made, reference: Callable[[Losses], tuple[list[Configuration], Configuration]], kind: Callable[[int], Losses]
) -> None:
    for seed in SEEDS:
        losses, made = kind(seed), sampler(SPACE)
        study = run(made, lookup(losses, SPACE))
        order, best = reference(losses)
        assert evaluated(study, SPACE) == order, seed
        assert made.best(study) == best, seed


# --- what holds for every search ---


@pytest.mark.parametrize("inherit", ["none", "baseline", "parent"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_only_canonical_configurations_each_from_a_lineage_once(sampler: Made, inherit: str) -> None:
    for seed in range(5):
        made = sampler(SPACE, inherit=inherit)
        study = run(made, lookup(random_losses(SPACE, seed), SPACE))
        asked = [Configuration(trial.params) for trial in study.trials]
        assert all(SPACE.canonical(c) == c for c in asked)
        assert len(asked) <= made.max_evaluations
        if inherit != "parent":
            assert len(set(asked)) == len(asked) <= 31
        assert made.state(study).complete and made.state(study).in_vain == ()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_forced_and_grouped_parameters(sampler: Made) -> None:
    made = sampler(SPACE, forced={"fused": "e3k2"}, groups=[["sc", "fc"]])
    asked = evaluated(run(made, lookup(smooth_losses(1), SPACE)), SPACE)
    allowed = [c for c in SPACE.configurations() if c["fused"] == "e3k2" and c["sc"] == c["fc"]]
    assert len(set(asked)) == len(asked) and set(asked) <= set(allowed) | {SPACE.baseline}
    if sampler in (ExhaustiveSampler, SurrogateSampler):
        assert sorted(map(SPACE.index, asked)) == sorted(map(SPACE.index, allowed)) and len(allowed) == 4


def test_exhaustive_evaluates_exactly_the_canonical_ones() -> None:
    sampler = ExhaustiveSampler(SPACE)
    losses = random_losses(SPACE, 3)
    study = run(sampler, lookup(losses, SPACE))
    assert evaluated(study, SPACE) == list(SPACE.configurations())
    assert len(study.trials) == sampler.max_evaluations == SPACE.n_configurations == 31 < SPACE.size == 32
    assert sampler.best(study) == min(losses, key=lambda c: losses[c])


def test_surrogate_with_the_whole_space_for_a_budget_finds_the_optimum() -> None:
    losses = random_losses(SPACE, 5)
    sampler = SurrogateSampler(SPACE, n_trials=99)
    study = run(sampler, lookup(losses, SPACE))
    assert len(study.trials) == sampler.max_evaluations == 31
    assert sampler.best(study) == min(losses, key=lambda c: losses[c])
    assert SurrogateSampler(SPACE).max_evaluations == 22  # 9/8 of 1 + 6 + 12 coefficients


def test_a_parameter_joins_the_moves_when_a_parent_gives_it_an_effect() -> None:
    losses = {c: 1.0 - 0.2 * len(SPACE.active(c)) + 0.1 * (c["fused"] != "static") for c in SPACE.configurations()}
    sampler = SFSASampler(SPACE)
    study = run(sampler, lookup(losses, SPACE))
    asked = evaluated(study, SPACE)
    assert all(c["granularity"] == "node" for c in asked[:6])  # the baseline, and one branch each
    assert asked[6 : 6 + 5] == SPACE.forward_moves(SPACE.complete({"sc": "e3k2"}))
    assert SPACE.complete({"sc": "e3k2", "granularity": "subject"}) in asked[6:11]
    assert sampler.best(study) == EVERYTHING


def test_backward_begins_with_the_first_choice_after_off_and_ends_with_the_routers() -> None:
    losses = {c: float(len(SPACE.active(c))) for c in SPACE.configurations()} | {SPACE.baseline: 0.5}
    sampler = BackwardSampler(SPACE)
    study = run(sampler, lookup(losses, SPACE))
    asked = evaluated(study, SPACE)
    assert asked[:2] == [SPACE.baseline, EVERYTHING]
    assert {c["fused"] for c in asked} == {"static", "e2k2"}  # choices are not exchanged
    assert sampler.path(study) == [SPACE.baseline]
    other = BackwardSampler(SPACE, start={"sc": "e3k2", "fused": "e4k2"})
    assert evaluated(run(other, lookup(losses, SPACE)), SPACE) == [
        SPACE.baseline,
        *map(SPACE.complete, ({"sc": "e3k2", "fused": "e4k2"}, {"fused": "e4k2"}, {"sc": "e3k2"})),
    ]


# --- changes ---


def test_changes_of_moves_keep_what_is_forced_and_grouped() -> None:
    sampler = FloatingSampler(SPACE, forced={"sc": "e3k2"}, changes=True)
    here = SPACE.complete({"sc": "e3k2", "fused": "e3k2", "granularity": "subject"})
    assert sampler.moves.changes(here) == [here.replace(fused="e2k2"), here.replace(fused="e4k2")]
    grouped = {"a": ["off", "x", "y"], "b": ["off", "x", "y"], "c": ["off", "x"]}
    moves = FloatingSampler(grouped, groups=[["a", "b"]]).moves
    assert moves.changes(moves.complete({"a": "x", "b": "x", "c": "x"})) == [moves.complete({"a": "y", "b": "y", "c": "x"})]


def test_a_change_finds_what_a_step_back_and_along_does_not() -> None:
    losses = {c: 1.0 for c in SPACE.configurations()}
    losses |= {SPACE.complete({"fused": "e2k2"}): 0.5, SPACE.complete({"fused": "e2k2", "sc": "e3k2"}): 0.4}
    wanted = SPACE.complete({"fused": "e4k2", "sc": "e3k2"})
    losses[wanted] = 0.1
    plain, changing = FloatingSampler(SPACE, patience=1), FloatingSampler(SPACE, patience=1, changes=True)
    assert plain.best(run(plain, lookup(losses, SPACE))) == SPACE.complete({"fused": "e2k2", "sc": "e3k2"})
    study = run(changing, lookup(losses, SPACE))
    assert changing.best(study) == wanted
    assert changing.path(study)[-2:] == [SPACE.complete({"fused": "e2k2", "sc": "e3k2"}), wanted]


def test_without_several_choices_changes_change_nothing() -> None:
    space = {f"layer{i}": ["none", "mmtm"] for i in range(1, 6)}
    for seed in range(10):
        made = [FloatingSampler(space, changes=changes) for changes in (False, True)]
        orders = [evaluated(run(each, lookup(random_losses(each.space, seed), each.space)), each.space) for each in made]
        assert orders[0] == orders[1]


def test_changes_is_on_or_off() -> None:
    with pytest.raises(ValueError, match="`changes` must be true or false, but got 'yes'"):
        FloatingSampler(SPACE, changes="yes")  # type: ignore[arg-type]
