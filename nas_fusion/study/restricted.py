"""Restricted spaces: one choice of a space's parameters beside off, everything else as in the whole space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nas_fusion.space import Configuration, SearchSpace

if TYPE_CHECKING:
    from torch import nn

    from nas_fusion.cohorts import Inputs
    from nas_fusion.evaluation.stage import Reference, Stage


class RestrictedSpace(SearchSpace):
    """The configurations of a space in which every active parameter has one and the same choice.

    It has the name, options, models and stages of the whole space, so that its evaluations have the same keys and the same
    numbers: what is trained for one restriction is known to every other and to the whole space. The baseline and each
    reference that consists of no other choice are common to all.

    Args:
        whole: The space.
        choice: Offered by each of its parameters, such as a fusion module.

    Raises:
        ValueError: If a parameter does not offer the choice.
    """

    def __init__(self, whole: SearchSpace, choice: str) -> None:
        for parameter, choices in whole.parameters.items():
            if choice not in choices[1:]:
                offers = ", ".join(choices[1:])
                raise ValueError(
                    f"`choice` must be offered by every parameter, but got {choice!r}; {parameter!r} offers {offers}."
                )
        super().__init__({p: (choices[0], choice) for p, choices in whole.parameters.items()}, inherit=whole.inherit)
        self.whole, self.choice = whole, choice
        self.name, self.cohort, self.presets, self.words = whole.name, whole.cohort, whole.presets, whole.words
        self.files = whole.files
        self.complete_only = whole.complete_only

    def options(self) -> dict[str, Any]:
        """Return the options of the whole space: `load_space` gives that, not its restriction."""
        return self.whole.options()

    def meaning(self) -> dict[str, Any]:
        """Return what the whole space's options stand for."""
        return self.whole.meaning()

    def uses(self, configuration: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Return the plug-ins that the model of a configuration is made of."""
        return self.whole.uses(configuration)

    def all_uses(self) -> dict[str, tuple[str, ...]]:
        """Return the plug-ins that models of the whole space can be made of: they take part in keys."""
        return self.whole.all_uses()

    def notes(self, inputs: Inputs) -> dict[str, Any]:
        """Return what the whole space notes of a cohort."""
        return self.whole.notes(inputs)

    def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
        """Return whether a parameter has any effect given the other choices of a configuration."""
        return self.whole.is_active(parameter, configuration)

    @property
    def is_constrained(self) -> bool:
        """Whether parameters may be without effect."""
        return self.whole.is_constrained

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        """Return the freshly initialised model of a configuration."""
        return self.whole.build(configuration, inputs)

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        """Return the training stages of a configuration, in their order."""
        return self.whole.stages(configuration, inputs)

    def references(self, inputs: Inputs) -> dict[str, Reference]:
        """Return the references that consist of no other choice."""
        return {name: each for name, each in self.whole.references(inputs).items() if all(map(self._has, each.members))}

    def _has(self, member: Configuration | str) -> bool:
        return isinstance(member, str) or all(choice in self.parameters[p] for p, choice in member.items())


def shared_choices(space: SearchSpace) -> tuple[str, ...]:
    """Return the choices, off left out, that every parameter of a space offers, in the order of the first parameter."""
    first, *others = (choices[1:] for choices in space.parameters.values())
    return tuple(choice for choice in first if all(choice in other for other in others))
