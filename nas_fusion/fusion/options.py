"""Checks of what fusion modules are given as options."""

from __future__ import annotations


def check_at_least(least: float, **options: float) -> None:
    """Raise unless each option is a number of at least `least`.

    Raises:
        ValueError: If one is not; the message names it.
    """
    for name, value in options.items():
        if not value >= least:
            raise ValueError(f"`{name}` must be at least {least}, but got {value!r}.")


def check_whole(**options: object) -> None:
    """Raise unless each option is a whole number of at least 1.

    Raises:
        ValueError: If one is not; the message names it.
    """
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"`{name}` must be a whole number of at least 1, but got {value!r}.")
