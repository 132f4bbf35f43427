"""Records of expert routing: what is replayed, compared and shown is what was measured."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks import expert_routing, expert_routing_seeds
from benchmarks.record_landscapes import LANDSCAPES
from nas_fusion import Landscape, load_space
from tests.nas_fusion_tests.samplers_tests.constrained import Branches

SPACE = load_space("expert-routing")
TINY = ["--train", "24", "--validation", "12", "--test", "12", "--regions", "20", "--epochs", "1"]
COHORT = {"train": 8, "validation": 6, "test": 4, "regions": 20}
RECORD, SEEDS_RECORD = (module.RECORDS / f"{module.NAME}.json" for module in (expert_routing, expert_routing_seeds))


@pytest.fixture
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expert_routing, "DRAWING", {"random": 4, "tpe": 1})


def landscape(seed: int) -> Landscape:
    losses = np.random.default_rng(seed).uniform(0.2, 0.6, 31)
    return Landscape(dict(zip(SPACE.configurations(), losses.tolist(), strict=True)), SPACE)


def rows(n: int) -> list[dict[str, Any]]:
    """Results of cohort seeds in which the static model is better than FC alone by 0.4 on the average."""
    names = [*expert_routing_seeds.REFERENCES, *expert_routing_seeds.CONFIGURATIONS]
    return [
        {
            "seed": seed,
            "arms": {
                name: {"loss": 0.7 + 0.01 * seed if name == "FC alone" else 0.3 - 0.01 * seed, "accuracy": 0.8, "auc": 0.9}
                for name in names
            },
        }
        for seed in range(n)
    ]


def test_searches_are_tested_on_this_space() -> None:
    """The samplers' and the analysis' own tests know no space that can be trained."""
    assert dict(Branches().parameters) == dict(SPACE.parameters)
    assert list(Branches().configurations()) == list(SPACE.configurations())


# --- the landscape ---


@pytest.mark.usefixtures("_few_draws")
def test_searches_are_replayed_on_the_landscape() -> None:
    table = landscape(0)
    found = expert_routing.searches(table)
    assert found["exhaustive"]["evaluations"] == 31 and found["exhaustive"]["regret"] == 0.0
    assert found["surrogate, 12 trials"]["evaluations"] == 12 and found["surrogate, default budget"]["evaluations"] == 22
    step = min(SPACE.forward_moves(SPACE.baseline), key=table.loss)
    if table.loss(step) > table.loss(SPACE.baseline):
        assert found["SFSA"]["evaluations"] == 6 and found["SFSA"]["selected"] == {}
    for row in found.values():
        assert 0.0 <= row["regret"] <= max(table.losses.values()) - table.minimum
    assert found["random, 22 trials"]["regret"] <= found["random, 12 trials"]["regret"]


@pytest.mark.usefixtures("_few_draws")
def test_page_shows_each_search_with_its_mean_regret() -> None:
    facts = {"best": {"sc": "e3k2"}, "epochs": {"trained": 272, "without_sharing": 992}}
    facts["static_minus_best"] = {"validation": [0.01, -0.01, 0.03], "test": [-0.002, -0.01, 0.006]}  # type: ignore[dict-item]
    results = [expert_routing.result(seed, landscape(seed), facts) for seed in (0, 1)]
    drawing = {"random": 4, "tpe": 1}
    record = {"command": "made so", "conditions": conditions(), "cohort": COHORT, "drawing": drawing}
    text = expert_routing.page(results, record)
    mean = statistics.fmean(row["searches"]["SFSA"]["regret"] for row in results)
    cells = " | ".join(f"{row['searches']['SFSA']['evaluations']}, {row['searches']['SFSA']['regret']:.4f}" for row in results)
    assert f"| SFSA | {cells} | {mean:.4f} |" in text
    assert "| sc e3k2 | 272 of 992 (27%) |" in text and "| 1 | +0.0100 (-0.0100 to +0.0300) | -0.0020" in text


@pytest.mark.slow
@pytest.mark.usefixtures("_few_draws")
def test_every_configuration_is_trained_and_stages_are_shared(tmp_path: Path) -> None:
    places = ["--store", str(tmp_path / "store"), "--landscapes", str(tmp_path), "--out", str(tmp_path)]
    expert_routing.main(["--cohort-seeds", "3", *TINY, *places])
    table = Landscape.from_csv(tmp_path / "expert_routing_seed3.csv", SPACE)
    (row,) = json.loads((tmp_path / "expert_routing.json").read_text())["results"]
    assert table.complete and row["lowest"] == table.minimum and row["static"] == table.loss(SPACE.baseline)
    assert row["epochs"] == {"trained": 3 + 31, "without_sharing": 4 * 31}  # two encoders and the static model once
    assert (tmp_path / "expert_routing.md").read_text().startswith("# The landscape of expert routing")


@pytest.mark.usefixtures("_few_draws")
@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_landscape_page_is_made_from_the_record_and_the_tables() -> None:
    record = json.loads(RECORD.read_text())
    assert RECORD.with_suffix(".md").read_text() == expert_routing.page(record["results"], record)
    assert len(record["results"]) >= 3
    for row in record["results"]:
        table = expert_routing.table_of(LANDSCAPES / f"expert_routing_seed{row['seed']}.csv", SPACE)
        assert table.complete and row["lowest"] == pytest.approx(table.minimum)
        again = expert_routing.searches(table)
        assert all(row["searches"][title] == again[title] for title in expert_routing.SEARCHES)


# --- seeds ---


def test_intervals_are_students() -> None:
    values = [0.1, 0.3, 0.2, 0.5]
    mean, low, high, n = expert_routing_seeds.interval(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (mean, low, high, n) == pytest.approx((0.275, expected.low, expected.high, 4))
    with pytest.raises(ValueError, match="`values` must be at least two for an interval, but got 1"):
        expert_routing_seeds.interval([0.1])


def test_differences_are_paired_by_seed() -> None:
    results = rows(3)
    assert expert_routing_seeds.differences(results, "FC alone", "static") == pytest.approx([0.4, 0.42, 0.44])
    record = {"command": "made so", "conditions": conditions(), "cohort": COHORT}
    text = expert_routing_seeds.page(results, record)
    assert "| FC alone − static | +0.4200 | +0.3703 to +0.4697 | 3 of 3 |" in text
    assert "| static − 3 experts | +0.0000 | +0.0000 to +0.0000 | 0 of 3 |" in text
    assert "| FC alone | 0.700 | 0.710 | 0.720 | 0.710 | 0.800 | 0.900 |" in text


@pytest.mark.slow
def test_every_model_is_scored_on_the_test_subjects(tmp_path: Path) -> None:
    places = ["--store", str(tmp_path / "store"), "--out", str(tmp_path)]
    expert_routing_seeds.main(["--cohort-seeds", "0", "1", *TINY, *places])
    results = json.loads((tmp_path / "expert_routing_seeds.json").read_text())["results"]
    assert [row["seed"] for row in results] == [0, 1]
    for row in results:
        assert list(row["arms"]) == [*expert_routing_seeds.REFERENCES, *expert_routing_seeds.CONFIGURATIONS]
        assert all(0.0 < arm["loss"] < 5.0 and 0.0 <= arm["auc"] <= 1.0 for arm in row["arms"].values())


@pytest.mark.skipif(not SEEDS_RECORD.exists(), reason="not recorded yet")
def test_seeds_page_is_made_from_the_record() -> None:
    record = json.loads(SEEDS_RECORD.read_text())
    assert SEEDS_RECORD.with_suffix(".md").read_text() == expert_routing_seeds.page(record["results"], record)
    assert len(record["results"]) >= 5


def conditions() -> dict[str, str]:
    names = ("date", "processor", "cores", "python", "nas-fusion", "torch", "monai", "optuna", "numpy")
    return {name: f"<{name}>" for name in names}


@pytest.mark.skipif(not SEEDS_RECORD.exists(), reason="not recorded yet")
def test_two_connectomes_tell_more_than_one_on_every_recorded_seed() -> None:
    results = json.loads(SEEDS_RECORD.read_text())["results"]
    gains = expert_routing_seeds.differences(results, "FC alone", "static")
    assert statistics.fmean(gains) >= 0.3 and min(gains) > 0.2
    assert expert_routing_seeds.interval(gains).low > 0.2
