"""Our searches against mlxtend's, and against one another."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from mlxtend.feature_selection import ExhaustiveFeatureSelector, SequentialFeatureSelector
from sklearn.base import BaseEstimator

from nas_fusion.samplers import BeamSampler, ExhaustiveSampler, SFSASampler
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import choices, evaluated, lookup, points, random_losses, run

optuna.logging.set_verbosity(optuna.logging.WARNING)
SETS = range(200)


class SetFunction(BaseEstimator):  # type: ignore[misc]
    """An estimator whose score is looked up: column j of its features holds the number j + 1."""

    def fit(self, features: np.ndarray, labels: np.ndarray) -> SetFunction:
        return self


def set_function(seed: int) -> tuple[SearchSpace, dict[tuple[int, ...], float]]:
    m = 3 + seed % 4
    space = SearchSpace(choices(m))
    return space, {points(c): loss for c, loss in random_losses(space, seed).items()}


def columns(m: int) -> tuple[np.ndarray, np.ndarray]:
    return np.tile(np.arange(1, m + 1), (2, 1)), np.zeros(2)


def sequential(m: int, losses: dict[tuple[int, ...], float]) -> list[tuple[int, ...]]:
    """The best set of each size as mlxtend grows it, cut at the first that is not better than the one before."""
    selector = SequentialFeatureSelector(
        SetFunction(),
        k_features=m,
        forward=True,
        floating=False,
        scoring=lambda _, features, labels: -losses[tuple(sorted(features[0]))],
        cv=0,
        clone_estimator=False,
    ).fit(*columns(m))
    path: list[tuple[int, ...]] = [()]
    for size in range(1, m + 1):
        grown = tuple(sorted(i + 1 for i in selector.subsets_[size]["feature_idx"]))
        if losses[grown] >= losses[path[-1]]:
            break
        path.append(grown)
    return path


def exhaustive(m: int, losses: dict[tuple[int, ...], float]) -> tuple[int, ...]:
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


@pytest.mark.parametrize("seed", SETS)
def test_sfsa_takes_the_path_of_sequential_feature_selection(seed: int) -> None:
    space, losses = set_function(seed)
    sampler = SFSASampler(space)
    study = run(sampler, lambda trial: losses[points(space.suggest(trial))])
    assert [points(c) for c in sampler.path(study)] == sequential(len(space.parameters), losses)


@pytest.mark.parametrize("seed", SETS)
def test_exhaustive_finds_the_optimum_of_exhaustive_feature_selection(seed: int) -> None:
    space, losses = set_function(seed)
    sampler = ExhaustiveSampler(space)
    study = run(sampler, lambda trial: losses[points(space.suggest(trial))])
    best = sampler.best(study)
    assert best is not None
    assert points(best) == exhaustive(len(space.parameters), losses)
    assert len(study.trials) == space.size


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("inherit", ["none", "parent"])
def test_sfsa_is_beam_search_of_width_one(seed: int, inherit: str) -> None:
    space = SearchSpace(choices(3, ("mmtm", "concat_conv")))
    objective = lookup(random_losses(space, seed), space)
    greedy, beam = SFSASampler(space, inherit=inherit), BeamSampler(space, width=1, inherit=inherit)
    first, second = run(greedy, objective), run(beam, objective)
    assert evaluated(first, space) == evaluated(second, space)
    assert greedy.state(first) == beam.state(second)


@pytest.mark.parametrize("seed", range(20))
def test_beam_as_wide_as_the_space_with_patience_is_exhaustive(seed: int) -> None:
    space = SearchSpace(choices(3, ("mmtm", "concat_conv")))
    objective = lookup(random_losses(space, seed), space)
    beam, every = BeamSampler(space, width=space.size, patience=4), ExhaustiveSampler(space)
    first, second = run(beam, objective), run(every, objective)
    assert beam.best(first) == every.best(second)
    assert len(first.trials) == len(second.trials) == space.size == beam.max_evaluations
