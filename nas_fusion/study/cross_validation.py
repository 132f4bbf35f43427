"""`cross-validate`: repeated stratified k-fold with nested splits, on which arms that were fixed before are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import InMemoryStorage

from nas_fusion.analysis.cross_validation import CrossValidation, FoldScore
from nas_fusion.study.cross_arms import CrossArm, Wanted, arms_of, distinct
from nas_fusion.study.cross_folds import CrossPlan, outer_folds
from nas_fusion.study.jobs import FoldJob
from nas_fusion.study.laboratory import Laboratory, split_digest
from nas_fusion.study.progress import EvaluationFailed, Event, FoldScored, Listener, PhaseStarted, WorkFailed, silent
from nas_fusion.study.spec import StudySpec
from nas_fusion.study.workers import Processes, Solo, devices_of_workers

if TYPE_CHECKING:
    from nas_fusion.cohorts import Cohort
    from nas_fusion.space import SearchSpace


def cross_validate(
    space: SearchSpace,
    cohort: Cohort,
    arms: Sequence[Wanted] | None = None,
    *,
    folds: int = 10,
    repeats: int = 1,
    validation: float = 0.1,
    seed: int = 0,
    against: str | None = None,
    inherit: str | None = None,
    plan: Mapping[str, Any] | None = None,
    artifacts: str | Path = "",
    device: str = "auto",
    workers: int = 1,
    source: tuple[str, Mapping[str, Any]] | None = None,
    listener: Listener = silent,
) -> CrossValidation:
    """Train every arm in every fold, and score it on the subjects that the fold holds out.

    In each fold the held-out part is the test part; the rest is divided again, stratified and with groups whole, into training
    subjects and those that epochs are selected on. So nothing about a model was decided on who scores it, if the arms were
    fixed before. Every subject of the cohort takes part; its own splits play no part. What the store knows is neither trained
    nor predicted again: with a folder for `artifacts` a killed run continues where it was.

    Args:
        space: The search space.
        cohort: All subjects; leave out with `cohort.subset` who shall stay untouched.
        arms: Each `baseline`, the name of a reference or of an ablation, or choices such as `layer3=mmtm` (a text or a
            mapping); by default the baseline and all references.
        folds: Parts of each division, at least 2.
        repeats: Divisions.
        validation: Share of the subjects that are not held out on which epochs are selected.
        seed: Of divisions and trainings.
        against: Name of the arm that the others are compared with, the first by default.
        inherit: Where weights come from, `None` for the space's rule.
        plan: Overrides of the training plan, such as `{"epochs": 5}`.
        artifacts: Folder or URL of weights and predictions, this process's memory by default.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        workers: Processes, each with one thread; more than one needs `artifacts`, and a cohort that `load_cohort` makes again.
        source: For these processes, what `load_cohort` is given: the source, and its options; the cohort's name by default.
        listener: Is told what happens.

    Raises:
        ValueError: If an argument is wrong, or a class has too few subjects for as many folds.
        WorkFailed: If nothing could be trained.
    """
    if workers > 1 and not artifacts:
        raise ValueError("`artifacts` must be a folder or a URL where several workers meet, but got none.")
    name, options = source or (cohort.name, {})
    laboratory = Laboratory.of(
        space,
        cohort,
        source=name,
        source_options=dict(options),
        split="" if cohort.splits is None else split_digest(cohort.splits),
        inherit=inherit,
        plan=plan,
        seed=seed,
        device=device,
        artifacts=artifacts,
    )
    found = arms_of(space, cohort.inputs, arms)
    cross_plan = CrossPlan(folds, repeats, validation, seed)
    devices = devices_of_workers(device, workers, most=folds * repeats)
    return run_cross_validation(laboratory, found, cross_plan, devices, against=against, listener=listener)


def run_cross_validation(
    laboratory: Laboratory,
    arms: Sequence[CrossArm],
    plan: CrossPlan,
    devices: Sequence[str],
    *,
    against: str | None = None,
    listener: Listener = silent,
) -> CrossValidation:
    """Run a cross-validation in a laboratory: this process does the work if one device is given, else a process a device.

    Args:
        laboratory: Cohort, store and plan of training; its worker is not used.
        arms: What is compared.
        plan: How subjects are divided.
        devices: Device of each worker.
        against: Name of the arm that the others are compared with, the first by default.
        listener: Is told what happens.

    Raises:
        ValueError: If there is no such arm, or a class has too few subjects for as many folds.
        WorkFailed: If nothing could be trained.
    """
    arms = distinct(arms)
    chosen = against_of(arms, against)
    jobs = [FoldJob(outer, arms) for outer in outer_folds(laboratory.cohort, plan)]
    collected = _Collected(listener)
    collected(PhaseStarted(f"{plan.repeats} × {plan.folds} folds", len(jobs) * len(arms)))
    if len(devices) == 1:
        Solo(laboratory, InMemoryStorage(), collected).run(jobs)
    else:
        with Processes(laboratory.spec, "", devices, collected) as crew:
            crew.run(jobs)
    if not collected.scores:
        raise WorkFailed(f"No arm could be trained in any fold; the last: {collected.failures[-1]}")
    order = {arm.name: position for position, arm in enumerate(arms)}
    scores = sorted(collected.scores.values(), key=lambda score: (order[score.arm], score.repeat, score.fold))
    return CrossValidation(
        arms={arm.name: arm.title for arm in arms},
        against=chosen,
        folds=plan.folds,
        repeats=plan.repeats,
        scores=tuple(scores),
        baseline=laboratory.space.words.baseline,
        chosen=tuple(arm.name for arm in arms if arm.is_chosen),
        failures=tuple(collected.failures),
        space=laboratory.space.name,
        cohort=_cohort_facts(laboratory.cohort),
        settings=_settings(laboratory.spec, plan),
        command=laboratory.spec.command,
    )


def against_of(arms: Sequence[CrossArm], against: str | None) -> str:
    """Return the name of the arm that the others are compared with: the one that is asked for, else the first.

    Raises:
        ValueError: If there is none of that name.
    """
    from nas_fusion.analysis import BASELINE

    names = [arm.name for arm in arms]
    wanted = names[0] if against is None else BASELINE if against == "baseline" else against
    if wanted not in names:
        raise ValueError(f"`against` must be one of the arms {', '.join(names)}, but got {against!r}.")
    return wanted


class _Collected:
    """A listener that keeps scores and failures, and passes on everything but the scores.

    Args:
        listener: Who is told the rest.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.scores: dict[tuple[str, int, int], FoldScore] = {}
        self.failures: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, FoldScored):
            score = event.score
            self.scores[score.arm, score.repeat, score.fold] = score  # a fold that a dead worker had begun is told twice
            return
        if isinstance(event, EvaluationFailed):
            self.failures.append(f"{event.label}: {event.message}")
        self._listener(event)


def _cohort_facts(cohort: Cohort) -> dict[str, Any]:
    counts = cohort.labels.bincount(minlength=len(cohort.classes)).tolist()
    return {
        "name": cohort.name,
        "subjects": len(cohort),
        "modalities": list(cohort.inputs.names),
        "classes": dict(zip(cohort.classes, counts, strict=True)),
        "groups": None if cohort.groups is None else len(set(cohort.groups)),
        "fingerprint": cohort.fingerprint,
    }


def _settings(spec: StudySpec, plan: CrossPlan) -> dict[str, Any]:
    return {
        "space": spec.space,
        "space options": dict(spec.space_options),
        "inherit": spec.inherit,
        "plan": dict(spec.plan),
        "folds": plan.folds,
        "repeats": plan.repeats,
        "validation": plan.validation,
        "seed": plan.seed,
    }
