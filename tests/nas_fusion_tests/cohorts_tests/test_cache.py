from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nas_fusion.cohorts import load_cohort
from nas_fusion.cohorts.cache import cache_folder, cached

from .conftest import write_scan

VALUES = {"z": torch.arange(6.0).reshape(2, 3), "a": torch.ones(2)}


def never() -> dict[str, torch.Tensor]:
    raise AssertionError("It should have been cached.")


def test_what_is_cached_is_not_made_again(tmp_path: Path) -> None:
    made = cached("key", lambda: VALUES, tmp_path / "new")
    held = cached("key", never, tmp_path / "new")
    assert list(held) == list(made) == ["z", "a"]
    assert all(torch.equal(held[name], VALUES[name]) for name in VALUES)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["key.safetensors"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [flip, lambda path: os.truncate(path, 50), lambda path: os.truncate(path, 0)], ids=["flipped", "cut", "empty"]
)
def test_damage_is_noticed_and_repaired(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    cached("key", lambda: VALUES, tmp_path)
    damage(tmp_path / "key.safetensors")
    with pytest.warns(UserWarning, match="key.safetensors is damaged: it is made again"):
        again = cached("key", lambda: VALUES, tmp_path)
    assert torch.equal(again["z"], VALUES["z"])
    assert torch.equal(cached("key", never, tmp_path)["z"], VALUES["z"])


def test_a_folder_that_cannot_be_written_to_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="The decoded cohort cannot be cached"):
        assert cached("key", lambda: VALUES, tmp_path / "file") is VALUES
    assert cached("key", lambda: VALUES, None) is VALUES


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_FUSION_CACHE", "/from/environment")
    assert cache_folder("/from/option") == Path("/from/option")
    assert cache_folder() == Path("/from/environment")
    assert cache_folder("none") is None
    monkeypatch.delenv("NAS_FUSION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/nas-fusion")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "nas-fusion"


def test_a_cohort_is_decoded_once_for_the_same_content(bids: Path, own_cache: Path) -> None:
    calls: list[tuple[int, int]] = []

    def load(**options: object) -> tuple[str, int]:
        calls.clear()
        cohort = load_cohort(
            bids, modalities="T1w,FLAIR", label="group", progress=lambda done, total: calls.append((done, total)), **options
        )
        return cohort.fingerprint, len(calls)

    first, scans = load()
    assert scans == 24 and calls[-1] == (24, 24) and len(list(own_cache.iterdir())) == 1
    assert load() == (first, 0)
    assert load(folds=2) == (first, 0)
    bids.rename(bids.with_name("moved"))
    bids.with_name("moved").rename(bids)
    smaller, scans = load(shape=4)
    assert smaller != first and scans == 24
    write_scan(bids / "sub-00003" / "anat" / "sub-00003_acq-iso08_T1w.nii.gz", torch.rand(8, 8, 8).numpy())
    changed, scans = load()
    assert changed != first and scans == 24


def test_the_fingerprint_depends_on_labels_and_not_on_the_place(bids: Path, tmp_path: Path) -> None:
    options = {"modalities": "T1w,FLAIR", "label": "group"}
    before = load_cohort(bids, **options)
    moved = bids.rename(tmp_path / "elsewhere")
    assert load_cohort(moved, **options).fingerprint == before.fingerprint
    assert load_cohort(moved, **options, classes="fcd,hc").fingerprint != before.fingerprint
    table = moved / "participants.tsv"
    swapped = [line.replace("hc", "?").replace("fcd", "hc").replace("?", "fcd") for line in table.read_text().splitlines()]
    table.write_text("\n".join(swapped) + "\n")
    assert load_cohort(moved, **options).fingerprint != before.fingerprint
