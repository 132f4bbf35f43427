"""Marks of tests that read the data of a distribution: skipped with the reason where it is not installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

from nas_fusion.cohorts.packaged import Package


def needs(package: Package) -> pytest.MarkDecorator:
    """Return the mark of tests that read a distribution's data."""
    try:
        missing = version(package.name) != package.release
    except PackageNotFoundError:
        missing = True
    return pytest.mark.skipif(missing, reason=f"{package.name} {package.release} is not installed: {package.install}")
