"""Modules and points: the permutation test holds its level and finds what is there; the record shows what was measured."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import _answers as answers
from benchmarks import module_points as points
from nas_fusion import load_cohort

RECORD = answers.RECORDS / f"{points.NAME}.json"
Array = points.Array


def results(table: Array, validation: Array | None = None) -> list[dict[str, Any]]:
    """Rows of a record with given losses `(seeds, modules, points)`."""
    seen = table if validation is None else validation
    names = [f"module{i}" for i in range(table.shape[1])]
    return [
        {
            "seed": seed,
            "target": 0.41,
            "baseline": {"test": 0.66},
            "parameters": {name: dict.fromkeys(points.POINTS, 7) for name in names},
            "arms": {
                name: {p: {"test": table[seed, i, j], "validation": seen[seed, i, j]} for j, p in enumerate(points.POINTS)}
                for i, name in enumerate(names)
            },
        }
        for seed in range(len(table))
    ]


def test_exhaustive_permutations_give_the_share_of_orders_that_are_as_extreme() -> None:
    table = np.random.default_rng(0).normal(size=(2, 3, 4))

    def spread(moved: Array) -> float:
        profiles = (moved - moved.mean(axis=2, keepdims=True)).sum(axis=0)
        return float(((profiles - profiles.mean(axis=0)) ** 2).sum())

    orders = [list(order) for order in itertools.permutations(range(3))]
    all_of_them = [spread(np.stack([table[0][a], table[1][b]])) for a in orders for b in orders]
    expected = np.mean(np.array(all_of_them) >= spread(table) * (1 - 1e-9))
    assert points.interaction(table) == pytest.approx(expected)


def test_the_permutation_test_holds_its_level_and_finds_an_interaction() -> None:
    rng = np.random.default_rng(1)
    common = np.array([0.0, 0.3, 0.1, 0.2])
    chances = [points.interaction(rng.normal(0, 0.05, (3, 3, 4)) + common) for _ in range(200)]
    assert 0.02 <= np.mean(np.array(chances) <= 0.1) <= 0.18
    moved = rng.normal(0, 0.02, (3, 3, 4)) + np.stack([np.roll(common, i) for i in range(3)])
    assert points.interaction(moved) < 0.05
    assert points.interaction(np.tile(common, (3, 3, 1))) == 1.0


def test_price_of_one_point_for_all() -> None:
    table = np.array([[[0.1, 0.2, 0.3, 0.4], [0.3, 0.25, 0.35, 0.45]]] * 2)
    rows = results(table)  # the common point is layer1, by the means 0.2, 0.225, ...
    assert points.price(rows, 0) == pytest.approx([0.0, 0.0]) and points.price(rows, 1) == pytest.approx([0.05, 0.05])
    assert points.agreements(rows) == {("module0", "module1"): pytest.approx(2 / 3)}
    said = points.answer(rows)
    assert "layer1 for module0 (0.100), layer2 for module1 (0.250)" in said and "is not shown to depend" in said
    assert "Yet layer1 is within 0.050 nats of the best of every module" in said and "shown with no module" not in said


def test_every_module_is_trained_at_every_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "POINTS", ("layer1", "layer4"))
    cohort = load_cohort("simulated-mri", shape=8, train=8, validation=4, test=4)
    row = points.run(0, cohort, str(tmp_path), 1, ("mmtm", "film"))
    assert row["parameters"]["mmtm"] == {"layer1": 16 * 4 + 4 + 2 * (4 * 8 + 8), "layer4": 128 * 32 + 32 + 2 * (32 * 64 + 64)}
    assert {len(arms) for arms in row["arms"].values()} == {2} and row["arms"]["film"]["layer4"]["lineage_epochs"] == 2


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_page_is_made_from_the_record() -> None:
    record = json.loads(RECORD.read_text())
    assert RECORD.with_suffix(".md").read_text() == points.page(record)
    assert len(record["results"]) >= 3
