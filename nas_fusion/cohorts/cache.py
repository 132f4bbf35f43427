"""The cache of decoded cohorts: safetensors files by digest of what they were made from."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]


def cache_folder(option: str | None = None) -> Path | None:
    """Return the folder of the cache, `None` for no cache.

    That is `option`, else the environment's `NAS_FUSION_CACHE`, else `nas-fusion` in the user's cache folder (`XDG_CACHE_HOME`,
    `~/.cache`). The word `none` turns it off.
    """
    chosen = option or os.environ.get("NAS_FUSION_CACHE")
    if chosen is not None:
        return None if chosen.lower() == "none" else Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas-fusion"


def digest_of(facts: Mapping[str, Any]) -> str:
    """Return the digest of JSON-compatible facts that tensors or a cohort depend on: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def cached(key: str, make: Callable[[], Tensors], folder: Path | None) -> Tensors:
    """Return what is cached under a key, else make and cache it.

    A file that is damaged is noticed by its digest, and made again. A cache that cannot be written to costs time, nothing else.

    Args:
        key: Digest of all that the tensors depend on.
        make: Makes them.
        folder: Of the cache, `None` for none.
    """
    if folder is None:
        return make()
    path = folder / f"{key}.safetensors"
    held = _read(path) if path.exists() else None
    if held is not None:
        return held
    made = make()
    _write(path, made)
    return made


def _read(path: Path) -> Tensors | None:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError):
        tensors, metadata = {}, {}
    if tensors and metadata.get("digest") == _digest(tensors):
        return {name: tensors[name] for name in metadata["order"].split("\n")}
    warnings.warn(f"The cached cohort {path} is damaged: it is made again.", stacklevel=3)
    return None


def _write(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write beside the place, then move: a reader sees the whole file or none."""
    metadata = {"digest": _digest(tensors), "order": "\n".join(tensors)}
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        os.close(handle)
        part = Path(name)
        save_file(dict(tensors), part, metadata)
        part.replace(path)
    except (OSError, SafetensorError) as error:
        warnings.warn(f"The decoded cohort cannot be cached in {path.parent}: {error}.", stacklevel=3)
        if part is not None:
            part.unlink(missing_ok=True)


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    summed = hashlib.sha256()
    for name in sorted(tensors):
        summed.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        summed.update(tensors[name].contiguous().numpy().data)
    return summed.hexdigest()
