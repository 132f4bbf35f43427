"""Configurations: one choice for every parameter of a search space."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType


class Configuration(Mapping[str, str]):
    """One choice for every parameter of a search space: immutable, hashable, JSON in and out.

    Example:
        >>> configuration = Configuration({"layer1": "none", "layer2": "mmtm"})
        >>> configuration["layer2"]
        'mmtm'
        >>> configuration.replace(layer1="mmtm").to_json()
        '{"layer1": "mmtm", "layer2": "mmtm"}'
    """

    __slots__ = ("_choices", "_hash")

    def __init__(self, choices: Mapping[str, str]) -> None:
        self._choices = MappingProxyType(dict(choices))
        self._hash: int | None = None

    def __getitem__(self, parameter: str) -> str:
        return self._choices[parameter]

    def __iter__(self) -> Iterator[str]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self._choices)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._choices.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Configuration):
            return self._choices == other._choices
        return dict(self._choices) == dict(other) if isinstance(other, Mapping) else NotImplemented

    def __repr__(self) -> str:
        return f"Configuration({dict(self._choices)})"

    def __reduce__(self) -> tuple[type[Configuration], tuple[dict[str, str]]]:
        return Configuration, (dict(self._choices),)

    def replace(self, **choices: str) -> Configuration:
        """Return a copy with some choices changed.

        Raises:
            ValueError: If a parameter is not one of this configuration's.
        """
        return self.with_choices(choices)

    def with_choices(self, choices: Mapping[str, str]) -> Configuration:
        """Return a copy with some choices changed; for parameter names that are no Python identifiers.

        Raises:
            ValueError: If a parameter is not one of this configuration's.
        """
        for parameter in choices:
            if parameter not in self._choices:
                raise ValueError(f"`choices` must name parameters among {list(self._choices)}, but got {parameter!r}.")
        return Configuration({**self._choices, **choices})

    def to_dict(self) -> dict[str, str]:
        """Return the choices as a new dictionary."""
        return self._choices.copy()

    def to_json(self) -> str:
        """Return the configuration as a JSON object, parameters in their order."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Configuration:
        """Return the configuration that `to_json` wrote."""
        return cls(json.loads(text))
