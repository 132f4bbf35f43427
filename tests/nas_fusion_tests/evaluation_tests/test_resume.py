"""Damage, death and company: the numbers are the same as if nothing had happened."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_fusion import EvaluationWorker
from nas_fusion.record import Evaluation
from tests.nas_fusion_tests.evaluation_tests.tiny import BOTH, FIRST, OFF, TinySpace, tiny_cohort

ROOT = Path(__file__).parents[3]
LINEAGE = (OFF, FIRST)
MOMENTS = ("epoch 1 2", "write 3", "write 4", "write 10")
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import torch._dynamo  # which optimisers load when they are first used: once, not in each child
from nas_fusion import EvaluationWorker
from nas_fusion.evaluation import Store
from nas_fusion.evaluation.artifacts import DirectoryArtifactStore
from tests.nas_fusion_tests.evaluation_tests.tiny import BOTH, FIRST, OFF, TinySpace, tiny_cohort

def reach(folder, moment):
    written = 0

    def stop():
        (folder / "reached").touch()
        time.sleep(600)

    class Slow(DirectoryArtifactStore):
        def write(self, artifact_id, content_body):
            nonlocal written
            written += 1
            if moment == f"write {written}":
                (self.folder / f".{artifact_id}.partial").write_bytes(content_body.read(50))
                stop()
            super().write(artifact_id, content_body)

    def on_epoch(fold, epoch, loss):
        if moment == f"epoch {fold} {epoch}":
            stop()

    store = Store(Slow(folder / "store"))
    worker = EvaluationWorker(TinySpace(), tiny_cohort(folds=2), store=store, device="cpu")
    evaluation = worker.evaluate(BOTH, lineage=(OFF, FIRST), on_epoch=on_epoch)
    (folder / f"value-{os.getpid()}").write_text(repr(evaluation.value))

def start(folder, moment):
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if pid == 0:
        reach(folder, moment)
        os._exit(0)
    return pid

root = Path(sys.argv[1])
for moment in sys.argv[2:]:
    pid = start(root / moment, moment)
    while not (root / moment / "reached").exists():
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), moment
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
for pid in [start(root / "together", "never") for _ in range(2)]:
    assert os.waitpid(pid, 0)[1] == 0
"""


def worker(store: Path | None = None) -> EvaluationWorker:
    return EvaluationWorker(TinySpace(), tiny_cohort(folds=2), store=store, device="cpu")


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where processes of their own worked: one killed at each moment, and two at once that were let be."""
    root = tmp_path_factory.mktemp("disturbed")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM, str(root), *MOMENTS], env=environment, cwd=ROOT, check=True, timeout=250)
    return root


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluationWorker, Evaluation]:
    ours = worker(tmp_path_factory.mktemp("undisturbed"))
    return ours, ours.evaluate(BOTH, lineage=LINEAGE)


def assert_same(ours: EvaluationWorker, undisturbed: tuple[EvaluationWorker, Evaluation]) -> None:
    other, expected = undisturbed
    found = ours.evaluate(BOTH, lineage=LINEAGE)
    assert (found.key, found.value, found.curves, found.epochs) == (
        expected.key,
        expected.value,
        expected.curves,
        expected.epochs,
    )
    for key in (ours.key(OFF), ours.key(FIRST, lineage=(OFF,)), found.key):
        assert np.array_equal(ours.store.predictions(key).probabilities, other.store.predictions(key).probabilities)
        for fold in range(2):
            weights, expected_weights = ours.store.weights(key, fold), other.store.weights(key, fold)
            assert all(torch.equal(weights[name], expected_weights[name]) for name in expected_weights)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_anywhere_it_ends_with_the_same_numbers(
    moment: str, disturbed: Path, undisturbed: tuple[EvaluationWorker, Evaluation]
) -> None:
    ours = worker(disturbed / moment / "store")
    assert not ours.store.has(ours.key(BOTH, lineage=LINEAGE))
    assert_same(ours, undisturbed)


@pytest.mark.slow
def test_two_processes_on_one_store_agree(disturbed: Path, undisturbed: tuple[EvaluationWorker, Evaluation]) -> None:
    values = [float(file.read_text()) for file in (disturbed / "together").glob("value-*")]
    assert values == [undisturbed[1].value] * 2
    assert_same(worker(disturbed / "together" / "store"), undisturbed)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Path.unlink])
@pytest.mark.parametrize("file", ["fold0.safetensors", "predictions.safetensors", "json"])
@pytest.mark.parametrize("whose", ["own", "parent", "root"])
def test_what_is_damaged_is_computed_again(
    damage: Callable[[Path], object], file: str, whose: str, tmp_path: Path, undisturbed: tuple[EvaluationWorker, Evaluation]
) -> None:
    ours = worker(tmp_path)
    key = {
        "own": ours.key(BOTH, lineage=LINEAGE),
        "parent": ours.key(FIRST, lineage=(OFF,)),
        "root": ours.key(OFF),
    }[whose]
    ours.evaluate(BOTH, lineage=LINEAGE)
    damage(tmp_path / f"{key}.{file}")
    if whose != "own":  # an ancestor is needed only for what is not known yet
        (tmp_path / f"{ours.key(BOTH, lineage=LINEAGE)}.json").unlink()
    if whose == "root":
        (tmp_path / f"{ours.key(FIRST, lineage=(OFF,))}.json").unlink()
    if damage is Path.unlink and file == "json":
        assert ours.store.get(key) is None
    else:
        with pytest.warns(UserWarning, match="is damaged or missing"):
            assert ours.store.get(key) is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(ours, undisturbed)
    assert sorted(os.listdir(tmp_path)) == sorted(
        name
        for each in (ours.key(OFF), ours.key(FIRST, lineage=(OFF,)), ours.key(BOTH, lineage=LINEAGE))
        for name in ours.store.names(each)
    )
