"""Analysis of a space in which parameters may be without effect, with several choices each: what is defined there, and how."""

from __future__ import annotations

import itertools
import math
import statistics
from pathlib import Path

import numpy as np
import optuna
import pytest

from nas_fusion.analysis import (
    Landscape,
    ShapleyImportanceEvaluator,
    chance_regret,
    deceptiveness,
    importance_table,
    point_values,
    shapley_effects,
)
from nas_fusion.analysis.importance import as_study
from nas_fusion.space import Configuration
from tests.nas_fusion_tests.samplers_tests.constrained import Branches, Full

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE = Branches()


def landscape(seed: int, folds: int = 1) -> Landscape:
    generator = np.random.default_rng(seed)
    return Landscape({c: tuple(generator.normal(size=folds)) for c in SPACE.configurations()}, SPACE)


def test_table_of_a_constrained_space_is_written_and_read(tmp_path: Path) -> None:
    table = landscape(0, folds=3)
    table.to_csv(tmp_path / "table.csv")
    read = Landscape.from_csv(tmp_path / "table.csv", SPACE)
    assert read.losses == table.losses and read.samples == table.samples
    assert len(read) == 31 and read.complete and repr(read).startswith("Landscape(31 of 31 configurations")
    without = Landscape({c: loss for c, loss in table.losses.items() if c != SPACE.baseline}, SPACE)
    assert not without.complete
    with pytest.raises(ValueError, match="`landscape` must be complete, but got 30 of 31 configurations"):
        without.check_complete()


def test_a_landscape_of_a_space_too_large_to_count_is_never_complete() -> None:
    space = Full()
    few = Landscape({space.baseline: 1.0, space.complete({"sc": "e3k2"}): 0.5}, space)
    assert not few.complete and repr(few).startswith(f"Landscape(2 of at most {space.size} configurations")
    with pytest.raises(ValueError, match=f"got 2 of at most {space.size} configurations"):
        few.check_complete()


def test_chance_draws_canonical_configurations() -> None:
    table = landscape(1)
    regrets = chance_regret(table)
    assert len(regrets) == 31 and regrets[31] == 0.0
    assert regrets[1] == pytest.approx(statistics.fmean(table.losses.values()) - table.minimum)


def test_effects_are_those_of_random_search() -> None:
    """Every combination of choices counts alike: the static model twice, since granularity has no effect on it."""
    table = landscape(2)
    drawn = [table.loss(SPACE.configuration(index)) for index in range(SPACE.size)]
    effects = shapley_effects(table)
    assert effects.variance == pytest.approx(np.var(drawn))
    by_granularity = [
        statistics.fmean(loss for index, loss in enumerate(drawn) if SPACE.configuration(index)["granularity"] == choice)
        for choice in SPACE.parameters["granularity"]
    ]
    assert effects.alone["granularity"] == pytest.approx(np.var(by_granularity) / np.var(drawn))
    assert sum(effects.shapley.values()) == pytest.approx(1.0)


def test_importances_of_a_complete_landscape_are_exact() -> None:
    table = landscape(3)
    study = as_study(table)
    assert len(study.trials) == SPACE.size == 32
    found = ShapleyImportanceEvaluator().evaluate(study)
    assert found == pytest.approx(shapley_effects(table).shapley)
    assert importance_table(table)["shapley"].to_dict() == pytest.approx(found)


def test_importances_of_what_a_search_evaluated_are_near() -> None:
    """A search never evaluates the static model with another granularity: that one cell is filled by a model."""
    table = landscape(3)
    study = optuna.create_study()
    study.add_trials(
        [
            trial
            for trial in as_study(table).get_trials(deepcopy=False)
            if SPACE.canonical(trial.params) == Configuration(trial.params)
        ]
    )
    found = ShapleyImportanceEvaluator().evaluate(study)
    exact = shapley_effects(table).shapley
    assert len(study.trials) == 31 and all(abs(found[p] - exact[p]) < 0.1 for p in exact)


def test_a_parameter_without_effect_alone_has_its_part_in_what_it_does_with_others() -> None:
    losses = {c: 1.0 for c in SPACE.configurations()}
    losses |= {c: 0.4 for c in losses if c["granularity"] == "subject" and c["sc"] == "e3k2"}
    worth = point_values(Landscape(losses, SPACE))
    assert worth.on == {"sc": "e3k2", "fc": "e3k2", "fused": "e2k2", "granularity": "subject"}
    assert worth.values == pytest.approx({"sc": 0.3, "fc": 0.0, "fused": 0.0, "granularity": 0.3})
    assert worth.interaction("sc", "granularity") == pytest.approx(0.6)
    assert worth.gain == pytest.approx(0.6)


def test_worth_is_the_mean_over_all_orders() -> None:
    table = landscape(4)
    worth, points = point_values(table), list(SPACE.parameters)

    def loss(on: set[str]) -> float:
        return table.loss({p: worth.on[p] if p in on else SPACE.off(p) for p in points})

    for point in points:
        gains = [
            loss({*order[: order.index(point)]}) - loss({*order[: order.index(point) + 1]})
            for order in itertools.permutations(points)
        ]
        assert worth.values[point] == pytest.approx(statistics.fmean(gains))


def test_traps_are_those_of_the_moves_of_the_space() -> None:
    for seed in range(5):
        table = landscape(seed)
        found = deceptiveness(table)
        path = [SPACE.baseline]
        while better := [c for c in SPACE.forward_moves(path[-1]) if table.losses[c] < table.losses[path[-1]]]:
            path.append(min(better, key=lambda c: table.losses[c]))
        assert list(found.path) == path
        for kind, basins in found.basins.items():
            assert sum(basins.values()) == 31, kind
        stuck = {c for c in table.losses if all(table.losses[m] >= table.losses[c] for m in SPACE.forward_moves(c))}
        assert set(found.basins["forward"]) == stuck
        everywhere = [*SPACE.forward_moves(path[-1]), *SPACE.backward_moves(path[-1]), *SPACE.change_moves(path[-1])]
        assert (path[-1] in found.basins["all"]) == all(table.losses[m] >= table.losses[path[-1]] for m in everywhere)
        assert math.isfinite(found.barrier)  # forward moves lead everywhere
