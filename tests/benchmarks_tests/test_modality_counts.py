"""Numbers of modalities: what is counted of a search is what it did, and the record shows what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _answers as answers
from benchmarks import modality_counts as counts
from benchmarks._chain import chain
from nas_fusion import EvaluationWorker, load_space

RECORD = answers.RECORDS / f"{counts.NAME}.json"
PARTS = {"train": 40, "validation": 20, "test": 20}


def row(setting: str, modalities: int, seed: int, four: float = 0.3) -> dict[str, Any]:
    """A search that took two points, of which the second brings nothing, where four points have a test loss."""
    tests = {"A_0": 0.69, "best single point": 0.35, "SFSA": 0.35, "all four": four + 0.001 * seed}
    made = {
        "setting": setting,
        "modalities": [f"m{i}" for i in range(modalities)],
        "seed": seed,
        "floors": {"late_fusion": 0.62, "joint": 0.2},
        "path": ["none", "layer2", "layer2 + layer3"],
        "losses": [0.69, 0.31, 0.30],
        "rounds": 3,
        "trained": 10,
        "at_most": 11,
        "epochs": 50.0,
        "flops": 3e12,
        "arms": {name: {"validation": loss, "test": loss, "accuracy": 0.9} for name, loss in tests.items()},
    }
    if setting == counts.CHAIN:
        made["landscape"] = {"none": [0.69, 0.69], "layer2": [0.31, 0.33], "layer2 + layer3": [0.32, 0.32]}
    return made


def test_optima_regret_and_modules_are_read_from_the_words() -> None:
    found = row(counts.CHAIN, 2, 0)
    assert counts.optimum(found) == "layer2" and counts.regret(found) == pytest.approx(0.01)
    words = ("none", "layer2", "layer1 mmtm(m1,m2) + layer4")
    assert [counts.modules_in(each) for each in words] == [0, 1, 2]


def test_answer_and_page_show_settings_that_were_run() -> None:
    results = [row(counts.CHAIN, n, seed) for n in (2, 3) for seed in (0, 1, 2)]
    said = counts.answer(results)
    assert "takes 3.0 to 3.0 rounds and 10.0 to 10.0 trainings" in said and "several modules in 6 of 6 searches" in said
    assert "holds several in 0 of 6 complete landscapes" in said and "chain, 2: +0.049 (" in said and "MRI" not in said
    more = [{**row(counts.PAIRS, 3, seed), "trained": 30, "flops": 9e12} for seed in (0, 1)]
    assert "it takes 30.0 trainings with 3 (3.0 times the operations)." in counts.answer([*results, *more])
    assert counts.gains(results[:3], "best single point", "all four") == pytest.approx([0.05, 0.049, 0.048])


def test_a_search_is_counted_as_it_went(tmp_path: Path) -> None:
    plan = {"epochs": 1, "batch_size": 20}
    cohort = chain(3, seed=3, **PARTS)
    space: Any = load_space("fusion-points", preset="small", points="layer1,layer4")
    worker = EvaluationWorker(space, cohort, store=tmp_path, plan=plan)
    found = counts.search(answers.Laboratory(worker, cohort))
    assert found["trained"] == found["epochs"] == {1: 3, 2: 4, 3: 4}[len(found["path"])]
    assert found["path"][0] == "none" and found["losses"] == sorted(found["losses"], reverse=True)
    assert found["rounds"] == min(len(found["path"]), 2) and found["at_most"] == 4
    alone = worker.evaluate(space.baseline).cost["flops"]
    assert found["flops"] >= alone * PARTS["train"] * found["trained"]


@pytest.mark.slow
@pytest.mark.parametrize("setting", [counts.CHAIN, counts.PAIRS])
def test_every_setting_runs(tmp_path: Path, setting: str) -> None:
    found = counts.run(setting, chain(3, seed=3, **PARTS), 3, tmp_path, {"epochs": 1, "batch_size": 20})
    assert len(found["landscape"]) == 16 if setting == counts.CHAIN else "landscape" not in found
    assert found["at_most"] == (11 if setting == counts.CHAIN else 41)
    assert found["subjects"]["all four"][0] == pytest.approx(counts.gains([found], "best single point", "all four")[0])


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_page_is_made_from_the_record() -> None:
    record = json.loads(RECORD.read_text())
    assert RECORD.with_suffix(".md").read_text() == counts.page(record)
    assert len({row["seed"] for row in record["results"]}) >= 3
