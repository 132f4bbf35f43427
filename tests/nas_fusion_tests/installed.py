"""Distributions as pip leaves them: metadata and a module, in a folder that can be put on the path."""

from __future__ import annotations

from pathlib import Path


def write_distribution(folder: Path, name: str, version: str, entry_points: str, **modules: str) -> Path:
    """Write metadata and modules (name to source) of a distribution into a folder and return it."""
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
    return folder
