"""`--dry-run`: what a search would do and cost, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nas_fusion.cli.output import print_cohort, print_json, print_table

if TYPE_CHECKING:
    from nas_fusion.cli.request import Request
    from nas_fusion.space import Configuration, SearchSpace


def dry_run(request: Request, samplers: Sequence[str], *, as_json: bool) -> None:
    """Print the split, the largest number of trainings, and time and memory estimated from one measured step."""
    cohort, cost = request.laboratory.cohort, _cost(request, samplers)
    print(f"The data are valid: {cohort.name}, {len(cohort)} subjects.\n")
    split = print_cohort(cohort)
    print_table(["estimate", "value"], [[name.replace("_", " "), value] for name, value in cost.items()])
    if as_json:
        print_json({"cohort": cohort.name, "split": split, **cost})


def _cost(request: Request, samplers: Sequence[str]) -> dict[str, Any]:
    """Return the cost if nothing is known yet: of the largest configuration, for the largest number of trainings."""
    from nas_fusion.study.ranking import supernet_epochs

    laboratory = request.laboratory
    space = laboratory.space
    largest = _largest(space)
    step = laboratory.worker.estimate(largest)
    trainings = _most_trainings(request, samplers)
    epochs = laboratory.epochs(largest)
    seconds = trainings * laboratory.n_folds * laboratory.spec.seeds * epochs * step.seconds_per_epoch / len(request.devices)
    ranked = sum(supernet_epochs(laboratory.sampler(request.specs[sampler]), laboratory) for sampler in samplers)
    seconds += 2 * ranked * step.seconds_per_epoch  # weights and architecture take a step each, on one device
    return {
        "largest_number_of_trainings": trainings,
        **({"supernet_epochs": ranked} if ranked else {}),
        "folds": laboratory.n_folds,
        "seeds": laboratory.spec.seeds,
        "epochs_of_a_training": epochs,
        "workers": len(request.devices),
        "device": str(laboratory.worker.device),
        "parameters": step.parameters,
        "seconds_per_epoch": step.seconds_per_epoch,
        "hours_at_most": seconds / 3600,
        "peak_memory_mib": step.peak_memory_bytes / 2**20,
    }


def _largest(space: SearchSpace) -> Configuration:
    """Return the configuration with the most active parameters, or in a space that is too large to list, one of them."""
    if space.n_configurations is not None:
        return max(space.configurations(), key=lambda c: (len(space.active(c)), space.index(c)))
    found = space.baseline
    while moves := space.forward_moves(found):
        found = moves[-1]
    return found


def _most_trainings(request: Request, samplers: Sequence[str]) -> int:
    """Return how many models are trained at most: of every search, and for a comparison of the references too."""
    from nas_fusion.study.budget import max_evaluations

    laboratory = request.laboratory
    space, specs = laboratory.space, [request.specs[sampler] for sampler in samplers]
    searched = sum(max_evaluations(spec, laboratory.sampler(spec), space) for spec in specs)
    if laboratory.spec.inherit != "parent":  # a configuration has one training, whoever asks for it
        searched = min(searched, space.n_configurations or space.size)
    if len(samplers) == 1:
        return searched
    references = space.references(laboratory.cohort.inputs).values()
    members = {member for reference in references for member in reference.members if not isinstance(member, str)}
    return searched + len(members) + sum(bool(reference.stages) for reference in references)
