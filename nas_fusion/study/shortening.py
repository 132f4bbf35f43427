"""What a study decides by under noise, and what shortens it: whether that can work, and which pruner it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.pruners import BasePruner, NopPruner

from nas_fusion.pruners import HalvingPruner, RacingPruner
from nas_fusion.samplers.options import taken_by
from nas_fusion.study.budget import equal_budgets
from nas_fusion.study.made_of import made_of

if TYPE_CHECKING:
    from nas_fusion.study.laboratory import Laboratory
    from nas_fusion.study.spec import StudySpec


def arm_specs(
    spec: StudySpec, laboratory: Laboratory, samplers: Sequence[str], options: Mapping[str, Any], *, called: str
) -> dict[str, StudySpec]:
    """Return the specification of each sampler's study: with the options that it takes, shortened if it works in rounds.

    Args:
        spec: What they have in common.
        laboratory: Space and cohort.
        samplers: Their names.
        options: Sampler options, each for those that take it.
        called: What the options are called where they are given, for errors.

    Raises:
        ValueError: If nobody takes an option, nothing can be shortened, or something needs more losses than there will be.
    """
    specs = {
        name: made_of(
            spec.replace(sampler=name, sampler_options=taken_by(name, options, samplers, called=called)), laboratory.space
        )
        for name in samplers
    }
    samplers_of = {name: laboratory.sampler(each) for name, each in specs.items()}
    specs = equal_budgets(specs, samplers_of, laboratory.space)
    in_rounds = {name: hasattr(sampler, "contest") for name, sampler in samplers_of.items()}
    if shortenings(spec) and not any(in_rounds.values()):
        raise ValueError(
            f"`{_option(spec)}` must go with a sampler that works in rounds (sfsa, beam, backward, floating), "
            f"but got {', '.join(samplers)}."
        )
    for name, each in specs.items():
        if not in_rounds[name]:
            specs[name] = each.replace(racing=None, halving=False)
        _check_losses(specs[name], laboratory)
        pruner_of(specs[name], laboratory)
    return specs


def shortenings(spec: StudySpec) -> tuple[str, ...]:
    """Return what shortens a study, in a few words each; empty if nothing does."""
    return (
        *((f"racing at p = {spec.racing:g}",) if spec.racing is not None else ()),
        *(("halving in each round",) if spec.halving else ()),
    )


def pruner_of(spec: StudySpec, laboratory: Laboratory) -> BasePruner:
    """Return the pruner of a study: none, unless it is to be shortened.

    Optuna's default pruner is never taken: it compares trials by the time at which they end.

    Raises:
        ValueError: If there are too few folds for it to do anything.
    """
    n = n_losses(spec, laboratory)
    if spec.racing is not None:
        return RacingPruner(spec.racing, n_folds=n)
    if spec.halving:
        is_single = laboratory.n_folds * spec.seeds == 1
        return HalvingPruner(n_steps=laboratory.epochs(laboratory.space.baseline) if is_single else n)
    return NopPruner()


def n_losses(spec: StudySpec, laboratory: Laboratory) -> int:
    """Return how many losses decisions rest on: one a fold, or one a training seed where there is one fold."""
    return laboratory.n_folds if laboratory.n_folds > 1 else spec.seeds


def _check_losses(spec: StudySpec, laboratory: Laboratory) -> None:
    rule = spec.sampler_options.get("accept", "best")
    if rule != "best" and n_losses(spec, laboratory) < 2:
        raise ValueError(f"`--accept {rule}` must have at least two folds, or two training seeds of one fold, but got one.")


def _option(spec: StudySpec) -> str:
    return "--racing" if spec.racing is not None else "--halving"
