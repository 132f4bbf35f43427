"""From studies that keep to one module each, and the store, to what a comparison of modules shows. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage

from nas_fusion.analysis import Arm, Comparison
from nas_fusion.analysis.modules import Model, ModuleComparison
from nas_fusion.space import LISTED, Configuration
from nas_fusion.study.laboratory import Laboratory
from nas_fusion.study.outcome import AUDITOR, cohort_facts, reference_arms, search_arms
from nas_fusion.study.restricted import shared_choices
from nas_fusion.study.spec import JOINT, StudySpec, load_study

if TYPE_CHECKING:
    from nas_fusion.record import Evaluation


def summarise_modules(
    laboratory: Laboratory, storage: BaseStorage, studies: Sequence[str], *, command: str = ""
) -> ModuleComparison:
    """Return what came of a comparison of modules.

    Args:
        laboratory: Of the space of all modules.
        storage: Where the studies are.
        studies: Their names; each has its module in its specification.
        command: The command line that makes this again; that of the first study by default.

    Raises:
        ValueError: If a study has no finished evaluation yet.
    """
    specs = {name: load_study(storage, name)[1] for name in studies}
    modules = tuple(m for m in shared_choices(laboratory.space) if any(spec.module == m for spec in specs.values()))
    searches = {module: _arms(laboratory, storage, specs, module) for module in modules}
    joint = _arms(laboratory, storage, specs, JOINT)
    every = (*(arm for arms in searches.values() for arm in arms), *joint)
    complete = {spec.module for spec in specs.values() if spec.sampler == AUDITOR}
    models = dict(_models(laboratory, modules, every, complete))
    joint = tuple(_by_the_rule(arm, models) for arm in joint)
    references = tuple(_by_the_rule(arm, models) for arm in reference_arms(laboratory))
    first = next(iter(specs.values()))
    comparison = Comparison(
        space=laboratory.space,
        cohort=cohort_facts(laboratory),
        arms=(*(arm for arms in searches.values() for arm in arms), *joint, *references),
        inherit=first.inherit,
        command=command or first.command,
        landscape_inherit="none" if first.inherit == "none" else "baseline",
        settings={**laboratory.worker.description(), "modules": list(modules)},
        **_counts(every, references, models),
    )
    return ModuleComparison(comparison, modules, models, searches, joint)


def points_of_modules(laboratory: Laboratory, modules: Sequence[str]) -> list[Configuration]:
    """Return what a comparison of modules needs beside its searches: the baseline, and each module at each single point."""
    space = laboratory.space
    singles = [space.canonical(space.complete({point: module})) for module in modules for point in space.parameters]
    return list(dict.fromkeys([space.canonical(space.baseline), *singles]))


def _arms(laboratory: Laboratory, storage: BaseStorage, specs: dict[str, StudySpec], module: str) -> tuple[Arm, ...]:
    """Return the arms of a module, or of all of them jointly, with names and titles of their own."""
    studies = [name for name, spec in specs.items() if spec.module == module]
    if not studies:
        return ()
    what = "All modules" if module == JOINT else module
    arms = search_arms(laboratory.within(module), storage, studies)
    return tuple(replace(arm, name=f"{module}-{arm.name}", title=f"{what}: {arm.title}") for arm in arms)


def _models(
    laboratory: Laboratory, modules: Sequence[str], arms: Sequence[Arm], complete: set[str]
) -> Iterator[tuple[Configuration, Model]]:
    """Yield what the store knows by the rule that is common to all: of subsets of points, where an arm evaluated them all."""
    wanted = points_of_modules(laboratory, modules)
    for module in modules:
        own = laboratory.within(module).space
        if module in complete and own.size <= LISTED:
            wanted += own.configurations()
    wanted += [arm.best for arm in arms if arm.best is not None]
    for configuration in dict.fromkeys(wanted):
        key = laboratory.worker.key(configuration, lineage=laboratory.worker.lineage(configuration))
        evaluation = laboratory.store.get(key)
        if evaluation is not None and laboratory.store.has(key):
            yield configuration, Model(evaluation, laboratory.store.predictions(key).grouped(laboratory.groups))


def _by_the_rule(arm: Arm, models: dict[Configuration, Model]) -> Arm:
    """Return an arm with the loss of its choice by the rule of the modules' landscapes, if it is on none."""
    if arm.best is None or arm.best not in models or arm.landscape_value is not None:
        return arm
    return replace(arm, landscape_value=models[arm.best].evaluation.value)


def _counts(searches: Sequence[Arm], references: Sequence[Arm], models: dict[Configuration, Model]) -> dict[str, Any]:
    """Return how many trainings served a search, how many only the comparison, and what was trained in vain."""
    used: list[Evaluation] = [evaluation for arm in searches for evaluation in arm.evaluations]
    searched_keys = {evaluation.key for evaluation in used}
    audit = {evaluation.key for arm in references for evaluation in arm.evaluations}
    audit |= {model.evaluation.key for model in models.values()}
    return {
        "trained_for_search": len(searched_keys) + sum(each.was_trained for arm in searches for each in arm.unfinished),
        "trained_for_audit": len(audit - searched_keys),
        "trained_in_vain": sum(arm.in_vain for arm in searches),
        "epochs_in_vain": sum(arm.epochs_in_vain for arm in searches),
    }
