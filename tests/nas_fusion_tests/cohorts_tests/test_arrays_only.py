from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_fusion.cohorts.arrays_only import read_dictionary


def saved(held: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(held, dtype=object), allow_pickle=True)
    return file.getvalue()


def test_arrays_lists_and_texts_come_back() -> None:
    held = {"X": [np.arange(6.0).reshape(2, 3), np.zeros((1, 3), order="F")], "y": np.array([1, 0]), "names": ["a", "b"]}
    found = read_dictionary(saved(held))
    assert found.keys() == held.keys() and found["names"] == ["a", "b"]
    np.testing.assert_array_equal(found["y"], held["y"])
    for values, wanted in zip(found["X"], held["X"], strict=True):
        np.testing.assert_array_equal(values, wanted)
        assert values.dtype == np.float64


class Wicked:
    """Asks for a function of the operating system when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("where", ["value", "nested", "array"])
def test_nothing_but_arrays_comes_to_life(tmp_path: Path, where: str) -> None:
    wicked = Wicked(tmp_path / "made")
    held: dict[str, Any] = {
        "value": {"X": wicked},
        "nested": {"X": [{"deeper": wicked}]},
        "array": {"X": np.array([wicked], dtype=object)},
    }[where]
    with pytest.raises(ValueError, match=r"`content` must hold numpy arrays alone, but asks for (posix|nt)\.mkdir\."):
        read_dictionary(saved(held))
    assert not (tmp_path / "made").exists()


def test_what_is_no_dictionary_is_refused() -> None:
    with pytest.raises(ValueError, match="`content` must hold a dictionary, but got ndarray"):
        read_dictionary(saved("a text"))
    file = io.BytesIO()
    np.save(file, np.arange(3))
    with pytest.raises(ValueError, match=r"`content` must be one pickled object, but got an array of shape \(3,\)"):
        read_dictionary(file.getvalue())
    with pytest.raises(ValueError, match="magic string"):
        read_dictionary(b"not an array at all")


def test_only_the_encoding_of_old_bytes_is_known() -> None:
    content = saved({"a": 1}).split(b"\n")[0] + b"\n"
    with pytest.raises(ValueError, match="asks for the encoding 'rot13'"):
        read_dictionary(content + b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.")
