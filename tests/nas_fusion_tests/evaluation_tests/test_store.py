from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from nas_fusion import Configuration
from nas_fusion.evaluation import Store, open_artifact_store
from nas_fusion.evaluation.artifacts import DirectoryArtifactStore, MemoryArtifactStore
from nas_fusion.record import Evaluation, Predictions

KEY = "0123456789abcdef"
WEIGHTS = [{"layer.weight": torch.randn(3, 2).t(), "steps": torch.tensor(7)} for _ in range(2)]
PREDICTIONS = Predictions(("süb-1", "sub 2"), np.array([0, 1]), np.array([1, 0]), np.array([[0.25, 0.75], [0.5, 0.5]]))
EVALUATION = Evaluation(
    key=KEY,
    value=0.1 + 0.2,
    fold_losses=(0.25, 1 / 3),
    metrics={"auc": (0.5, math.nan)},
    cost={"seconds": 1.5},
    configuration=Configuration({"layer1": "none"}),
    lineage=(Configuration({"layer1": "none"}),),
    epochs=(1, 2),
    curves=((0.3,), (0.5, 1 / 3)),
    versions={"torch": "2"},
)


def filled(store: Store) -> Store:
    store.put(EVALUATION, WEIGHTS, PREDICTIONS, details={"note": 1})
    return store


@pytest.fixture(params=["memory", "folder", "optuna"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return Store()
    return Store.open(tmp_path / "store") if request.param == "folder" else Store(FileSystemArtifactStore(tmp_path))


def test_what_is_put_comes_back_exactly(store: Store) -> None:
    assert store.get(KEY) is None and store.names(KEY) == () and not store.has(KEY)
    filled(store)
    found = store.get(KEY)
    assert found is not None
    assert math.isnan(found.metrics["auc"][1])
    assert replace(found, metrics={}) == replace(EVALUATION, metrics={}, trained=False)
    for fold in range(2):
        weights = store.weights(KEY, fold)
        assert weights.keys() == WEIGHTS[fold].keys()
        assert all(torch.equal(weights[name], WEIGHTS[fold][name]) for name in weights)
    predictions = store.predictions(KEY)
    assert predictions.subjects == PREDICTIONS.subjects
    assert np.array_equal(predictions.probabilities, PREDICTIONS.probabilities)
    assert store.details(KEY) == {"note": 1}
    suffixes = ("fold0.safetensors", "fold1.safetensors", "predictions.safetensors", "json")
    assert store.names(KEY) == tuple(f"{KEY}.{suffix}" for suffix in suffixes)


def test_what_is_stored_is_never_overwritten(store: Store) -> None:
    filled(store)
    answer = store.put(replace(EVALUATION, value=9.0), WEIGHTS, PREDICTIONS)
    assert answer.value == EVALUATION.value and not answer.trained


def test_predictions_and_states_can_have_keys_of_their_own(store: Store) -> None:
    store.put_predictions("test-1", PREDICTIONS)
    store.put_state("stage-1", WEIGHTS[0])
    assert store.predictions("test-1").subjects == PREDICTIONS.subjects
    assert torch.equal(store.weights("stage-1")["steps"], torch.tensor(7))
    assert store.has("test-1") and store.has("stage-1")
    assert store.get("test-1") is None and store.get("stage-1") is None


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def change_a_value(path: Path) -> None:
    path.write_text(path.read_text().replace("0.25", "0.15"))


DAMAGE = [
    *[
        (damage, name)
        for damage in (truncate, flip_a_bit, Path.unlink)
        for name in ("fold1.safetensors", "predictions.safetensors")
    ],
    (truncate, "json"),
    (flip_a_bit, "json"),
    (change_a_value, "json"),
]


@pytest.mark.parametrize(("damage", "name"), DAMAGE)
def test_damage_is_noticed_and_mended_by_the_next_put(damage: Callable[[Path], object], name: str, tmp_path: Path) -> None:
    store = filled(Store.open(tmp_path))
    damage(tmp_path / f"{KEY}.{name}")
    with pytest.warns(UserWarning, match="is damaged or missing: its evaluation is computed again"):
        assert store.get(KEY) is None
    filled(store)
    assert store.get(KEY) is not None


def test_files_without_a_record_count_as_absent(tmp_path: Path) -> None:
    store = filled(Store.open(tmp_path))
    (tmp_path / f"{KEY}.json").unlink()
    assert store.get(KEY) is None
    with pytest.raises(KeyError, match="`key` must be stored whole"):
        store.weights(KEY, 0)


def test_damaged_weights_are_not_handed_out(tmp_path: Path) -> None:
    store = filled(Store.open(tmp_path))
    flip_a_bit(tmp_path / f"{KEY}.fold0.safetensors")
    with pytest.raises(
        KeyError, match=r"`key` must be stored whole, but 0123456789abcdef.fold0.safetensors is missing or damaged"
    ):
        store.weights(KEY, 0)


def test_a_folder_holds_whole_files_only(tmp_path: Path) -> None:
    class Interrupted:
        def read(self, size: int = -1) -> bytes:
            raise KeyboardInterrupt("in the middle")

    artifacts = DirectoryArtifactStore(tmp_path / "new" / "store")
    with pytest.raises(KeyboardInterrupt, match=r"^in the middle$"):
        artifacts.write("a.json", Interrupted())  # type: ignore[arg-type]
    assert os.listdir(tmp_path / "new" / "store") == []


def test_drafts_of_the_dead_are_cleared_away_after_a_day(tmp_path: Path) -> None:
    for name, age_s in ((".old.partial", 90_000), (".new.partial", 60)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    Store.open(tmp_path)
    assert os.listdir(tmp_path) == [".new.partial"]


@pytest.mark.parametrize("location", ["", "file://"])
def test_a_folder_can_be_given_as_path_or_url(location: str, tmp_path: Path) -> None:
    filled(Store.open(f"{location}{tmp_path}/a b" if not location else f"{location}{tmp_path}/a%20b"))
    assert json.loads((tmp_path / "a b" / f"{KEY}.json").read_text())["key"] == KEY


@pytest.mark.parametrize("location", ["ftp://host/x", "s3://bucket/folder", "s3://"])
def test_other_urls_are_refused(location: str) -> None:
    with pytest.raises(ValueError, match="`artifacts` must be a folder, file:///folder, s3://bucket or gs://bucket, but got"):
        open_artifact_store(location)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"`artifacts` must be a folder, but .* is a file"):
        open_artifact_store(str(tmp_path / "file"))


def test_memory_forgets_what_is_removed() -> None:
    artifacts = MemoryArtifactStore()
    store = filled(Store(artifacts))
    artifacts.remove(f"{KEY}.json")
    assert store.get(KEY) is None
    with pytest.raises(ArtifactNotFound, match="json"):
        artifacts.remove(f"{KEY}.json")


def test_attached_artifacts_are_visible_under_ids_of_the_dashboard(store: Store) -> None:
    filled(store)
    study = optuna.create_study()
    trial = study.ask()
    store.attach(trial, KEY)
    metas = optuna.artifacts.get_all_artifact_meta(study_or_trial=trial, storage=study._storage)
    assert sorted(meta.filename for meta in metas) == sorted(store.names(KEY))
    for meta in metas:
        assert set(meta.artifact_id) <= set("0123456789abcdef-")  # what optuna-dashboard's routes accept
        with (
            store.dashboard_view.open_reader(meta.artifact_id) as shown,
            store.artifact_store.open_reader(meta.filename) as own,
        ):
            assert shown.read() == own.read()


def test_the_dashboard_can_add_and_remove_files_of_its_own(store: Store) -> None:
    view = store.dashboard_view
    own = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    with open(__file__, "rb") as file:
        view.write(own, file)
    with view.open_reader(own) as reader:
        assert reader.read() == Path(__file__).read_bytes()
    view.remove(own)
    with pytest.raises(ArtifactNotFound, match=r"not found|1b4e28ba"):
        view.open_reader(own)
