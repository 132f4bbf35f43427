from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import torch

from nas_fusion import Cohort, EvaluationWorker, load_space
from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.cohorts.splits import Fold, Splits
from search_spaces.fusion_points import FusionPointSpace

NARROW = {"width": 1 / 32, "epochs": 1, "batch_size": 8, "learning_rate": 0.0, "backbone": "resnet10"}


@pytest.fixture
def cohort() -> Cohort:
    generator = torch.Generator().manual_seed(0)
    ids = tuple(f"s{i:02d}" for i in range(16))
    return Cohort(
        name="signals and a table",
        subjects=ids,
        modalities={
            "a.1": torch.randn(16, 1, 16, generator=generator),
            "b": torch.randn(16, 3, 16, generator=generator),
            "clinical": torch.randn(16, 4, generator=generator),
        },
        kinds={"a.1": "image", "b": "image", "clinical": "vector"},
        labels=torch.arange(16) % 2,
        classes=("no", "yes"),
        fingerprint="signals and a table",
        present=torch.ones(16, 3, dtype=torch.bool),
        splits=Splits((Fold(ids[:12], ids[12:]),)),
    )


@pytest.fixture
def file(tmp_path: Path, cohort: Cohort) -> Path:
    """Weights of a stream of one channel without its head, as MedicalNet's files have them."""
    torch.manual_seed(7)
    stream = FusionPointSpace(**NARROW).layout.stream(cohort.inputs.modalities[0], 5)
    names = {own: stream.original_names.get(own, own) for own in stream.state_dict()}
    state = {f"module.{names[own]}": tensor for own, tensor in stream.state_dict().items() if not names[own].startswith("fc")}
    torch.save({"state_dict": state}, tmp_path / "resnet_10_made.pth")
    return tmp_path / "resnet_10_made.pth"


def kernels(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix) and t.ndim == 3}


def test_streams_of_the_primary_backbone_start_from_the_file(cohort: Cohort, file: Path) -> None:
    space = FusionPointSpace(pretrained=str(file), **NARROW)
    (stage,) = space.stages(space.baseline, cohort.inputs)
    assert stage.start is not None and stage.takes_over
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    found = dict(stage.start({}))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert {name.split(".")[1] for name in found} == {"a%2E1", "b"}
    assert not any(name.split(".")[2] == "head" for name in found)
    saved = list(torch.load(file, weights_only=True)["state_dict"].values())
    ours = kernels(found, "streams.a%2E1.")
    assert [torch.equal(a, b) for a, b in zip(ours.values(), [t for t in saved if t.ndim == 3], strict=True)] == [True] * len(
        ours
    )
    theirs = kernels(found, "streams.b.")
    assert set(ours) - set(theirs) == {"stages.stem.conv1.weight"}, "it has three channels"


def test_evaluations_begin_where_the_file_ends_and_children_where_their_parent_does(cohort: Cohort, file: Path) -> None:
    space = FusionPointSpace(pretrained={"a.1": str(file)}, **NARROW)
    worker = EvaluationWorker(space, cohort)
    with pytest.raises(ValueError, match="`backbones` must name"):
        EvaluationWorker(FusionPointSpace(backbones={"c": "resnet10"}), cohort)
    trained = worker.store.weights(worker.evaluate(space.baseline).key)
    expected = space.stages(space.baseline, cohort.inputs)[0].start({})  # type: ignore[misc]
    for name, tensor in kernels(dict(expected), "streams.a%2E1.").items():
        torch.testing.assert_close(trained[f"streams.a%2E1.{name}"], tensor)  # nothing was learned at a rate of 0
    child = worker.evaluate(space.complete({"layer2": "mmtm"}), lineage=[space.baseline])
    (details,) = worker.store.details(child.key)["folds"]
    assert set(details["inherited"]["joint"]["taken"]) == set(trained)
    alone = worker.store.weights(worker.evaluate_reference("alone:a.1").key)
    for name, tensor in kernels(dict(expected), "streams.a%2E1.").items():
        torch.testing.assert_close(alone[f"streams.a%2E1.{name}"], tensor)


def test_keys_depend_on_what_is_in_the_file_and_not_on_where_it_is(cohort: Cohort, file: Path, tmp_path: Path) -> None:
    space = FusionPointSpace(pretrained=str(file), **NARROW)
    plain = FusionPointSpace(**NARROW)
    assert space.meaning() == {"pretrained": {"*": hashlib.sha256(file.read_bytes()).hexdigest()}} and plain.meaning() == {}
    first = EvaluationWorker(space, cohort).key(space.baseline)
    moved = FusionPointSpace(pretrained=shutil.copy(file, tmp_path / "elsewhere.pth"), **NARROW)
    assert EvaluationWorker(moved, cohort).key(moved.baseline) == first
    torch.save({**torch.load(file, weights_only=True), "epoch": 1}, file)
    assert first != EvaluationWorker(space, cohort).key(space.baseline) != EvaluationWorker(plain, cohort).key(space.baseline)


def test_a_model_is_built_without_the_file(cohort: Cohort, tmp_path: Path) -> None:
    space = load_space("fusion-points", pretrained={"b": str(tmp_path / "gone.pth")}, **NARROW)
    assert load_space("fusion-points", **space.options()).options() == space.options()
    (stage,) = space.stages(space.baseline, cohort.inputs)
    assert stage.model()({n: t[:2] for n, t in cohort.modalities.items()}).shape == (2, 2)
    for ask in (space.meaning, lambda: space.notes(cohort.inputs)):
        with pytest.raises(ValueError, match=r"`pretrained` must be a file that can be read, but got .*gone.pth"):
            ask()


def test_the_report_is_told(cohort: Cohort, file: Path) -> None:
    notes = FusionPointSpace(pretrained=str(file), **NARROW).notes(cohort.inputs)
    assert list(notes["pretrained"]) == ["a.1", "b"]
    assert [shape["name"] for shape in notes["pretrained"]["b"]["other_shape"]] == ["stages.stem.conv1.weight"]
    assert [sentence.split(":")[0] for sentence in notes["sentences"]] == ["a.1", "b"]
    assert FusionPointSpace(**NARROW).notes(cohort.inputs) == {}


@pytest.mark.parametrize("given", [3, {"T1w": 3}, {"T1w": ""}, [], ""])
def test_files_are_paths(given: object) -> None:
    with pytest.raises(ValueError, match="`pretrained` must be a file or map modalities to files, but got"):
        FusionPointSpace(pretrained=given)  # type: ignore[arg-type]


def test_unknown_modalities_raise(cohort: Cohort) -> None:
    with pytest.raises(ValueError, match=r"`pretrained` must name modalities among a.1, b, clinical, but got 'c'"):
        FusionPointSpace(pretrained={"c": "x.pth"}).references(cohort.inputs)
    with pytest.raises(ValueError, match="`pretrained` must name modalities among T1w, FLAIR, but got 'T2w'"):
        FusionPointSpace(pretrained={"T2w": "x.pth"}, modalities="T1w,FLAIR")
    assert Inputs((Modality("a", "vector", (2,)), Modality("b", "vector", (2,))), ("x", "y")).names == ("a", "b")
