"""What an engine of search is: pure arithmetic on what is known of a study, without any object of Optuna's."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from nas_fusion.history import Claim
from nas_fusion.space import Configuration, SearchSpace


class Key(NamedTuple):
    """What is claimed and evaluated at most once.

    Attributes:
        configuration: Index of the configuration.
        parent: Index of the parent where its weights are inherited, otherwise -1: then the configuration alone counts.
    """

    configuration: int
    parent: int = -1

    @property
    def is_control(self) -> bool:
        """Whether it is a configuration trained on without a change, from its own weights."""
        return self.configuration == self.parent


def key_of(space: SearchSpace, configuration: Configuration, parent: Configuration | None, inherit: str) -> Key:
    """Return the key of a configuration that is reached from a parent, `None` for a root."""
    inherits = inherit == "parent" and parent is not None
    return Key(space.index(configuration), space.index(parent) if inherits and parent is not None else -1)


class Known(Protocol):
    """What is known of a study."""

    def cost(self, key: Key) -> float | None:
        """Return what is minimised: infinite for an evaluation that is not better than any, `None` for none as yet."""

    def losses(self, key: Key) -> tuple[float, ...]:
        """Return what its cost is the mean of, to be minimised too: one a fold or seed, the cost alone where no more is known.

        Empty for an infinite cost and for none.
        """

    def is_claimed(self, key: Key) -> bool:
        """Return whether somebody is evaluating it."""

    def rounds(self) -> Mapping[Key, int]:
        """Return what searches chose, with the round in which they did, the last one if there are several."""

    def settled(self) -> Iterable[Key]:
        """Return the keys that have a cost."""


class Supposing(NamedTuple):
    """What would be known if one more evaluation ended with a cost."""

    known: Known
    key: Key
    supposed: float
    supposed_losses: tuple[float, ...] = ()

    def cost(self, key: Key) -> float | None:
        """Return the supposed cost for its key, what is known for others."""
        found = self.known.cost(key)
        return self.supposed if found is None and key == self.key else found

    def losses(self, key: Key) -> tuple[float, ...]:
        """Return the supposed losses (else the supposed cost) for its key, what is known for others."""
        found = self.known.losses(key)
        if found or key != self.key or math.isinf(self.supposed):
            return found
        return self.supposed_losses or (self.supposed,)

    def is_claimed(self, key: Key) -> bool:
        """Return whether somebody is evaluating it."""
        return key != self.key and self.known.is_claimed(key)

    def rounds(self) -> Mapping[Key, int]:
        """Return what searches chose, with the round in which they did, the last one if there are several."""
        return self.known.rounds()

    def settled(self) -> Iterable[Key]:
        """Return the keys that have a cost."""
        return {*self.known.settled(), self.key}


class Move(NamedTuple):
    """The next step of a search: what to evaluate, and what to write on the trial."""

    key: Key
    claim: Claim


class Engine(ABC):
    """A search through a space. Everything it answers follows from what is known; what it keeps only saves time."""

    @abstractmethod
    def refresh(self, known: Known) -> None:
        """Take notice of what has become known since the last call."""

    @abstractmethod
    def next_move(self, known: Known) -> Move | None:
        """Return what to evaluate next; `None` if there is nothing that is neither known nor claimed."""

    @abstractmethod
    def is_complete(self, known: Known) -> bool:
        """Return whether the search has come to its end."""

    @abstractmethod
    def path(self, known: Known) -> list[Configuration]:
        """Return the accepted configurations, the baseline first, the best one last; empty as long as nothing is known."""

    @abstractmethod
    def used(self, known: Known) -> list[Key]:
        """Return what the search needed of all that is known."""
