"""The conditions under which a record was measured."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path


def conditions() -> dict[str, str]:
    """Return date, processor, operating system and the versions of what was measured."""
    packages = ("nas-fusion", "torch", "monai", "optuna", "numpy")
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def sentence(facts: dict[str, str]) -> str:
    """Return conditions as one sentence for a record."""
    packages = ", ".join(f"{name} {facts[name]}" for name in ("nas-fusion", "torch", "monai", "optuna", "numpy"))
    return f"Measured on {facts['date']}: {facts['processor']}, {facts['cores']} cores, Python {facts['python']}, {packages}."


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
