"""`--dry-run`: what a search would do and cost, without training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nas_fusion.cli.output import print_cohort, print_json, print_table

if TYPE_CHECKING:
    from nas_fusion.cli.request import Request
    from nas_fusion.space import Configuration, SearchSpace
    from nas_fusion.study.laboratory import Laboratory
    from nas_fusion.study.spec import StudySpec


def dry_run(request: Request, *, as_json: bool) -> None:
    """Print the split, the largest number of trainings, and time and memory estimated from one measured step."""
    cohort, cost = request.laboratory.cohort, _cost(request)
    print(f"The data are valid: {cohort.name}, {len(cohort)} subjects.\n")
    split = print_cohort(cohort)
    print_table(["estimate", "value"], [[name.replace("_", " "), value] for name, value in cost.items()])
    if as_json:
        print_json({"cohort": cohort.name, "split": split, **cost})


def _cost(request: Request) -> dict[str, Any]:
    """Return the cost if nothing is known yet: of the largest configuration, for the largest number of trainings."""
    from nas_fusion.study.ranking import supernet_epochs

    laboratory = request.laboratory
    space = laboratory.space
    largest = _largest(space)
    step = laboratory.worker.estimate(largest)
    trainings = _most_trainings(request)
    epochs = laboratory.epochs(largest)
    seconds = trainings * laboratory.n_folds * laboratory.spec.seeds * epochs * step.seconds_per_epoch / len(request.devices)
    ranked = sum(supernet_epochs(own.sampler(spec), own) for spec, own in _laboratories(request))
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


def _most_trainings(request: Request) -> int:
    """Return how many models are trained at most: of every search, and for a comparison of the references too."""
    from nas_fusion.study.budget import max_evaluations

    laboratory, space = request.laboratory, request.laboratory.space
    searched = sum(max_evaluations(spec, own.sampler(spec), own.space) for spec, own in _laboratories(request))
    if laboratory.spec.inherit != "parent":  # a configuration has one training, whoever asks for it
        searched = min(searched, space.n_configurations or space.size)
    if len(request.specs) == 1:
        return searched
    references = space.references(laboratory.cohort.inputs).values()
    members = {member for reference in references for member in reference.members if not isinstance(member, str)}
    if any(spec.module for spec in request.specs.values()):
        searched, members = _of_modules(request, members)
    return searched + len(members) + sum(bool(reference.stages) for reference in references)


def _of_modules(request: Request, members: set[Configuration]) -> tuple[int, set[Configuration]]:
    """Return how much the searches that are not exhaustive train at most, and what is trained by the one common rule."""
    from nas_fusion.study.budget import EXHAUSTIVE, max_evaluations
    from nas_fusion.study.module_outcome import points_of_modules
    from nas_fusion.study.spec import JOINT

    modules = {spec.module for spec in request.specs.values()} - {JOINT}
    searched, every = 0, members | set(points_of_modules(request.laboratory, sorted(modules)))
    for spec, own in _laboratories(request):
        if spec.sampler == EXHAUSTIVE and own.space.n_configurations is not None:
            every |= set(own.space.configurations())
        else:
            searched += max_evaluations(spec, own.sampler(spec), own.space)
    return searched, every


def _laboratories(request: Request) -> Iterator[tuple[StudySpec, Laboratory]]:
    """Yield the specification of each study with its laboratory."""
    for spec in request.specs.values():
        yield spec, request.laboratory.within(spec.module)
