"""A dictionary of numpy arrays that somebody pickled into a `.npy`: read so that nothing but arrays can come to life.

For files of a known checksum alone. Users' own pickled files stay refused.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
from numpy.lib import format as npy


def read_dictionary(content: bytes) -> dict[str, Any]:
    """Return the dictionary that is the one element of an array of objects.

    Args:
        content: Of a `.npy` file in version 1 of its format.

    Returns:
        Text to arrays, and to lists of arrays or of plain values.

    Raises:
        ValueError: If it is no such file, or asks for anything but numpy arrays.
    """
    file = io.BytesIO(content)
    npy.read_magic(file)
    shape, _, dtype = npy.read_array_header_1_0(file)
    if shape != () or not dtype.hasobject:
        raise ValueError(f"`content` must be one pickled object, but got an array of shape {shape} and type {dtype}.")
    try:
        held = _ArraysOnly(file).load()
    except pickle.UnpicklingError as refusal:
        raise ValueError(f"`content` must hold numpy arrays alone, but {refusal}.") from None
    found = held.item() if isinstance(held, np.ndarray) and held.shape == () else None
    if not isinstance(found, dict):
        raise ValueError(f"`content` must hold a dictionary, but got {type(held).__name__}.")
    return found


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows what numpy arrays are made of, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of four harmless callables.

        Raises:
            pickle.UnpicklingError: If another is asked for.
        """
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"asks for {module}.{name}")
        return _KNOWN[module, name]


def _empty_array(kind: type[np.ndarray[Any, Any]], shape: tuple[int, ...], _: bytes) -> np.ndarray[Any, Any]:
    """Return the array that a pickled state is then put into."""
    return kind(shape, dtype=np.int8)


def _latin1(text: str, encoding: str) -> bytes:
    """Return the bytes that Python 2 pickled as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"asks for the encoding {encoding!r}")
    return text.encode("latin1")


_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}
