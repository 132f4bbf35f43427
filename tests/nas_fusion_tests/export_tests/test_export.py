"""Model directories: what is loaded says what was trained, and what is damaged or missing is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas_fusion import Cohort, EvaluationWorker, FusionModule, load_space, plugins, register_module
from nas_fusion.cohorts import draw_splits
from nas_fusion.export import export_model, load_model

OPTIONS = {"points": ["layer2"], "epochs": 2, "hidden": 6, "batch_size": 8}


def cohort(**changes: torch.Tensor) -> Cohort:
    generator = torch.Generator().manual_seed(0)
    n = 48
    modalities = {"a": torch.randn(n, 5, generator=generator), "b": torch.randn(n, 3, generator=generator), **changes}
    made = Cohort(
        name="toy",
        subjects=tuple(f"s{i}" for i in range(n)),
        modalities=modalities,
        kinds=dict.fromkeys(modalities, "vector"),
        labels=(modalities["a"][:, 0] * modalities["b"][:, 0] > 0).long(),
        classes=("no", "yes"),
        fingerprint="toy",
        present=torch.ones(n, len(modalities), dtype=torch.bool),
    )
    return draw_splits(made, folds=2, test=0.25)


COHORT = cohort()


@pytest.fixture(scope="module")
def worker() -> EvaluationWorker:
    return EvaluationWorker(load_space("fusion-points", **OPTIONS), COHORT, seeds=2, device="cpu")


@pytest.fixture(scope="module")
def exported(worker: EvaluationWorker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = worker.evaluate({"layer2": "mmtm"}).key
    return export_model(worker, [key], tmp_path_factory.mktemp("models") / "fused", facts={"study": "toy"})


def test_the_loaded_model_says_what_the_worker_says(worker: EvaluationWorker, exported: Path) -> None:
    loaded = load_model(exported)
    test = COHORT.subset(COHORT.splits.test)  # type: ignore[union-attr]
    said = worker.predict([worker.evaluate({"layer2": "mmtm"}).key], test)
    torch.testing.assert_close(loaded.probabilities(test), torch.from_numpy(said.probabilities), rtol=0, atol=1e-12)
    assert [len(member.networks) for member in loaded.members] == [4]  # type: ignore[arg-type]  # two folds, two seeds
    assert not loaded.training and loaded.facts["facts"] == {"study": "toy"}


def test_what_the_directory_says(worker: EvaluationWorker, exported: Path) -> None:
    facts = json.loads((exported / "model.json").read_text())
    assert facts["space"] == {"name": "fusion-points", "options": worker.space.options()}
    assert facts["modalities"] == [{"name": "a", "kind": "vector", "shape": [5]}, {"name": "b", "kind": "vector", "shape": [3]}]
    (member,) = facts["members"]
    assert member["configuration"] == {"layer2": "mmtm"} and len(member["weights"]) == 4
    row = next(row for row in facts["plugins"] if row["kind"] == "modules")
    assert (row["name"], row["distribution"], row["target"]) == ("mmtm", "nas-fusion", "nas_fusion.fusion.mmtm:MMTM")
    assert row["version"] == worker.evaluate({"layer2": "mmtm"}).versions["nas-fusion"]


def test_references_and_ensembles_are_exported(worker: EvaluationWorker, tmp_path: Path) -> None:
    for name in ("alone:a", "alone:b"):
        worker.evaluate_reference(name)
    worker.evaluate_reference("late_fusion")
    loaded = load_model(export_model(worker, worker.members("late_fusion"), tmp_path / "late"))
    test = COHORT.subset(COHORT.splits.test)  # type: ignore[union-attr]
    said = worker.predict(worker.members("late_fusion"), test).probabilities
    torch.testing.assert_close(loaded.probabilities(test), torch.from_numpy(said), rtol=0, atol=1e-12)
    lacking = replace(test, present=torch.tensor([[True, False], *[[True, True]] * (len(test) - 1)]))
    alone = load_model(export_model(worker, worker.members("alone:a"), tmp_path / "alone")).probabilities(test)
    both = loaded.probabilities(lacking)
    assert torch.equal(both[0], alone[0])  # the model of b says nothing of who lacks b
    assert torch.equal(both[1:], loaded.probabilities(test)[1:])


def test_a_missing_plugin_is_named_with_distribution_and_version(exported: Path, tmp_path: Path) -> None:
    facts = json.loads((exported / "model.json").read_text())
    row = next(row for row in facts["plugins"] if row["kind"] == "modules")
    row |= {"name": "gone", "distribution": "their-fusion", "version": "1.2", "target": "their.module:Gone"}
    (tmp_path / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"no module 'gone' \(their.module:Gone of the distribution their-fusion 1.2\)"):
        load_model(tmp_path)


def test_a_module_of_a_program_is_recorded_and_needed(tmp_path: Path) -> None:
    @register_module("halved")
    class Halved(FusionModule):
        def __init__(self, channels: list[int], *, spatial_dims: int = 3) -> None:
            super().__init__(channels, spatial_dims=spatial_dims)
            self.share = torch.nn.Parameter(torch.zeros(()))

        def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
            return [x * (1 + self.share) for x in features]

    try:
        worker = EvaluationWorker(load_space("fusion-points", modules=["halved"], **OPTIONS), COHORT, device="cpu")
        folder = export_model(worker, [worker.evaluate({"layer2": "halved"}).key], tmp_path / "own")
        assert load_model(folder).probabilities(COHORT).shape == (48, 2)
    finally:
        del plugins._registered["modules"]["halved"]
    with pytest.raises(ValueError, match=r"there is no module 'halved' \(.*Halved, registered by a program\)"):
        load_model(folder)


def test_damage_and_wrong_use_are_refused(worker: EvaluationWorker, exported: Path, tmp_path: Path) -> None:
    key = worker.evaluate({"layer2": "mmtm"}).key
    with pytest.raises(ValueError, match=r"`folder` must be a model directory, which has a model\.json"):
        load_model(tmp_path)
    with pytest.raises(ValueError, match="`out` must be a new or empty folder"):
        export_model(worker, [key], exported)
    with pytest.raises(ValueError, match="`keys` must be at least one"):
        export_model(worker, [], tmp_path / "none")
    with pytest.raises(ValueError, match="`keys` must be in the store undamaged, but 'unknown'"):
        export_model(worker, ["unknown"], tmp_path / "unknown")
    copy = export_model(worker, [key], tmp_path / "copy")
    weights = copy / "member0.fold1.seed0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"member0.fold1.seed0.safetensors is missing or damaged"):
        load_model(copy)
    facts = json.loads((copy / "model.json").read_text())
    for garbled in ({"space": {}}, {"plugins": "x"}, {"members": [{}]}):
        (copy / "model.json").write_text(json.dumps(facts | garbled))
        with pytest.raises(ValueError, match=r"model\.json is garbled"):
            load_model(copy)
    other = [{**facts["members"][0], "configuration": {"layer9": "mmtm"}}]
    (copy / "model.json").write_text(json.dumps(facts | {"members": other}))
    with pytest.raises(ValueError, match="`configuration` must choose exactly for"):
        load_model(copy)
    (copy / "model.json").write_text("{")
    with pytest.raises(ValueError, match=r"model\.json cannot be read"):
        load_model(copy)
    (copy / "model.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match=r"format 1, but .* has format 99"):
        load_model(copy)


def test_other_inputs_are_refused(exported: Path) -> None:
    loaded = load_model(exported)
    with pytest.raises(ValueError, match=r"`inputs` must hold \['a', 'b'\], but got \['a'\]"):
        loaded({"a": torch.zeros(2, 5)})
    with pytest.raises(ValueError, match=r"`inputs\['b'\]` must have shape \(batch, \*\(3,\)\), but got \(2, 4\)"):
        loaded({"a": torch.zeros(2, 5), "b": torch.zeros(2, 4)})
    with pytest.raises(ValueError, match="`cohort` must have the modalities and classes"):
        loaded.probabilities(cohort(b=torch.zeros(48, 4)))
