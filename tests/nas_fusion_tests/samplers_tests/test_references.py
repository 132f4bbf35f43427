"""Our searches against mlxtend's and against the papers' rules, and against one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import optuna
import pytest
from mlxtend.feature_selection import ExhaustiveFeatureSelector, SequentialFeatureSelector
from sklearn.base import BaseEstimator

from nas_fusion.samplers import BackwardSampler, BeamSampler, ExhaustiveSampler, FloatingSampler, SearchSampler, SFSASampler
from nas_fusion.samplers.floating_rounds import FloatingFront
from nas_fusion.samplers.policy import Rule
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.samplers_tests.engines import Table, lattice, searched
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, evaluated, lookup, points, random_losses, run

optuna.logging.set_verbosity(optuna.logging.WARNING)
Points = tuple[int, ...]
Losses = dict[Points, float]
SIZES = (3, 4, 5, 6)
IN_MEMORY = 125  # landscapes of each size
IN_STUDIES = 10


class SetFunction(BaseEstimator):  # type: ignore[misc]
    """An estimator whose score is looked up: column j of its features holds the number j + 1."""

    def fit(self, features: np.ndarray, labels: np.ndarray) -> SetFunction:
        return self


@dataclass(frozen=True)
class Found:
    """What a search came to: the best set, the best of each size that it went through, and all that it evaluated."""

    best: Points
    by_size: dict[int, Points]
    evaluated: frozenset[Points]


def set_function(m: int, seed: int, *, penalty: float = 0.0) -> tuple[SearchSpace, Losses]:
    """A random landscape without ties; a penalty is added for each active point."""
    space = SearchSpace(choices(m))
    return space, {points(c): float(loss) + penalty * len(points(c)) for c, loss in random_losses(space, 10 * seed + m).items()}


def columns(m: int) -> tuple[np.ndarray, np.ndarray]:
    return np.tile(np.arange(1, m + 1), (2, 1)), np.zeros(2)


def mlxtend(m: int, losses: Losses, *, forward: bool, floating: bool) -> Found:
    seen = set()

    def score(_: object, features: np.ndarray, labels: np.ndarray) -> float:
        chosen = tuple(sorted(int(i) for i in features[0]))
        seen.add(chosen)
        return -losses[chosen]

    selector = SequentialFeatureSelector(
        SetFunction(), k_features=(1, m), forward=forward, floating=floating, scoring=score, cv=0, clone_estimator=False
    ).fit(*columns(m))
    sets = {size: tuple(sorted(i + 1 for i in found["feature_idx"])) for size, found in selector.subsets_.items()}
    return Found(tuple(sorted(i + 1 for i in selector.k_feature_idx_)), sets, frozenset(seen))


def pudil(m: int, losses: Losses, *, forward: bool) -> Found:
    """Floating search word by word after the paper, which looks at every point in a step back, the newest one included."""
    every = frozenset(range(1, m + 1))
    seen: set[Points] = set()

    def loss(chosen: frozenset[int]) -> float:
        seen.add(tuple(sorted(chosen)))
        return losses[tuple(sorted(chosen))]

    def along(chosen: frozenset[int]) -> list[frozenset[int]]:
        return [chosen ^ {i} for i in sorted(every - chosen if forward else chosen)]

    def back(chosen: frozenset[int]) -> list[frozenset[int]]:
        return [chosen ^ {i} for i in sorted(chosen if forward else every - chosen)]

    current = frozenset[int]() if forward else every
    best = {len(current): current}
    loss(current)
    while len(current) != (m if forward else 1):
        before, current = current, min(along(current), key=loss)
        if len(current) not in best or loss(current) < loss(best[len(current)]):
            best[len(current)] = current
        while len(current) not in ((1, 2) if forward else (m - 1, m - 2)):
            least = min(back(current), key=loss)
            if least == before or loss(least) >= loss(best[len(least)]):
                break
            before, current = frozenset(), least
            best[len(least)] = least
    sets = {size: tuple(sorted(chosen)) for size, chosen in best.items() if size}
    return Found(min(sets.values(), key=lambda chosen: losses[chosen]), sets, frozenset(seen) - {()})


def ours(space: SearchSpace, losses: Losses, kind: str) -> Found:
    """Our search to the end of the lattice; the baseline, which the others do not evaluate, left out."""
    engine = lattice(space, Rule(patience=None), kind=kind)
    costs = searched(engine, lambda claim: losses[points(claim.configuration or {})])
    sets = {points(space.configuration(key.configuration)) for key in costs} - {()}
    if isinstance(engine.front, FloatingFront):
        by_size = {size: points(node.configuration) for size, node in engine.front.records.items() if size}
    else:
        by_size = {size: min((s for s in sets if len(s) == size), key=lambda s: losses[s]) for size in set(map(len, sets))}
    best = min(by_size.values(), key=lambda chosen: losses[chosen])
    assert points(engine.path(Table(costs))[-1]) == min((), best, key=lambda chosen: losses[chosen])
    return Found(best, by_size, frozenset(sets))


@pytest.mark.parametrize("m", SIZES)
@pytest.mark.parametrize("kind", ["forward", "backward", "strict_forward", "strict_backward"])
def test_mlxtend_comes_to_the_same_sets_by_the_same_evaluations(kind: str, m: int) -> None:
    for seed in range(IN_MEMORY):
        space, losses = set_function(m, seed)
        reference = mlxtend(m, losses, forward=kind.endswith("forward"), floating=kind.startswith("strict"))
        assert ours(space, losses, kind) == reference, seed


@pytest.mark.parametrize("m", SIZES)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_floating_search_is_the_papers(direction: str, m: int) -> None:
    for seed in range(IN_MEMORY):
        space, losses = set_function(m, seed)
        assert ours(space, losses, f"floating_{direction}") == pudil(m, losses, forward=direction == "forward"), seed


@pytest.mark.parametrize("m", [3, 4])  # with more points, mlxtend bars the newest one from further steps back, too
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_floating_search_is_mlxtends_where_a_step_back_always_improves_on_what_it_is_taken_from(direction: str, m: int) -> None:
    is_forward = direction == "forward"
    for seed in range(IN_MEMORY):
        space, losses = set_function(m, seed, penalty=100.0 if is_forward else -100.0)
        assert ours(space, losses, f"floating_{direction}") == mlxtend(m, losses, forward=is_forward, floating=True), seed


def test_mlxtends_rule_takes_no_step_back_where_every_point_helps() -> None:
    """What `strict` is about: with losses that fall with every point, mlxtend's floating search is plain forward search."""
    steps = [0, 0]
    for seed in range(30):
        space, losses = set_function(5, seed, penalty=-100.0)
        plain, strict = ours(space, losses, "forward"), ours(space, losses, "strict_forward")
        assert strict.by_size == plain.by_size
        floating = ours(space, losses, "floating_forward")
        for size, chosen in floating.by_size.items():
            steps[0] += losses[chosen] < losses[plain.by_size[size]]
            steps[1] += losses[chosen] > losses[plain.by_size[size]]
    assert steps[0] > 10 and steps[1] == 0


@pytest.mark.parametrize("m", SIZES)
@pytest.mark.parametrize(
    ("sampler", "forward", "floating"),
    [
        (SFSASampler, True, False),
        (BackwardSampler, False, False),
        (lambda space, **options: FloatingSampler(space, strict=True, **options), True, True),
        (lambda space, **options: FloatingSampler(space, direction="backward", strict=True, **options), False, True),
    ],
)
def test_studies_come_to_what_mlxtend_finds(sampler: type[SearchSampler], forward: bool, floating: bool, m: int) -> None:
    for seed in range(IN_STUDIES):
        space, losses = set_function(m, seed)
        made = sampler(space, patience=None)  # type: ignore[call-arg]
        study = run(made, lambda trial, s=space, table=losses: table[points(s.suggest(trial))])  # type: ignore[misc]
        found = mlxtend(m, losses, forward=forward, floating=floating)
        best = made.best(study)
        assert best is not None
        assert points(best) == min((), found.best, key=lambda chosen, table=losses: table[chosen])  # type: ignore[misc]
        assert {points(c) for c in evaluated(study, space)} == found.evaluated | {()}
        assert [points(c) for c in made.n_best(study, 2**m)] == sorted(found.evaluated | {()}, key=lambda c: losses[c])


@pytest.mark.parametrize("m", SIZES)
def test_sfsa_ends_at_the_first_size_of_sequential_feature_selection_without_improvement(m: int) -> None:
    for seed in range(IN_STUDIES):
        space, losses = set_function(m, seed)
        sampler = SFSASampler(space)
        study = run(sampler, lambda trial, s=space, table=losses: table[points(s.suggest(trial))])  # type: ignore[misc]
        path: list[Points] = [()]
        for _, grown in sorted(mlxtend(m, losses, forward=True, floating=False).by_size.items()):
            if losses[grown] >= losses[path[-1]]:
                break
            path.append(grown)
        assert [points(c) for c in sampler.path(study)] == path


def exhaustive(m: int, losses: Losses) -> Points:
    """The best set that mlxtend finds, or the empty one, which it does not try."""
    selector = ExhaustiveFeatureSelector(
        SetFunction(),
        min_features=1,
        max_features=m,
        scoring=lambda _, features, labels: -losses[tuple(sorted(features[0]))],
        cv=0,
        print_progress=False,
        clone_estimator=False,
    ).fit(*columns(m))
    return min((), tuple(sorted(i + 1 for i in selector.best_idx_)), key=lambda chosen: losses[chosen])


@pytest.mark.parametrize("m", SIZES)
def test_exhaustive_finds_the_optimum_of_exhaustive_feature_selection(m: int) -> None:
    for seed in range(IN_STUDIES):
        space, losses = set_function(m, seed)
        sampler = ExhaustiveSampler(space)
        study = run(sampler, lambda trial, s=space, table=losses: table[points(s.suggest(trial))])  # type: ignore[misc]
        best = sampler.best(study)
        assert best is not None
        assert points(best) == exhaustive(m, losses)
        assert len(study.trials) == space.size


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("inherit", ["none", "parent"])
def test_sfsa_is_beam_search_of_width_one(seed: int, inherit: str) -> None:
    space = SearchSpace(choices(3, ("mmtm", "concat_conv")))
    objective = lookup(random_losses(space, seed), space)
    greedy, beam = SFSASampler(space, inherit=inherit), BeamSampler(space, width=1, inherit=inherit)
    first, second = run(greedy, objective), run(beam, objective)
    assert evaluated(first, space) == evaluated(second, space)
    assert greedy.state(first) == beam.state(second)


@pytest.mark.parametrize("seed", range(10))
def test_searches_wide_enough_are_exhaustive(seed: int) -> None:
    space = SearchSpace(choices(3, ("mmtm", "concat_conv")))
    objective = lookup(random_losses(space, seed), space)
    beam, every = BeamSampler(space, width=space.size, patience=4), ExhaustiveSampler(space)
    first, second = run(beam, objective), run(every, objective)
    assert beam.best(first) == every.best(second)
    assert len(first.trials) == len(second.trials) == space.size == beam.max_evaluations
    plain = SearchSpace(choices(4))
    objective = lookup(random_losses(plain, seed), plain)
    backward, every = BackwardSampler(plain, width=6, patience=None), ExhaustiveSampler(plain)
    first, second = run(backward, objective), run(every, objective)
    assert backward.best(first) == every.best(second)
    assert len(first.trials) == 16 == backward.max_evaluations
