"""What options become: a space for the modalities of the cohort."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from nas_fusion import load_space
from nas_fusion.cli.options import StudyOptions
from nas_fusion.cli.request import _for_modalities, _waits_for_modalities, laboratory_of, requested, typed_options
from nas_fusion.cohorts import Modality
from search_spaces.fusion_points import FusionPointSpace


def test_a_space_for_modalities_by_name_is_built_for_those_of_the_cohort() -> None:
    space = load_space("expert-routing", preset="small")
    assert _for_modalities(space, {"preset": "small"}, ("FC", "SC")) is space
    wider = _for_modalities(space, {"preset": "small"}, ("SC", "FC", "MSN"))
    assert list(wider.parameters) == ["sc", "fc", "msn", "fused", "granularity"]
    assert wider.options() == {**space.options(), "modalities": ["SC", "FC", "MSN"]}


def test_modalities_that_were_typed_and_spaces_without_any_stay() -> None:
    typed = load_space("expert-routing", modalities="SC,FC")
    assert _for_modalities(typed, {"modalities": "SC,FC"}, ("SC", "FC", "MSN")) is typed
    images = load_space("fusion-points")
    assert _for_modalities(images, {}, ("T1w", "FLAIR")) is images


@pytest.mark.parametrize(
    ("typed", "waits"),
    [
        ({}, False),
        ({"meet": "all"}, False),
        ({"meet": "pairs"}, True),
        ({"meet": "subsets", "modalities": ["T1w", "FLAIR"]}, False),
        ({"meet": "pairs", "points": {"early": {"T1w": "layer1", "FLAIR": "layer1"}}}, False),
    ],
)
def test_only_choices_that_name_modalities_wait_for_the_cohort(typed: dict[str, Any], waits: bool) -> None:
    assert _waits_for_modalities("fusion-points", typed) is waits
    assert not _waits_for_modalities("expert-routing", typed)


def test_choices_are_built_for_the_modalities_of_the_cohort(tmp_path: Path) -> None:
    options = StudyOptions(
        space="fusion-points",
        space_options=["meet=pairs", "points=layer1"],
        cohort_options=["train=4", "validation=4", "test=4", "shape=8"],
        modalities="T1w,FLAIR,T2w",
        module="film,concat_conv(T1w,T2w)",
    )
    laboratory = laboratory_of(options, typed_options(options), "search", tmp_path)
    pairs = ("film(T1w,FLAIR)", "film(T1w,T2w)", "film(FLAIR,T2w)")
    assert laboratory.space.parameters["layer1"] == ("none", "film", *pairs, "concat_conv(T1w,T2w)")
    assert laboratory.spec.space_options["modalities"] == ["T1w", "FLAIR", "T2w"]
    assert load_space("fusion-points", **laboratory.spec.space_options).parameters == laboratory.space.parameters


def test_what_was_used_of_a_file_of_weights_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space, volume = FusionPointSpace(backbone="resnet10"), Modality("T1w", "image", (1, 8, 8, 8))
    state = space.layout.stream(volume, 2).state_dict()
    save_file(state, tmp_path / "made.safetensors")
    options = StudyOptions(
        space="fusion-points",
        space_options=["backbone=resnet10", f'pretrained={{"T1w": "{tmp_path}/made.safetensors"}}'],
        cohort_options=["train=4", "validation=4", "test=4", "shape=8"],
        out=tmp_path,
    )
    requested(options, ["sfsa"], "search")
    said = capsys.readouterr().err.splitlines()
    assert said == [f"T1w: made.safetensors: {len(state)} of {len(state)} tensors were loaded, 100.0% of the numbers."]
    with pytest.raises(ValueError, match=r"`pretrained` must be a file that can be read, but got '/gone.pth'"):
        requested(replace(options, space_options=["pretrained=/gone.pth"], study="other"), ["sfsa"], "search")
