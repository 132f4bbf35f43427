"""One file of a connectome: a matrix or time series in `.mat`, `.npy` or text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io
import scipy.sparse

from nas_fusion.cohorts.connectome_estimates import EXTRA, Matrix
from nas_fusion.cohorts.connectome_text import read_text

TEXT = (".csv", ".tsv", ".txt", ".1D")
ENDINGS = (".mat", ".npy", *TEXT)
KNOWN_KEYS = ("connectivity", "regionseries", "edgeweight", "sc", "fc", "tc", "roisignals", "timeseries")
_HDF5 = b"\x89HDF\r\n\x1a\n"


class UnusableArrayError(ValueError):
    """A file or array that holds no matrix or time series that can be used.

    Attributes:
        rule: The rule that it breaks, such as `missing key`.
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


@dataclass(frozen=True)
class Array:
    """What a file holds.

    Attributes:
        values: As stored, two axes, float64.
        name: Of the array in its file, or of the file without its ending.
    """

    values: Matrix
    name: str


def read_array(path: Path, key: str | None = None) -> Array:
    """Return the matrix or time series of a file.

    Args:
        path: A `.mat` (any version; 7.3 needs h5py), a `.npy` or a text file (separated by commas, semicolons, tabs or spaces,
            with or without names of rows and columns).
        key: The array of a `.mat`; `None` for its only one with two axes, or the only one with a known name.

    Raises:
        UnusableArrayError: If there is none.
    """
    try:
        if path.suffix == ".mat":
            return _from_mat(path, key)
        if path.suffix == ".npy":
            return Array(numeric(_load_npy(path)), path.stem)
        return Array(numeric(read_text(path)), path.stem)
    except UnusableArrayError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file makes scipy and h5py raise anything, even NameError
        raise UnusableArrayError("corrupt file", f"cannot be read ({_short(error)})") from None


def numeric(values: npt.NDArray[Any]) -> Matrix:
    """Return an array of real numbers with two axes as float64.

    Raises:
        UnusableArrayError: If it is none.
    """
    if values.dtype.kind not in "fiub":
        raise UnusableArrayError("no numbers", f"holds values of type {values.dtype} instead of real numbers")
    if values.ndim != 2 or min(values.shape) < 2:
        raise UnusableArrayError("unusable shape", f"has the shape {values.shape} instead of two axes of at least 2")
    return np.asarray(values, dtype=np.float64)


def conversion(path: Path) -> str:
    """Return the command that turns a pickled dictionary of arrays, as BrainGB has it, into an `.npz`."""
    target = path.with_suffix(".npz")
    return (
        f"python -c \"import numpy as np; d = np.load('{path}', allow_pickle=True).item(); "
        f"np.savez_compressed('{target}', **{{k: np.array(list(v)) for k, v in d.items()}})\""
    )


def is_named_series(name: str) -> bool:
    """Return whether a file or array is called as time series are."""
    plain = name.lower().replace("_", "").replace("-", "")
    return plain in ("tc", "ts", "bold") or any(word in plain for word in ("series", "roisignals", "bold"))


def _load_npy(path: Path) -> npt.NDArray[Any]:
    try:
        loaded = np.load(path, allow_pickle=False)
    except ValueError as error:
        if "pickle" not in str(error).lower():
            raise
        raise UnusableArrayError("pickled file", f"is pickled: {PICKLED}, by `{conversion(path)}`") from None
    if not isinstance(loaded, np.ndarray):
        raise UnusableArrayError("corrupt file", "is an archive of arrays and no .npy file")
    return loaded


PICKLED = "reading it could run any program, so convert it yourself if you trust its source"


def _from_mat(path: Path, key: str | None) -> Array:
    arrays = _hdf5_arrays(path) if _is_hdf5(path) else _matlab_arrays(path)
    name = _choose(arrays, key)
    return Array(numeric(arrays[name]), name)


def _choose(arrays: Mapping[str, npt.NDArray[Any]], key: str | None) -> str:
    held = ", ".join(arrays) or "none"
    if key is not None:
        if key not in arrays:
            raise UnusableArrayError("missing key", f"has no array {key!r} (it has {held})")
        return key
    usable = [
        name for name, values in arrays.items() if values.ndim == 2 and min(values.shape) > 1 and values.dtype.kind in "fiub"
    ]
    known = [name for name in usable if name.lower() in KNOWN_KEYS]
    if len(usable) == 1 or len(known) == 1:
        return usable[0] if len(usable) == 1 else known[0]
    if not usable:
        raise UnusableArrayError("missing key", f"has no array of numbers with two axes (it has {held})")
    raise UnusableArrayError(
        "missing key", f"has several arrays ({', '.join(usable)}): name one by the option key=NAME or key=MODALITY=NAME"
    )


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(520)
    return start.startswith((b"MATLAB 7.3", _HDF5)) or start[512:] == _HDF5


def _matlab_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    loaded = scipy.io.loadmat(path, appendmat=False)
    return {
        name: values.toarray() if scipy.sparse.issparse(values) else np.asarray(values)
        for name, values in loaded.items()
        if not name.startswith("__")
    }


def _hdf5_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the numeric arrays of a MATLAB 7.3 file, whose axes HDF5 shows in reverse."""
    try:
        import h5py
    except ImportError:
        reason = f"is a MATLAB 7.3 file, which needs h5py ({EXTRA}), or save it in MATLAB with '-v7'"
        raise UnusableArrayError("missing library", reason) from None
    with h5py.File(path, "r") as file:
        datasets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
        return {name: np.asarray(item[()]).T for name, item in datasets.items() if item.attrs.get("MATLAB_class") != b"char"}


def _short(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
