"""`compare --modules`: does the best point move with the module? One study a module, on one pool of evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage

from nas_fusion.study.comparison import finished, run_search
from nas_fusion.study.jobs import ConfigurationJob
from nas_fusion.study.laboratory import Laboratory
from nas_fusion.study.module_outcome import points_of_modules, summarise_modules
from nas_fusion.study.outcome import chosen
from nas_fusion.study.progress import Listener, PhaseStarted, silent
from nas_fusion.study.restricted import shared_choices
from nas_fusion.study.shortening import arm_specs
from nas_fusion.study.spec import JOINT, StudySpec, open_study
from nas_fusion.study.workers import Crew, Solo

if TYPE_CHECKING:
    from nas_fusion.analysis.modules import ModuleComparison
    from nas_fusion.cohorts import Cohort
    from nas_fusion.space import SearchSpace


def compare_modules(
    space: SearchSpace,
    cohort: Cohort,
    *,
    samplers: Sequence[str] = ("exhaustive",),
    joint: str | None = "sfsa",
    inherit: str | None = None,
    plan: Mapping[str, Any] | None = None,
    seed: int = 0,
    seeds: int = 1,
    sampler_options: Mapping[str, Any] | None = None,
    device: str = "auto",
    trials: int | None = None,
    storage: BaseStorage | str | None = None,
    study: str | None = None,
    artifacts: str | Path = "",
    listener: Listener = silent,
) -> ModuleComparison:
    """Find out whether the best point moves with the module: every module by itself, then all of them jointly.

    Each choice that every point of the space offers is a module: with `FusionPointSpace(modules=("mmtm", "concat_conv"))` there
    are two, and a choice that names the modalities that meet is one of its own. The arms of a module see only configurations
    with that module, but of the same space, so that all arms share the baseline, the single modalities and whatever the
    joint search evaluates; nothing is trained twice. Every module is evaluated at every single point, whatever the samplers do.
    At the end all arms are evaluated on the test subjects, once.

    Args:
        space: The space of all modules, at least two.
        cohort: The cohort, with splits.
        samplers: Names of the samplers, for each module an arm each. Only an exhaustive one gives the whole landscape.
        joint: Sampler of the search over points and modules, `None` for none.
        inherit: Where a candidate's weights come from, `None` for the space's rule.
        plan: Overrides of the training plan, such as `{"epochs": 5}`.
        seed: Of initialisation, data order and samplers.
        seeds: Training seeds of each fold; a value is the mean over folds and seeds.
        sampler_options: Options of the samplers, each for those that take it.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        trials: Evaluations of samplers that have no end of their own.
        storage: Optuna storage or its URL for the studies, `None` for this process's memory.
        study: The studies are `<study>-<module>-<sampler>` and `<study>-joint-<sampler>`; `<space>-modules` by default.
        artifacts: Folder or URL of weights and predictions, this process's memory by default.
        listener: Is told what happens.

    Returns:
        What `nas_fusion.analysis.point_table`, `rank_correlations`, `module_findings` and
        `nas_fusion.visualization.write_module_report` show.

    Raises:
        ValueError: If there are fewer than two modules, an option is wrong, or a study of that name was made differently.
    """
    from nas_fusion.study.storage import storage_of

    laboratory = Laboratory.of(
        space,
        cohort,
        inherit=inherit,
        plan=plan,
        seed=seed,
        seeds=seeds,
        device=device,
        trials=trials,
        artifacts=artifacts,
        module=JOINT,
    )
    studies = storage_of(storage)
    specs = module_specs(laboratory, study or f"{space.name}-modules", samplers, joint=joint, options=sampler_options or {})
    for name, each in specs.items():
        open_study(each, studies, name)
    return run_modules(laboratory, studies, list(specs), Solo(laboratory, studies, listener), listener=listener)


def module_specs(
    laboratory: Laboratory,
    study: str,
    samplers: Sequence[str],
    *,
    joint: str | None,
    options: Mapping[str, Any],
    called: str = "sampler_options",
) -> dict[str, StudySpec]:
    """Return the specification of each study of a comparison of modules, by its name.

    Args:
        laboratory: Of the space of all modules.
        study: The names begin with this.
        samplers: For each module an arm each.
        joint: Sampler of the search over points and modules, `None` for none.
        options: Sampler options, each for those that take it.
        called: What the options are called where they are given, for errors.

    Raises:
        ValueError: If there are fewer than two modules, one is called `joint`, a sampler is named twice, or an option is wrong.
    """
    modules, space = shared_choices(laboratory.space), laboratory.space
    if len(modules) < 2:
        offered = ", ".join(dict.fromkeys(c for choices in space.parameters.values() for c in choices[1:]))
        raise ValueError(f"`modules` must be at least two that every point offers, but got {offered}.")
    if JOINT in modules:
        raise ValueError(f"`modules` must not be called {JOINT!r}, which is the name of the search over all of them.")
    if not samplers or len(set(samplers)) < len(samplers):
        raise ValueError(f"`samplers` must be at least one, each once, but got {list(samplers)}.")
    arms = {module: tuple(samplers) for module in modules} | ({JOINT: (joint,)} if joint else {})
    found: dict[str, StudySpec] = {}
    for module, own in arms.items():
        within = laboratory.within(module)
        given = _options_of(own, [*samplers, *([joint] if joint else [])], options, called)
        specs = arm_specs(laboratory.spec.replace(module=module), within, own, given, called=called)
        found |= {f"{study}-{module}-{sampler}": specs[sampler] for sampler in own}
    return found


def run_modules(
    laboratory: Laboratory,
    storage: BaseStorage,
    names: Sequence[str],
    crew: Crew,
    *,
    listener: Listener = silent,
    trials: int | None = None,
) -> ModuleComparison:
    """Run the studies of a comparison of modules one after the other, then what they are compared by, then the one test.

    Nothing that the store knows is trained again, so that a comparison that was interrupted continues where it was.

    Args:
        laboratory: Of the space of all modules.
        storage: Where the studies are.
        names: Of the studies, opened before.
        crew: Does the work.
        listener: Is told what happens.
        trials: Another number of trials than the studies were made with, `None` for that.
    """
    from nas_fusion.study.spec import load_study

    within = {name: load_study(storage, name)[1].module for name in names}
    for name, module in within.items():
        run_search(laboratory.within(module), storage, name, crew, listener=listener, trials=trials)
    best = [chosen(laboratory.within(module), storage, name) for name, module in within.items()]
    modules = [module for module in dict.fromkeys(within.values()) if module != JOINT]
    wanted = points_of_modules(laboratory, modules)
    wanted += [each.configuration for each in best if each is not None and each.configuration is not None]
    jobs = [ConfigurationJob(each, laboratory.worker.lineage(each)) for each in dict.fromkeys(wanted)]
    listener(PhaseStarted("every module at every point", len(jobs)))
    crew.run(jobs)
    finished(laboratory, crew, listener, lambda: summarise_modules(laboratory, storage, names).comparison)
    return summarise_modules(laboratory, storage, names)


def _options_of(own: Sequence[str], everyone: Sequence[str], options: Mapping[str, Any], called: str) -> dict[str, Any]:
    """Return the options that one of some samplers takes.

    Raises:
        ValueError: If nobody among everyone takes an option.
    """
    from nas_fusion.samplers.options import taken_by

    taken: dict[str, Any] = {}
    for sampler in own:
        taken |= taken_by(sampler, options, everyone, called=called)
    return taken
