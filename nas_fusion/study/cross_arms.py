"""What a cross-validation compares: the baseline, configurations by name, references, and a space's ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nas_fusion.analysis import BASELINE, points
from nas_fusion.space import Configuration, SearchSpace

if TYPE_CHECKING:
    from nas_fusion.cohorts import Inputs

Wanted: TypeAlias = "str | Mapping[str, str] | CrossArm"


@dataclass(frozen=True)
class CrossArm:
    """A model that is trained and scored in every fold: a configuration, or a reference.

    Attributes:
        name: Unique among the arms of a cross-validation.
        title: A few words for tables.
        space: Whose it is.
        configuration: Canonical; `None` for a reference.
        reference: The reference's name, `None` for a configuration.
        is_chosen: Whether somebody named the configuration: it may have been chosen on the very subjects that score it.
    """

    name: str
    title: str
    space: SearchSpace
    configuration: Configuration | None = None
    reference: str | None = None
    is_chosen: bool = False


def baseline_arm(space: SearchSpace) -> CrossArm:
    """Return the arm of a space's baseline."""
    return CrossArm(BASELINE, space.words.baseline_title, space, space.canonical(space.baseline))


def configuration_arm(space: SearchSpace, choices: str | Mapping[str, str]) -> CrossArm:
    """Return the arm of a configuration, named by what is active in it.

    Args:
        space: The search space.
        choices: Such as `layer3=mmtm,layer4=mmtm` or the same as a mapping; what is not named is off.

    Raises:
        ValueError: If the text has another form, or names no parameter or choice of the space.
    """
    named = _choices(choices) if isinstance(choices, str) else dict(choices)
    for parameter, choice in named.items():
        if parameter not in space.parameters:
            known = ", ".join(space.parameters)
            raise ValueError(f"`arm` must name parameters of the space ({known}), but got {parameter!r}.")
        if choice not in space.parameters[parameter]:
            known = ", ".join(space.parameters[parameter])
            raise ValueError(f"`arm` must choose {parameter!r} from {known}, but got {choice!r}.")
    configuration = space.canonical(space.complete(named))
    if configuration == space.canonical(space.baseline):
        return baseline_arm(space)
    name = ",".join(f"{parameter}={choice}" for parameter, choice in space.active(configuration).items())
    return CrossArm(name, points(space, configuration), space, configuration, is_chosen=True)


def reference_arms(space: SearchSpace, inputs: Inputs, names: Sequence[str] | None = None) -> tuple[CrossArm, ...]:
    """Return the arms of a space's references, all of them or those of some names.

    Raises:
        ValueError: If there is none of a name.
    """
    references = space.references(inputs)
    for name in names or ():
        if name not in references:
            known = ", ".join(references) or "(this space has none)"
            raise ValueError(f"`reference` must be one of {known}, but got {name!r}.")
    return tuple(
        CrossArm(name, references[name].title, space, reference=name) for name in (references if names is None else names)
    )


def ablation_arms(space: SearchSpace) -> tuple[CrossArm, ...]:
    """Return the arms of a space's ablations, the full model first: `space.ablations()` gives title to (space, configuration).

    Raises:
        ValueError: If the space has none.
    """
    ablations = getattr(space, "ablations", None)
    if ablations is None:
        raise ValueError(f"`ablations` must be asked of a space that has some, but {space.name!r} has none.")
    return tuple(
        CrossArm(name, name, other, other.canonical(configuration)) for name, (other, configuration) in ablations().items()
    )


def arms_of(space: SearchSpace, inputs: Inputs, wanted: Sequence[Wanted] | None = None) -> tuple[CrossArm, ...]:
    """Return the arms that are wanted, each once.

    Args:
        space: The search space.
        inputs: What the cohort's subjects look like.
        wanted: Each `baseline`, a reference's name, an ablation's name, choices such as `layer3=mmtm` (as a text or a mapping),
            or an arm; `None` for the baseline and all references.

    Raises:
        ValueError: If one is none of these, there are none, or two are the same.
    """
    if wanted is None:
        return distinct((baseline_arm(space), *reference_arms(space, inputs)))
    return distinct([_arm(space, inputs, each) for each in wanted])


def distinct(arms: Sequence[CrossArm]) -> tuple[CrossArm, ...]:
    """Return arms that are at least one, each under a name of its own.

    Raises:
        ValueError: If there are none, or two have one name.
    """
    if not arms:
        raise ValueError("`arms` must be at least one, but got none.")
    names = [arm.name for arm in arms]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"`arms` must be different, but {twice[0]!r} is there {names.count(twice[0])} times.")
    return tuple(arms)


def _arm(space: SearchSpace, inputs: Inputs, wanted: Wanted) -> CrossArm:
    if isinstance(wanted, CrossArm):
        return wanted
    if not isinstance(wanted, str):
        return configuration_arm(space, wanted)
    if wanted in ("baseline", BASELINE):
        return baseline_arm(space)
    if "=" in wanted and wanted.partition("=")[0].strip() in space.parameters:  # before ablations, which may not be possible
        return configuration_arm(space, wanted)
    if wanted in space.references(inputs):
        return reference_arms(space, inputs, [wanted])[0]
    ablations = {arm.name: arm for arm in ablation_arms(space)} if hasattr(space, "ablations") else {}
    if wanted in ablations:
        return ablations[wanted]
    if "=" in wanted:
        return configuration_arm(space, wanted)
    known = ["baseline", *space.references(inputs), *ablations]
    raise ValueError(f"`arms` must be choices such as {_example(space)}, or one of {', '.join(known)}, but got {wanted!r}.")


def _choices(text: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for item in text.split(","):
        parameter, equals, choice = (part.strip() for part in item.partition("="))
        if not (parameter and equals and choice) or parameter in named:
            raise ValueError(f"`arm` must have the form PARAMETER=CHOICE,..., each parameter once, but got {text!r}.")
        named[parameter] = choice
    return named


def _example(space: SearchSpace) -> str:
    parameter, choices = next(iter(space.parameters.items()))
    return f"{parameter}={choices[1]}"
