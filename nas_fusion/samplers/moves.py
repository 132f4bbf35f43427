"""Which configurations a search may meet, and how it moves between them: forced-in and grouped points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from nas_fusion.samplers.checks import check_choices, check_lists
from nas_fusion.space import LISTED, Configuration, SearchSpace


class Moves:
    """A search space with some parameters forced and others switched together. A pure function of these.

    What is switched by one move is a *unit*: a parameter of its own, or a group. A move forward gives a unit that is off one of
    its choices, the same to all of a group; a move back switches a unit off. A change, which only some searches use, exchanges
    a unit's choice for another that is not off.

    Args:
        space: What is searched.
        forced: Choices, off or not, that every configuration has. What is forced for one of a group is so for all of it.
        groups: Parameters that are switched together: lists of at least two with the same choices, no parameter in two lists.

    Attributes:
        space: What is searched.
        units: The units that are not forced, in the space's order (of a group, its last parameter's).
        start: The baseline with the forced choices.
        size: Number of configurations, those included that are not canonical.

    Raises:
        ValueError: If forced choices or groups are not of the space or contradict each other.
    """

    def __init__(
        self,
        space: SearchSpace,
        forced: Mapping[str, str] | None = None,
        groups: Sequence[Sequence[str]] = (),
    ) -> None:
        self.space = space
        self._groups = tuple(_checked_group(space, group) for group in check_lists("groups", groups))
        _check_disjoint(self._groups)
        self._forced = _spread(space, check_choices("forced", {} if forced is None else forced, space.parameters), self._groups)
        self.start = space.baseline.with_choices(self._forced)
        if not self.is_allowed(self.start):
            raise ValueError(f"`forced` must choose what has an effect when all else is off, but got {self._forced}.")
        self._weights = _weights(space)
        self.units = self._free_units()
        self.size = math.prod(len(self._choices(unit)) for unit in self.units)

    @cached_property
    def n_configurations(self) -> int:
        """Number of configurations that are allowed; of a large space where not all are canonical, that with all others."""
        return sum(1 for _ in self.configurations()) if self.space.is_constrained and self.size <= LISTED else self.size

    @property
    def is_restricted(self) -> bool:
        """Whether anything is forced or grouped."""
        return bool(self._forced or self._groups)

    def is_allowed(self, configuration: Configuration) -> bool:
        """Return whether a configuration is canonical and has what is forced, and groups agree in it."""
        return (
            all(configuration[parameter] == choice for parameter, choice in self._forced.items())
            and all(len({configuration[parameter] for parameter in group}) == 1 for group in self._groups)
            and (not self.space.is_constrained or self.space.canonical(configuration) == configuration)
        )

    def check(self, configuration: Configuration, name: str) -> Configuration:
        """Return a configuration if it is allowed.

        Args:
            configuration: Any of the space.
            name: Of the option that it comes from, for the message.

        Raises:
            ValueError: If it is not.
        """
        if not self.is_allowed(configuration):
            got = self.space.active(configuration)
            raise ValueError(f"`{name}` must be canonical and keep what is forced and grouped, but got {got}.")
        return configuration

    def complete(self, choices: Mapping[str, str]) -> Configuration:
        """Return the configuration with these choices, every other free parameter off.

        Raises:
            ValueError: If it is not allowed, or a parameter or choice is unknown.
        """
        choices = check_choices("start", choices, self.space.parameters)
        return self.check(self.start.with_choices(choices), "start")

    def forward(self, configuration: Configuration) -> list[Configuration]:
        """Return what is one move forward: a free unit goes from off to a choice."""
        if not self.is_restricted:
            return self.space.forward_moves(configuration)
        moves = (
            configuration.with_choices(dict.fromkeys(unit, choice))
            for unit in self.units
            if self._is_off(unit, configuration)
            for choice in self._choices(unit)[1:]
        )
        return [move for move in moves if self.is_allowed(move)]

    def backward(self, configuration: Configuration) -> list[Configuration]:
        """Return what is one move back: a free unit goes off, and with it what has no effect without it."""
        if not self.is_restricted:
            return self.space.backward_moves(configuration)
        moves = (
            self.space.canonical(configuration.with_choices(dict.fromkeys(unit, self.space.off(unit[0]))))
            for unit in self.units
            if not self._is_off(unit, configuration)
        )
        return [move for move in dict.fromkeys(moves) if self.is_allowed(move)]

    def changes(self, configuration: Configuration) -> list[Configuration]:
        """Return what is one change away: a free unit's choice, not off, is exchanged for another that is not off."""
        if not self.is_restricted:
            return self.space.change_moves(configuration)
        moves = (
            configuration.with_choices(dict.fromkeys(unit, choice))
            for unit in self.units
            if not self._is_off(unit, configuration)
            for choice in self._choices(unit)[1:]
            if choice != configuration[unit[0]]
        )
        return [move for move in moves if self.is_allowed(move)]

    def everything(self, position: int = 1) -> Configuration:
        """Return the start with every free unit switched to a choice after off, as far as it has an effect then.

        Args:
            position: Of the choice: 1 for the first after off, -1 for the last.
        """
        configuration, before = self.start, None
        while configuration != before:  # what has an effect may depend on units that come later
            before = configuration
            for unit in self.units:
                if self._is_off(unit, configuration):
                    moved = configuration.with_choices(dict.fromkeys(unit, self._choices(unit)[position]))
                    configuration = moved if self.is_allowed(moved) else configuration
        return configuration

    def n_active(self, configuration: Configuration) -> int:
        """Return how many free units are not off."""
        return sum(not self._is_off(unit, configuration) for unit in self.units)

    def n_modules(self, configuration: Configuration) -> list[int]:
        """Return how many choices after off each free unit has that is off."""
        return [len(self._choices(unit)) - 1 for unit in self.units if self._is_off(unit, configuration)]

    def configuration(self, index: int) -> Configuration:
        """Return the configuration of an index in `range(size)`; 0 is the start, and the space's own index grows with it.

        It need not be canonical.

        Raises:
            ValueError: If the index is out of range.
        """
        if not 0 <= index < self.size:
            raise ValueError(f"`index` must be in [0, {self.size}), but got {index}.")
        choices: dict[str, str] = {}
        for unit in self.units:
            values = self._choices(unit)
            index, digit = divmod(index, len(values))
            choices.update(dict.fromkeys(unit, values[digit]))
        return self.start.with_choices(choices)

    def index(self, configuration: Configuration) -> int:
        """Return the space's index of one of its configurations, which is not checked."""
        return sum(self._weights[parameter][choice] for parameter, choice in configuration.items())

    def configurations(self) -> Iterator[Configuration]:
        """Yield every allowed configuration once, by the space's index."""
        return filter(self.is_allowed, map(self.configuration, range(self.size)))

    def _choices(self, unit: tuple[str, ...]) -> tuple[str, ...]:
        return self.space.parameters[unit[0]]

    def _is_off(self, unit: tuple[str, ...], configuration: Configuration) -> bool:
        return configuration[unit[0]] == self.space.off(unit[0])

    def _free_units(self) -> tuple[tuple[str, ...], ...]:
        grouped = {group[-1]: group for group in self._groups}
        inside = {parameter for group in self._groups for parameter in group[:-1]}
        return tuple(
            grouped.get(parameter, (parameter,))
            for parameter in self.space.parameters
            if parameter not in inside and parameter not in self._forced
        )


def _weights(space: SearchSpace) -> dict[str, dict[str, int]]:
    """Return what each choice of each parameter adds to the space's index."""
    weights, radix = {}, 1
    for parameter, choices in space.parameters.items():
        weights[parameter] = {choice: radix * position for position, choice in enumerate(choices)}
        radix *= len(choices)
    return weights


def _checked_group(space: SearchSpace, group: Sequence[str]) -> tuple[str, ...]:
    unknown = [parameter for parameter in group if parameter not in list(space.parameters)]
    if unknown:
        raise ValueError(f"`groups` must name parameters among {list(space.parameters)}, but got {unknown[0]!r}.")
    if len({space.parameters[parameter] for parameter in group}) > 1:
        raise ValueError(f"`groups` must join parameters of the same choices, but got {list(group)}.")
    return tuple(parameter for parameter in space.parameters if parameter in group)


def _check_disjoint(groups: Sequence[tuple[str, ...]]) -> None:
    seen: set[str] = set()
    for group in groups:
        if not seen.isdisjoint(group):
            raise ValueError(f"`groups` must have no parameter in common, but got {min(seen.intersection(group))!r} twice.")
        seen.update(group)


def _spread(space: SearchSpace, forced: dict[str, str], groups: Sequence[tuple[str, ...]]) -> dict[str, str]:
    """Return the forced choices, those of a group's other parameters included."""
    spread = dict(forced)
    for group in groups:
        wanted = {forced[parameter] for parameter in group if parameter in forced}
        if len(wanted) > 1:
            raise ValueError(f"`forced` must give all of a group the same choice, but got {sorted(wanted)} for {list(group)}.")
        spread.update({parameter: choice for choice in wanted for parameter in group})
    return {parameter: spread[parameter] for parameter in space.parameters if parameter in spread}
