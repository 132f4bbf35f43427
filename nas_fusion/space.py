"""Search spaces: the pure combinatorics that samplers, analysis and worker share."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nas_fusion import plugins
from nas_fusion.configuration import Configuration as Configuration
from nas_fusion.words import Words

if TYPE_CHECKING:
    import optuna
    from torch import nn

    from nas_fusion.cohorts import Inputs
    from nas_fusion.evaluation.stage import Reference, Stage


LISTED = 2**14
"""Spaces of at most so many configurations may be gone through one by one where only a number is wanted."""


class SearchSpace:
    """Ordered parameters, each a choice among strings of which the first means *off*.

    A plain mapping from parameter to choices is a search space too, wherever only the combinatorics are needed. A space whose
    configurations can be trained overrides `build` and `stages` (and `references`, where there is something to compare with).

    Example:
        >>> space = SearchSpace({"layer1": ["none", "mmtm"], "layer2": ["none", "mmtm"]})
        >>> space.size
        4
        >>> dict(space.configuration(2))
        {'layer1': 'none', 'layer2': 'mmtm'}

    Args:
        parameters:
            Name to choices, at least two different ones each. The first choice is the parameter's *off* value.
        inherit:
            Where a candidate's weights come from unless a sampler or worker is told otherwise: `"parent"` (arXiv 2505.02467,
            section III.D), `"baseline"` or `"none"`.

    Raises:
        ValueError: If there is no parameter, or a parameter has fewer than two or repeated choices.
        TypeError: If a name or a choice is not a string.
    """

    inherit: str = "none"
    name: str = "choices"
    cohort: str | None = None
    """Name of the cohort that the space is searched on where no data are named."""
    presets: tuple[str, str] = ("small", "paper")
    """Of a space with an option `preset`: what the command line takes for embedded cohorts, and for users' data."""
    complete_only: bool = False
    """Whether its models need every modality of each subject: then nobody may lack one, and none may drop out in training."""
    words: Words = Words()
    """How reports speak of what it searches."""
    takes_plugins: Mapping[str, str] = MappingProxyType({})
    """Which of its options name plug-ins, and of which kind: where the command line accepts code of a file."""
    files: tuple[str, ...] = ()
    """Which of its options name files: what is in them takes part in keys, by `meaning`, where they are does not."""

    def __init__(self, parameters: Mapping[str, Sequence[str]], *, inherit: str | None = None) -> None:
        if not parameters:
            raise ValueError("`parameters` must name at least one parameter, but got none.")
        for parameter, choices in parameters.items():
            _check_parameter(parameter, choices)
        self.parameters: Mapping[str, tuple[str, ...]] = MappingProxyType({p: tuple(c) for p, c in parameters.items()})
        self._position = {p: {choice: i for i, choice in enumerate(c)} for p, c in self.parameters.items()}
        self.baseline = Configuration({p: c[0] for p, c in self.parameters.items()})
        self.size = math.prod(len(c) for c in self.parameters.values())
        if inherit is not None:
            self.inherit = check_inherit(inherit)

    @classmethod
    def of(cls, space: SearchSpace | Mapping[str, Sequence[str]]) -> SearchSpace:
        """Return a search space as it is, and a plain mapping of choices as a search space."""
        return space if isinstance(space, SearchSpace) else SearchSpace(space)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "parameters": dict(self.parameters)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, parameters=MappingProxyType(state["parameters"]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({ {p: list(c) for p, c in self.parameters.items()} })"

    def options(self) -> dict[str, Any]:
        """Return what must be given to `load_space` to get this space again: JSON-compatible keyword arguments."""
        return {"parameters": {p: list(c) for p, c in self.parameters.items()}}

    def meaning(self) -> dict[str, Any]:
        """Return what the options stand for, such as a preset's values, as far as stages do not tell: JSON-compatible.

        It takes part in the keys of evaluations, so that a preset that has changed is not answered by what was trained before.
        """
        return {}

    def uses(self, configuration: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Return the plug-ins that the model of a configuration is made of: kind (see `nas_fusion.plugins`) to names.

        They are written down with their distributions and versions beside every model that is kept.
        """
        return {"spaces": (self.name,)}

    def all_uses(self) -> dict[str, tuple[str, ...]]:
        """Return the plug-ins that its models can be made of: those that any choice uses, alone or beside all others."""
        everything = Configuration({p: choices[-1] for p, choices in self.parameters.items()})
        choices = [(p, choice) for p, own in self.parameters.items() for choice in own]
        found: dict[str, dict[str, None]] = {}
        for configuration in (start.with_choices({p: c}) for start in (self.baseline, everything) for p, c in choices):
            for kind, names in self.uses(configuration).items():
                found.setdefault(kind, {}).update(dict.fromkeys(names))
        return {kind: tuple(names) for kind, names in found.items()}

    @classmethod
    def needs_modalities(cls, options: Mapping[str, Any]) -> bool:
        """Return whether these options leave open what only a cohort tells: then `modalities`, its names, must be given too."""
        return False

    def notes(self, inputs: Inputs) -> dict[str, Any]:
        """Return facts on how models of a cohort are made that take no part in keys: JSON-compatible.

        They are kept among the details of every evaluation, such as which tensors of a file of weights were used. What stands
        under `sentences` is said once, when a search begins.
        """
        return {}

    # --- the index: mixed radix, the first parameter varies fastest, index 0 is the baseline ---

    def configuration(self, index: int) -> Configuration:
        """Return the configuration of an index in `range(size)`.

        Raises:
            ValueError: If the index is out of range.
        """
        if not 0 <= index < self.size:
            raise ValueError(f"`index` must be in [0, {self.size}), but got {index}.")
        choices = {}
        for parameter, values in self.parameters.items():
            index, digit = divmod(index, len(values))
            choices[parameter] = values[digit]
        return Configuration(choices)

    def index(self, configuration: Mapping[str, str]) -> int:
        """Return the index of a configuration: the inverse of `configuration`.

        Raises:
            ValueError: If it is not a configuration of this space.
        """
        self.check(configuration)
        index, radix = 0, 1
        for parameter, position in self._position.items():
            index += radix * position[configuration[parameter]]
            radix *= len(position)
        return index

    @cached_property
    def n_configurations(self) -> int | None:
        """The number of canonical configurations; `None` where they are not worth counting.

        With parameters that may be without effect they are counted one by one, up to a `size` of 2^14: nothing that only wants
        to know their number may list a space that nobody could search through.
        """
        if not self.is_constrained:
            return self.size
        return sum(1 for _ in self.configurations()) if self.size <= LISTED else None

    def configurations(self) -> Iterator[Configuration]:
        """Yield every canonical configuration once, by index: look at `n_configurations` before going through all of them."""
        everything = map(self.configuration, range(self.size))
        yield from (c for c in everything if self.canonical(c) == c) if self.is_constrained else everything

    def check(self, configuration: Mapping[str, str]) -> None:
        """Raise unless a mapping is a configuration of this space.

        Raises:
            ValueError: If a parameter is missing, unknown, or has an unknown choice.
        """
        if configuration.keys() != self.parameters.keys():
            raise ValueError(f"`configuration` must choose exactly for {list(self.parameters)}, but got {list(configuration)}.")
        for parameter, choice in configuration.items():
            if choice not in self._position[parameter]:
                allowed = list(self.parameters[parameter])
                raise ValueError(f"`configuration` must choose {parameter!r} from {allowed}, but got {choice!r}.")

    # --- the lattice ---

    def off(self, parameter: str) -> str:
        """Return the choice that means that a parameter is off."""
        return self.parameters[parameter][0]

    def active(self, configuration: Mapping[str, str]) -> dict[str, str]:
        """Return the choices of a configuration that are not off, in the space's order."""
        return {p: configuration[p] for p in self.parameters if configuration[p] != self.off(p)}

    def complete(self, choices: Mapping[str, str]) -> Configuration:
        """Return the configuration with these choices, every other parameter off: the inverse of `active`.

        Raises:
            ValueError: If a parameter or a choice is unknown.
        """
        configuration = self.baseline.with_choices(choices)
        self.check(configuration)
        return configuration

    def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
        """Return whether a parameter has any effect given the other choices of a configuration. By default always."""
        return True

    @property
    def is_constrained(self) -> bool:
        """Whether parameters may be without effect, so that not every configuration is canonical."""
        return type(self).is_active is not SearchSpace.is_active

    def canonical(self, configuration: Mapping[str, str]) -> Configuration:
        """Return the configuration with every parameter that has no effect set to off."""
        current = Configuration({p: configuration[p] for p in self.parameters})
        while self.is_constrained:
            settled = Configuration({p: c if self.is_active(p, current) else self.off(p) for p, c in current.items()})
            if settled == current:
                break
            current = settled
        return current

    def forward_moves(self, configuration: Mapping[str, str]) -> list[Configuration]:
        """Return the canonical configurations one move further: a parameter with effect goes from off to a choice.

        A choice that takes the effect from another active parameter is an exchange, not a move forward.
        """
        current = self.canonical(configuration)
        moves = [
            current.with_choices({parameter: choice})
            for parameter, choices in self.parameters.items()
            if current[parameter] == choices[0] and self.is_active(parameter, current)
            for choice in choices[1:]
        ]
        return [move for move in moves if self.canonical(move) == move] if self.is_constrained else moves

    def backward_moves(self, configuration: Mapping[str, str]) -> list[Configuration]:
        """Return the canonical configurations one move back: a parameter goes back to off."""
        current = self.canonical(configuration)
        moves = (self.canonical(current.with_choices({p: self.off(p)})) for p in self.active(current))
        return list(dict.fromkeys(moves))

    def change_moves(self, configuration: Mapping[str, str]) -> list[Configuration]:
        """Return the canonical configurations in which one active parameter has another choice that is not off.

        Changes go both ways: each of them has this configuration among its own.
        """
        current = self.canonical(configuration)
        others = ((p, c) for p, own in self.active(current).items() for c in self.parameters[p][1:] if c != own)
        moves = (current.with_choices({parameter: choice}) for parameter, choice in others)
        return [move for move in moves if self.canonical(move) == move]

    # --- Optuna ---

    def suggest(self, trial: optuna.trial.BaseTrial) -> Configuration:
        """Declare every parameter on a trial, each by one `suggest_categorical`, and return the canonical configuration.

        Names and choices are the same in every trial: Optuna's samplers, plots and importances need that.
        """
        return self.canonical({p: trial.suggest_categorical(p, choices) for p, choices in self.parameters.items()})

    # --- the model: what a space that can be trained overrides ---

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        """Return the freshly initialised model of a configuration, drawn from torch's global generator.

        Its `forward(inputs, present=None)` takes name to tensor `(batch, ...)` and a Boolean tensor `(batch, modalities)`, and
        returns logits `(batch, classes)`.
        """
        raise TypeError(f"{type(self).__name__} describes choices only: it has no model to build.")

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        """Return the training stages of a configuration, in their order."""
        raise TypeError(f"{type(self).__name__} describes choices only: it has no training stages.")

    def references(self, inputs: Inputs) -> dict[str, Reference]:
        """Return named models to compare with that are no single configurations, such as each modality alone."""
        return {}

    def supernet(self, inputs: Inputs) -> Stage:
        """Return the stage that trains all configurations at once, for differentiable search.

        Its model holds every candidate of every parameter behind gates: beside its forward pass, which is that of `build`, it
        has `architecture`, parameter of the space to the logits of its choices (off first, trained by the worker), and
        `draw(temperature, generator)`, which sets the temperature of the next forward passes in training mode and draws their
        noise. Tensors with the names that they have in the baseline's model start from the baseline's weights where the space
        inherits. `depends_on` is the baseline.

        Raises:
            TypeError: If the space has none.
        """
        raise TypeError(f"{type(self).__name__} has no supernet: differentiable search needs one.")


def load_space(name: str, **options: Any) -> SearchSpace:
    """Return the search space of a name, such as `fusion-points`, built with its options and called by that name.

    Args:
        name: A registered name.
        **options: The space's own, as its `options()` returns them.

    Raises:
        ValueError: If no space has that name, or an option is not one of the space's or out of its range.
    """
    kind = plugins.load("spaces", name)
    try:
        inspect.signature(kind).bind(**options)
    except TypeError as error:
        raise ValueError(f"`options` must be options of the space {name!r}, but got {options}: {error}.") from None
    space: SearchSpace = kind(**options)
    if space.name != name:
        space.name = name  # what is written down must be found again
    return space


INHERIT = ("parent", "baseline", "none")


def check_inherit(inherit: str) -> str:
    """Return a rule of inheritance if it is one.

    Raises:
        ValueError: If it is not.
    """
    if inherit not in INHERIT:
        raise ValueError(f"`inherit` must be one of {', '.join(INHERIT)}, but got {inherit!r}.")
    return inherit


def _check_parameter(parameter: str, choices: Sequence[str]) -> None:
    if not isinstance(parameter, str):
        raise TypeError(f"`parameters` must have strings for names, but got {parameter!r}.")
    if isinstance(choices, str) or not all(isinstance(choice, str) for choice in choices):
        raise TypeError(f"`parameters` must map {parameter!r} to a sequence of strings, but got {choices!r}.")
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise ValueError(f"`parameters` must give {parameter!r} at least two different choices, but got {list(choices)}.")
