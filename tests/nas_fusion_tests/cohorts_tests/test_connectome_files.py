"""One file at a time: every format, what is chosen in it, and what is wrong with it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from nas_fusion.cohorts.connectome_files import UnusableArrayError, conversion, is_named_series, read_array
from nas_fusion.cohorts.connectome_text import read_text

from .connectomes import write_hdf5

VALUES = np.array([[0.0, 1.5, -2e-3], [3.0, 0.0, 1e6], [7.0, 8.0, 0.0], [1.0, 2.0, 3.0]])
WORDS = ["L.Hip", "R.Hip", "L.Amy"]


def mat(path: Path) -> None:
    savemat(path, {"connectivity": VALUES})


def compressed(path: Path) -> None:
    savemat(path, {"connectivity": VALUES}, do_compression=True)


def old(path: Path) -> None:
    savemat(path, {"connectivity": VALUES}, format="4")


def sparse(path: Path) -> None:
    savemat(path, {"connectivity": scipy.sparse.csc_array(VALUES)})


def hdf5(path: Path) -> None:
    write_hdf5(path, connectivity=VALUES)


def npy(path: Path) -> None:
    np.save(path, VALUES)


def text(separator: str) -> Callable[[Path], None]:
    return lambda path: np.savetxt(path, VALUES, delimiter=separator)


def named(path: Path) -> None:
    pd.DataFrame(VALUES, columns=WORDS, index=list("abcd")).to_csv(path)


def numbered(path: Path) -> None:
    pd.DataFrame(VALUES).to_csv(path)


def headed(path: Path) -> None:
    pd.DataFrame(VALUES, columns=WORDS).to_csv(path, sep="\t", index=False)


def row_names(path: Path) -> None:
    pd.DataFrame(VALUES, index=list("abcd")).to_csv(path, sep=";", header=False)


def from_r(path: Path) -> None:
    lines = [" ".join(f'"{word}"' for word in WORDS)]
    path.write_text("\n".join(lines + [f'"{i}" ' + " ".join(map(str, row)) for i, row in enumerate(VALUES)]) + "\n")


def commented(path: Path) -> None:
    np.savetxt(path, VALUES, header="Mean_2001 Mean_2002")


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "mat": ("a.mat", mat),
    "compressed mat": ("a.mat", compressed),
    "mat of version 4": ("a.mat", old),
    "sparse mat": ("a.mat", sparse),
    "mat of version 7.3": ("a.mat", hdf5),
    "npy": ("a.npy", npy),
    "commas": ("a.csv", text(",")),
    "semicolons": ("a.csv", text(";")),
    "tabs": ("a.tsv", text("\t")),
    "spaces": ("a.txt", text("  ")),
    "pandas": ("a.csv", named),
    "pandas with numbers": ("a.csv", numbered),
    "names of columns": ("a.tsv", headed),
    "names of rows": ("a.csv", row_names),
    "R": ("a.txt", from_r),
    "comment": ("a.1D", commented),
}


@pytest.mark.parametrize(("name", "write"), WRITERS.values(), ids=WRITERS)
def test_every_format_gives_the_same_numbers(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    write(tmp_path / name)
    array = read_array(tmp_path / name)
    assert array.values.dtype == np.float64 and np.array_equal(array.values, VALUES)
    assert array.name == ("connectivity" if name == "a.mat" else "a")


def test_absent_cells_are_nan(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,,3\nn/a,5,nan\n")
    assert np.array_equal(read_text(tmp_path / "a.csv"), [[1, np.nan, 3], [np.nan, 5, np.nan]], equal_nan=True)
    (tmp_path / "b.csv").write_text(",2,3\n4,5,6\n")  # an empty corner over a row that is no count
    assert np.array_equal(read_text(tmp_path / "b.csv"), [[np.nan, 2, 3], [4, 5, 6]], equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(2, 6), st.sampled_from([",", ";", "\t", " "]), st.booleans(), st.booleans(), st.data())
def test_names_of_rows_and_columns_change_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    columns: int,
    separator: str,
    header: bool,
    index: bool,
    data: st.DataObject,
) -> None:
    values = np.array(
        data.draw(st.lists(st.lists(st.floats(-1e9, 1e9), min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    )
    frame = pd.DataFrame(values, index=[f"r{i}" for i in range(rows)], columns=[f"c{i}" for i in range(columns)])
    path = tmp_path_factory.mktemp("text") / "a.txt"
    frame.to_csv(path, sep=separator, header=header, index=index, index_label="name")
    assert np.array_equal(read_text(path), values)


def test_which_array_of_a_file(tmp_path: Path) -> None:
    path, other = tmp_path / "a.mat", np.ones((5, 5))
    savemat(path, {"tc": VALUES, "TR": 2.0, "label": "text", "cells": np.array([[1, "a"]], dtype=object)})
    assert np.array_equal(read_array(path).values, VALUES)
    savemat(path, {"ROISignals": VALUES, "coordinates": other})
    assert read_array(path).name == "ROISignals"
    assert np.array_equal(read_array(path, "coordinates").values, other)
    savemat(path, {"a": VALUES, "b": other})
    with pytest.raises(UnusableArrayError, match=r"has several arrays \(a, b\): name one by the option key=NAME") as error:
        read_array(path)
    assert error.value.rule == "missing key"
    with pytest.raises(UnusableArrayError, match=r"has no array 'c' \(it has a, b\)"):
        read_array(path, "c")
    savemat(path, {"TR": 2.0})
    with pytest.raises(UnusableArrayError, match=r"has no array of numbers with two axes \(it has TR\)"):
        read_array(path)


@pytest.mark.parametrize(
    ("name", "content", "rule", "match"),
    [
        ("a.mat", b"", "corrupt file", "cannot be read"),
        ("a.mat", b"no MATLAB at all" * 40, "corrupt file", "cannot be read"),
        ("a.mat", b"MATLAB 7.3 MAT-file" + bytes(600), "corrupt file", "cannot be read"),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'", "corrupt file", "cannot be read"),
        ("a.txt", b"", "corrupt file", r"cannot be read \(it has no rows\)"),
        ("a.txt", b"names only\n", "corrupt file", r"cannot be read \(it has no rows of numbers\)"),
        ("a.txt", b"\xff\xfe\x00", "corrupt file", "cannot be read"),
        ("a.csv", b"1,2\n3\n", "corrupt file", r"cannot be read \(its rows have different numbers of cells\)"),
        ("a.csv", b"1,2\n3,x\n", "corrupt file", r"cannot be read \(row 2 holds 'x', which is no number\)"),
        ("a.csv", b"1,2,3\n", "unusable shape", r"has the shape \(1, 3\) instead of two axes of at least 2"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: bytes, rule: str, match: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnusableArrayError, match=match) as error:
        read_array(tmp_path / name)
    assert error.value.rule == rule


@pytest.mark.parametrize("write", [compressed, hdf5, npy])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_cut_file_is_corrupt(tmp_path: Path, write: Callable[[Path], None], share: float) -> None:
    path = tmp_path / ("a.npy" if write is npy else "a.mat")
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnusableArrayError) as error:
        read_array(path)
    assert error.value.rule in ("corrupt file", "missing key")


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    for values, rule, match in (
        (np.ones((2, 3, 4)), "unusable shape", r"has the shape \(2, 3, 4\)"),
        (np.ones((3, 3), dtype=complex), "no numbers", "type complex128 instead of real numbers"),
        (np.array([["a", "b"], ["c", "d"]]), "no numbers", "type <U1"),
    ):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(UnusableArrayError, match=match) as error:
            read_array(tmp_path / "a.npy")
        assert error.value.rule == rule


def test_a_pickled_file_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    path = tmp_path / "abide.npy"
    np.save(path, np.array({"corr": np.ones((2, 3, 3)), "site": np.array(["a", "bb"], dtype=object)}, dtype=object))
    with pytest.raises(
        UnusableArrayError, match=r"is pickled: .*convert it yourself if you trust its source, by `python -c "
    ) as error:
        read_array(path)
    assert error.value.rule == "pickled file" and conversion(path) in str(error.value)
    exec(conversion(path).removeprefix('python -c "').removesuffix('"'))  # what the shell would run
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as converted:
        assert converted["corr"].shape == (2, 3, 3) and converted["site"].tolist() == ["a", "bb"]


def test_version_7_3_needs_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_hdf5(tmp_path / "a.mat", sc=VALUES)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        UnusableArrayError, match=r"MATLAB 7.3 file, which needs h5py \(`pip install 'nas-fusion\[connectomes\]'`\)"
    ) as e:
        read_array(path)
    assert e.value.rule == "missing library"


def test_flipped_bits_never_end_in_another_error(tmp_path: Path) -> None:
    compressed(tmp_path / "a.mat")
    content, rng = (tmp_path / "a.mat").read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        (tmp_path / "a.mat").write_bytes(damaged)
        with contextlib.suppress(UnusableArrayError):
            assert read_array(tmp_path / "a.mat").values.ndim == 2


def test_names_of_time_series() -> None:
    assert all(map(is_named_series, ("RegionSeries", "tc", "time_series", "BOLD_rsfMRI", "ROISignals_01", "ts")))
    assert not any(map(is_named_series, ("connectivity", "sc", "FC", "EdgeWeight", "counts")))
