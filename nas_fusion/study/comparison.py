"""`compare`: several searches on one pool of evaluations, the references beside them, one test evaluation at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage

from nas_fusion.space import Configuration
from nas_fusion.study.budget import max_evaluations
from nas_fusion.study.final_test import test_all
from nas_fusion.study.jobs import ConfigurationJob, Job, ReferenceJob, StudyJob
from nas_fusion.study.laboratory import Laboratory
from nas_fusion.study.outcome import chosen, last_error, summarise
from nas_fusion.study.progress import Listener, PhaseStarted, WorkFailed, silent
from nas_fusion.study.shortening import arm_specs
from nas_fusion.study.spec import load_study, open_study
from nas_fusion.study.workers import Crew, Solo

if TYPE_CHECKING:
    from nas_fusion.analysis import Comparison
    from nas_fusion.cohorts import Cohort
    from nas_fusion.space import SearchSpace


def arm_names(study: str, samplers: Sequence[str]) -> dict[str, str]:
    """Return the name of each sampler's study in a comparison."""
    return {sampler: f"{study}-{sampler}" for sampler in samplers}


def compare(
    space: SearchSpace,
    cohort: Cohort,
    *,
    samplers: Sequence[str] = ("sfsa", "beam", "exhaustive"),
    inherit: str | None = None,
    plan: Mapping[str, Any] | None = None,
    seed: int = 0,
    seeds: int = 1,
    sampler_options: Mapping[str, Any] | None = None,
    racing: float | None = None,
    halving: bool = False,
    device: str = "auto",
    trials: int | None = None,
    storage: BaseStorage | str | None = None,
    study: str | None = None,
    artifacts: str | Path = "",
    listener: Listener = silent,
) -> Comparison:
    """Run several searches on one pool of evaluations in this process, and compare what came of them.

    Nothing is trained twice. After every search has ended, all arms are evaluated on the test subjects, once.

    Args:
        space: The search space.
        cohort: The cohort, with splits.
        samplers: Names of the samplers, an arm each. With `exhaustive` among them there is a landscape, and so regret.
        inherit: Where a candidate's weights come from, `None` for the space's rule.
        plan: Overrides of the training plan, such as `{"epochs": 5}`.
        seed: Of initialisation, data order and samplers.
        seeds: Training seeds of each fold; a value is the mean over folds and seeds.
        sampler_options: Options of the samplers, such as `{"accept": "paired"}`, each for those that take it.
        racing: Shortens the searches that work in rounds, which are then no longer exact: level of the tests by which a
            candidate that cannot win its round any more is ended before its last fold, see `nas_fusion.pruners`.
        halving: Shortens them, too: whether candidates that are not in the better half of their round after 1, 2, 4, ... folds
            (or epochs, of a single training) are ended.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        trials: Evaluations of samplers that have no end of their own.
        storage: Optuna storage or its URL for the studies, `None` for this process's memory.
        study: Their names begin with this; the space's name by default.
        artifacts: Folder or URL of weights and predictions, this process's memory by default.
        listener: Is told what happens.

    Returns:
        All arms: what `nas_fusion.analysis.comparison_table` and `nas_fusion.visualization.write_report` show.

    Raises:
        ValueError: If an option is wrong, or a study of that name was made differently.
    """
    from nas_fusion.study.storage import storage_of

    laboratory = Laboratory.of(
        space,
        cohort,
        inherit=inherit,
        plan=plan,
        seed=seed,
        seeds=seeds,
        racing=racing,
        halving=halving,
        device=device,
        trials=trials,
        artifacts=artifacts,
    )
    studies = storage_of(storage)
    names = arm_names(study or space.name, samplers)
    # What is wrong with one is no reason to run the others first.
    specs = arm_specs(laboratory.spec, laboratory, samplers, sampler_options or {}, called="sampler_options")
    for sampler, name in names.items():
        open_study(specs[sampler], studies, name)
    crew = Solo(laboratory, studies, listener)
    return run_comparison(laboratory, studies, list(names.values()), crew, listener=listener)


def run_search(
    laboratory: Laboratory,
    storage: BaseStorage,
    name: str,
    crew: Crew,
    *,
    listener: Listener = silent,
    trials: int | None = None,
) -> None:
    """Run one search to its end.

    Args:
        laboratory: Space, cohort and worker.
        storage: Where the study is.
        name: The study's, opened before.
        crew: Does the work.
        listener: Is told what happens.
        trials: Another number of trials than the study was made with, `None` for that.

    Raises:
        WorkFailed: If no evaluation succeeded.
    """
    _, spec = load_study(storage, name)
    spec = spec.replace(trials=trials or spec.trials)
    listener(PhaseStarted(name, max_evaluations(spec, laboratory.sampler(spec), laboratory.space)))
    crew.run([StudyJob(name, trials)])
    best = chosen(laboratory, storage, name)
    if best is None or best.configuration is None:
        raise WorkFailed(f"No evaluation of {name!r} succeeded; {last_error(storage, name)}")
    if not laboratory.store.has(best.key):  # lost or damaged since: computed again, the same
        crew.run([ConfigurationJob(best.configuration, best.lineage)])


def run_comparison(
    laboratory: Laboratory,
    storage: BaseStorage,
    names: Sequence[str],
    crew: Crew,
    *,
    listener: Listener = silent,
    trials: int | None = None,
) -> Comparison:
    """Run searches one after the other on one store, then the references, then the one test evaluation of all arms.

    Nothing that the store knows is trained again, so that a comparison that was interrupted continues where it was.

    Args:
        laboratory: Space, cohort and worker.
        storage: Where the studies are.
        names: Names of the arms' studies, opened before.
        crew: Does the work.
        listener: Is told what happens.
        trials: Another number of trials than the studies were made with, `None` for that.
    """
    for name in names:
        run_search(laboratory, storage, name, crew, listener=listener, trials=trials)
    return finished(laboratory, crew, listener, lambda: summarise(laboratory, storage, names))


def finished(laboratory: Laboratory, crew: Crew, listener: Listener, summary: Callable[[], Comparison]) -> Comparison:
    """Train the references of searches that have ended, evaluate all arms once on the test subjects, and return the summary."""
    for jobs in _audit(laboratory):
        listener(PhaseStarted("references", len(jobs)))
        crew.run(jobs)
    if laboratory.cohort.splits is not None and laboratory.cohort.splits.test:
        listener(PhaseStarted("test subjects, once"))
        test_all(laboratory, summary())
    return summary()


def _audit(laboratory: Laboratory) -> list[list[Job]]:
    """Return the jobs that the references need: what is trained first, what averages it second."""
    references = laboratory.space.references(laboratory.cohort.inputs)
    trained: list[Job] = [ReferenceJob(name) for name, reference in references.items() if reference.stages]
    members = [member for reference in references.values() for member in reference.members if isinstance(member, Configuration)]
    trained += [ConfigurationJob(member, laboratory.worker.lineage(member)) for member in dict.fromkeys(members)]
    averaged: list[Job] = [ReferenceJob(name) for name, reference in references.items() if not reference.stages]
    return [jobs for jobs in (trained, averaged) if jobs]
