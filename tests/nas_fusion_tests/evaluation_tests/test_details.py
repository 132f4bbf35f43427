"""What is kept beside an evaluation: the plug-ins that it is made of; and local code in its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nas_fusion import EvaluationWorker, SearchSpace, load_space, plugins
from nas_fusion.cohorts import Inputs
from tests.nas_fusion_tests.evaluation_tests.tiny import BOTH, FIRST, OFF, SECOND, TinySpace, tiny_cohort

COHORT = tiny_cohort()
MMTM = {"kind": "modules", "name": "mmtm", "distribution": "nas-fusion", "target": "nas_fusion.fusion.mmtm:MMTM"}
DENSE = {"kind": "routers", "name": "dense", "distribution": "nas-fusion", "target": "nas_fusion.routing.dense:DenseRouter"}


class MadeOf(TinySpace):
    """Says that its choices are plug-ins."""

    module = "mmtm"

    def uses(self, configuration: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Return a module for the first place and a router for the second."""
        named = {"layer1": ("modules", self.module), "layer2": ("routers", "dense")}
        return super().uses(configuration) | {
            kind: (name,) for p, (kind, name) in named.items() if p in self.active(configuration)
        }


class Noting(TinySpace):
    """Notes how many modalities there are."""

    def notes(self, inputs: Inputs) -> dict[str, Any]:
        """Return a fact, and a sentence that is said when a search begins."""
        return {"streams": len(inputs.modalities), "sentences": ["Two streams."]}


def test_what_a_space_notes_is_kept_beside_every_evaluation_but_not_in_its_key() -> None:
    noting, plain = (EvaluationWorker(space, COHORT, device="cpu", plan={"epochs": 1}) for space in (Noting(), TinySpace()))
    assert noting.store.details(noting.evaluate(OFF).key)["notes"] == {"streams": 2}
    assert "notes" not in plain.store.details(plain.evaluate(OFF).key)
    assert noting.key(OFF) == plain.key(OFF)


def kept(worker: EvaluationWorker, key: str) -> list[dict[str, str]]:
    rows = [row for row in worker.store.details(key)["plugins"] if row["kind"] != "spaces"]
    version = plugins.describe("modules", "mmtm").version
    assert all(row["version"] == version for row in rows)
    return [{name: value for name, value in row.items() if name != "version"} for row in rows]


def test_plug_ins_are_kept_beside_every_evaluation() -> None:
    worker = EvaluationWorker(MadeOf(), COHORT, device="cpu", plan={"epochs": 1})
    made = {name: worker.evaluate(choices) for name, choices in (("off", OFF), ("first", FIRST), ("both", BOTH))}
    assert kept(worker, made["off"].key) == []
    assert kept(worker, made["first"].key) == [MMTM]
    assert kept(worker, made["both"].key) == [MMTM, DENSE]
    assert len(worker.store.details(made["first"].key)["folds"]) == 1
    ensemble = worker.evaluate_reference("ensemble_of_placements")
    assert kept(worker, ensemble.key) == [MMTM, DENSE]
    assert "folds" not in worker.store.details(ensemble.key)


def test_all_that_a_space_can_be_made_of() -> None:
    assert MadeOf().all_uses() == {"spaces": ("tiny",), "modules": ("mmtm",), "routers": ("dense",)}
    assert SearchSpace({"a": ["off", "on"]}).all_uses() == {"spaces": ("choices",)}


def test_expert_routing_is_made_of_its_routers() -> None:
    space = load_space("expert-routing", gating="balanced")
    assert space.uses(space.baseline) == {"spaces": ("expert-routing",)}
    assert space.uses(space.complete({"fused": "e3k2"})) == {"spaces": ("expert-routing",), "routers": ("balanced",)}
    full = load_space("expert-routing", scope="full")
    assert full.uses(full.complete({"fused": "e3dense"}))["routers"] == ("dense",)
    assert set(full.all_uses()["routers"]) == {"top_k", "dense"}


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Path]:
    """A module that is code of a file."""
    path = tmp_path / "mine.py"
    path.write_text("class MyModule: pass\n")
    plugins.adopt("modules", f"{path}:MyModule", allowed=True)
    yield path
    del plugins._registered["modules"]["MyModule"], plugins._files["modules", "MyModule"]


def test_changed_local_code_is_another_evaluation(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> tuple[str, ...]:
        worker = EvaluationWorker(MadeOf(), COHORT, device="cpu")
        return worker.key(FIRST, lineage=(OFF,)), worker.key(SECOND), worker.reference_key("alone:a")

    installed = keys()
    monkeypatch.setattr(MadeOf, "module", "MyModule")
    first = keys()
    assert not set(installed) & set(first)
    plugins.adopt("modules", f"{local}:MyModule", allowed=True)
    assert keys() == first
    local.write_text("class MyModule: new = True\n")
    plugins.adopt("modules", f"{local}:MyModule", allowed=True)
    assert not set(keys()) & set(first)
    [row] = [row for row in plugins.available("modules") if row.name == "MyModule"]
    assert row.target == f"{local}:MyModule"
