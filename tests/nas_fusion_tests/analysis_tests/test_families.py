from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nas_fusion.analysis import FAMILIES, Landscape, deceptiveness, noisy, point_values, synergy_landscape
from nas_fusion.analysis.families import (
    BASE,
    ORDERS,
    additive,
    diminishing,
    nk,
    quadratic,
    synergy_pairs,
    trap,
    xor_pair,
)
from nas_fusion.space import Configuration


def points(configuration: Configuration) -> frozenset[str]:
    return frozenset(name for name, choice in configuration.items() if choice != "none")


def dividends(landscape: Landscape) -> dict[frozenset[str], float]:
    """What each set of points adds beyond all of its parts (Harsanyi): the interactions in the plain sense, by their sum."""
    losses = {points(configuration): loss for configuration, loss in landscape.losses.items()}
    found: dict[frozenset[str], float] = {}
    for chosen in sorted(losses, key=len):
        parts = (frozenset(part) for size in range(len(chosen)) for part in itertools.combinations(sorted(chosen), size))
        found[chosen] = losses[chosen] - sum(found[part] for part in parts)
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_a_complete_landscape_of_plausible_losses_decided_by_its_seed(name: str) -> None:
    landscape = FAMILIES[name](6, 3)
    assert landscape.complete and len(landscape) == 64
    assert list(landscape.space.parameters) == [f"layer{i}" for i in range(1, 7)]
    losses = np.array(list(landscape.losses.values()))
    assert 0.15 < losses.min() < losses.max() < 1.0
    assert dict(FAMILIES[name](6, 3).runs) == dict(landscape.runs)
    assert dict(FAMILIES[name](6, 4).runs) != dict(landscape.runs)


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_interactions_reach_the_order_that_is_told_and_no_further(name: str, seed: int) -> None:
    by_order = {len(chosen): 0.0 for chosen in dividends(FAMILIES[name](6, seed))}
    for chosen, dividend in dividends(FAMILIES[name](6, seed)).items():
        by_order[len(chosen)] = max(by_order[len(chosen)], abs(dividend))
    assert by_order[ORDERS[name]] > 1e-3
    assert all(size < 1e-12 for order, size in by_order.items() if order > ORDERS[name])


@pytest.mark.parametrize("seed", range(5))
def test_additive(seed: int) -> None:
    landscape = additive(7, seed, strength=0.3, harmful=0.4)
    alone = {name: landscape.loss(landscape.space.complete({name: "mmtm"})) for name in landscape.space.parameters}
    assert points(landscape.optimum) == {name for name, loss in alone.items() if loss < BASE}
    assert landscape.minimum == pytest.approx(BASE - 0.3)
    assert not deceptiveness(landscape).is_trapped


@pytest.mark.parametrize("seed", range(5))
def test_diminishing_returns(seed: int) -> None:
    landscape = diminishing(7, seed, cost=0.03)
    values = point_values(landscape)
    assert max(values.interactions.values()) <= 1e-12  # each point takes from what the others bring
    alone = sorted(landscape.space.parameters, key=lambda name: landscape.loss(landscape.space.complete({name: "mmtm"})))
    best = points(landscape.optimum)
    assert best == set(alone[: len(best)]) and 0 < len(best) < 7
    found = deceptiveness(landscape)
    assert not found.is_trapped and found.is_reachable


@pytest.mark.parametrize(("m", "pairs"), [(3, 1), (6, 1), (6, 2), (9, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_synergy_pairs_pay_off_only_together(m: int, pairs: int, seed: int) -> None:
    landscape = synergy_pairs(m, seed, pairs=pairs, strength=0.3, decoy=0.5)
    found = deceptiveness(landscape)
    assert len(points(landscape.optimum)) == 2 * pairs
    assert landscape.minimum == pytest.approx(BASE - 0.3, abs=2 * pairs * 0.02)
    assert len(found.path) == 2 and found.is_trapped  # the decoy alone
    assert landscape.loss(found.path[-1]) == pytest.approx(BASE - 0.5 * 0.3 / pairs)
    assert not points(found.path[-1]) & points(landscape.optimum)
    assert not found.is_reachable
    strong = [pair for pair, shared in point_values(landscape).interactions.items() if shared > 0.01]
    assert len(strong) == pairs and {point for pair in strong for point in pair} == points(landscape.optimum)


def test_the_trap_is_the_planted_landscape_in_another_order() -> None:
    planted, drawn = synergy_landscape(6), trap(6, 1)
    assert sorted(planted.losses.values()) == sorted(drawn.losses.values())
    assert planted.optimum != drawn.optimum
    assert deceptiveness(drawn).regret == pytest.approx(0.22)


def test_exactly_one_of_the_pair_lowers_the_loss() -> None:
    landscape = xor_pair(5, 2, strength=0.2, decoy=0.1)
    assert sorted({round(loss, 12) for loss in landscape.losses.values()}) == [0.35, 0.45, 0.55, 0.65]
    one, other = (configuration for configuration in landscape.optima() if len(points(configuration)) == 2)
    (decoy,) = points(one) & points(other)
    both = landscape.space.complete(dict.fromkeys(points(one) | points(other), "mmtm"))
    assert landscape.loss(both) == pytest.approx(0.55)
    assert landscape.loss(landscape.space.complete({decoy: "mmtm"})) == pytest.approx(0.55)


def test_quadratic_without_interactions_is_additive() -> None:
    landscape = quadratic(5, 0, pairwise=0.0)
    assert landscape.minimum == pytest.approx(0.25) and max(landscape.losses.values()) == pytest.approx(0.70)
    assert max(abs(shared) for shared in point_values(landscape).interactions.values()) < 1e-12


def test_nk_grows_rugged_with_k() -> None:
    local = [np.mean([len(deceptiveness(nk(7, k, seed)).basins["all"]) for seed in range(8)]) for k in (0, 2, 6)]
    assert local[0] == 1.0
    assert 1.0 < local[1] < local[2]
    expected = 2**7 / 8  # without structure each of the m + 1 neighbours is as likely the best: Kauffman and Levin 1987
    assert local[2] == pytest.approx(expected, rel=0.2)


def test_noise_has_a_part_of_the_fold_and_a_part_of_its_own() -> None:
    truth = quadratic(9, 0)
    seen = noisy(truth, sd=0.03, folds=4, fold_sd=0.1, seed=1)
    samples = np.array(list(seen.samples.values())) - np.array(list(truth.losses.values()))[:, None]
    assert samples.shape == (512, 4)
    hard = samples.mean(axis=0)
    assert np.abs(hard).max() > 0.03
    own = samples - hard
    assert stats.kstest(own.ravel() / 0.03, "norm").pvalue > 0.01
    assert np.abs(np.corrcoef(own.T) - np.eye(4)).max() < 0.2
    errors = [seen.standard_error(configuration) for configuration in seen.losses]
    assert min(errors) > 0 and np.mean(errors) == pytest.approx(np.std(hard, ddof=1) / math.sqrt(4), rel=0.3)


def test_without_noise_nothing_changes_and_what_is_missing_stays_missing() -> None:
    truth = synergy_landscape()
    assert dict(noisy(truth, sd=0.0, fold_sd=0.0).losses) == pytest.approx(dict(truth.losses))
    part = Landscape({truth.space.baseline: 0.65}, truth.space)
    assert len(noisy(part, folds=3).samples[truth.space.baseline]) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: additive(0), r"`m` must be in \[1, 20\], but got 0\."),
        (lambda: additive(4, strength=0.7), r"`strength` must be in \(0, 0.65\), but got 0.7\."),
        (lambda: additive(4, harmful=1.0), r"`harmful` must be in \[0, 1\), but got 1.0\."),
        (lambda: diminishing(4, floor=0.0), r"`floor` must be in \(0, 0.65\), but got 0.0\."),
        (lambda: diminishing(4, cost=-0.1), r"`cost` must be in \[0, 0.65\), but got -0.1\."),
        (lambda: diminishing(4, shares=(0.5, 0.2)), r"`shares` must be a range within \[0, 1\), but got \(0.5, 0.2\)\."),
        (lambda: synergy_pairs(4, pairs=2), r"`m` must be in \[5, 20\], but got 4\."),
        (lambda: synergy_pairs(4, pairs=0), r"`pairs` must be at least 1, but got 0\."),
        (lambda: synergy_pairs(4, decoy=0.9), r"`decoy` must be in \(0, 0.8\], but got 0.9\."),
        (lambda: synergy_pairs(4, clash=0.5), r"`clash` must be in \(0.5, 2\], but got 0.5\."),
        (lambda: trap(3), r"`m` must be in \[4, 20\], but got 3\."),
        (lambda: quadratic(4, density=1.5), r"`density` must be in \[0, 1\], but got 1.5\."),
        (lambda: quadratic(4, pairwise=math.inf), "`pairwise` must be finite and at least 0, but got inf"),
        (lambda: nk(4, 4), r"`k` must be in \[0, 4\), but got 4\."),
        (lambda: xor_pair(4, strength=0.6, decoy=0.1), r"`decoy` must be in \(0, 0.05\), but got 0.1\."),
        (lambda: noisy(trap(4), folds=0), "`folds` must be at least 1, but got 0"),
        (lambda: noisy(trap(4), sd=-1.0), "`sd` must be finite and at least 0, but got -1.0"),
        (lambda: noisy(trap(4), fold_sd=math.nan), "`fold_sd` must be finite and at least 0, but got nan"),
    ],
)
def test_wrong_parameters_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
