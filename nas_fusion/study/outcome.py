"""From studies and stored evaluations to arms: what came of each search and each reference. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from nas_fusion import history
from nas_fusion.analysis import BASELINE, Arm, Comparison, Escape, Landscape, Unfinished, search_title
from nas_fusion.analysis.naming import count_of_configurations
from nas_fusion.analysis.ways_out import is_trapped
from nas_fusion.samplers import state_of
from nas_fusion.study.budget import outlook
from nas_fusion.study.escapes import ESCAPES, escapes
from nas_fusion.study.final_test import keys_of, known_test
from nas_fusion.study.laboratory import Laboratory
from nas_fusion.study.shortening import shortenings
from nas_fusion.study.spec import StudySpec, load_study

if TYPE_CHECKING:
    from nas_fusion.analysis.routing import RoutingEvidence
    from nas_fusion.evaluation import Reference
    from nas_fusion.record import Evaluation, Predictions
    from nas_fusion.space import Configuration, SearchSpace

AUDITOR = "exhaustive"  # the arm that evaluates every configuration by one rule: its evaluations are the landscape

_REPLAYED = 2**12  # configurations: on larger landscapes replays would keep the user waiting


@dataclass(frozen=True)
class _Search:
    """An arm, the keys of what its search used, and of what was speculated in vain, these with their epochs."""

    arm: Arm
    spec: StudySpec
    keys: frozenset[str]
    in_vain: Mapping[str, float]


def summarise(laboratory: Laboratory, storage: BaseStorage, studies: Sequence[str], *, command: str = "") -> Comparison:
    """Return what came of some studies, and of the references that the store knows.

    Args:
        laboratory: Space, cohort and store of the studies.
        storage: Where the studies are.
        studies: Their names.
        command: The command line that makes this again; that of the first study by default.

    Raises:
        ValueError: If a study has no finished evaluation yet.
    """
    searches = [_search(laboratory, storage, name) for name in studies]
    references = reference_arms(laboratory)
    spec = searches[0].spec
    landscape = _landscape(searches, laboratory)
    audit = {evaluation.key for arm in references for evaluation in arm.evaluations}
    audit |= {key for search in searches if search.arm.name == AUDITOR for key in search.keys}
    searched = {key for search in searches if search.arm.name != AUDITOR or len(searches) == 1 for key in search.keys}
    in_vain = {key: epochs for search in searches for key, epochs in search.in_vain.items() if key not in searched | audit}
    comparison = Comparison(
        space=laboratory.space,
        cohort=cohort_facts(laboratory),
        arms=tuple(_on_landscape(arm, landscape, laboratory) for arm in (*(search.arm for search in searches), *references)),
        inherit=spec.inherit,
        command=command or spec.command,
        landscape=landscape,
        landscape_inherit=None if landscape is None else ("none" if spec.inherit == "none" else "baseline"),
        trained_for_search=len(searched) + sum(each.was_trained for search in searches for each in search.arm.unfinished),
        trained_for_audit=len(audit - searched),
        trained_in_vain=len(in_vain),
        epochs_in_vain=sum(in_vain.values()),
        routing=_routing(laboratory, searches[0].arm),
        availability=laboratory.cohort.availability,
        settings={**laboratory.worker.description(), **_options(searches)},
    )
    return replace(comparison, escapes=_escapes(comparison, spec))


def search_arms(laboratory: Laboratory, storage: BaseStorage, studies: Sequence[str]) -> tuple[Arm, ...]:
    """Return the arms of some studies alone, with their regret where one of them evaluated every configuration.

    Raises:
        ValueError: If a study has no finished evaluation yet.
    """
    searches = [_search(laboratory, storage, name) for name in studies]
    landscape = _landscape(searches, laboratory)
    return tuple(_on_landscape(search.arm, landscape, laboratory) for search in searches)


def reference_arms(laboratory: Laboratory) -> tuple[Arm, ...]:
    """Return an arm for the baseline and for each reference of the space, if the store knows it."""
    return (*_baseline(laboratory), *_references(laboratory))


def _routing(laboratory: Laboratory, arm: Arm) -> RoutingEvidence | None:
    """Return what mixtures of experts did in what a search selected, `None` where there are none."""
    from nas_fusion.study.routing_evidence import routing_evidence

    return routing_evidence(laboratory, arm)


def check_complete(laboratory: Laboratory, storage: BaseStorage, studies: Sequence[str]) -> None:
    """Raise unless some studies have come to their end: what they select must not change any more.

    Raises:
        ValueError: If one has no finished evaluation, or has not come to its end.
    """
    for name in studies:
        study, spec = load_study(storage, name)
        own = laboratory.within(spec.module)
        study.sampler = own.sampler(spec)
        if outlook(study, spec, own.space) != history.COMPLETE:
            raise ValueError(
                f"`study` must be finished, but the search of {name!r} is not; the command that began it resumes it."
            )


def chosen(laboratory: Laboratory, storage: BaseStorage, name: str) -> Evaluation | None:
    """Return the evaluation of what a study has selected, `None` as long as it has selected nothing."""
    study, spec = load_study(storage, name)
    state = state_of(study, laboratory.space, laboratory.sampler(spec))
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    used = [history.read_evaluation(trials[number], laboratory.space) for number in state.used]
    return None if state.best is None else _evaluation_of(state.best, [evaluation for evaluation in used if evaluation])


def _predictions(laboratory: Laboratory, evaluation: Evaluation) -> Predictions:
    """Return the predictions of the validation subjects.

    Raises:
        ValueError: If the store has lost them.
    """
    try:
        return laboratory.store.predictions(evaluation.key).grouped(laboratory.groups)
    except KeyError:
        what = evaluation.reference or laboratory.label(evaluation.configuration or laboratory.space.baseline)
        raise ValueError(
            f"`artifacts` must hold the predictions of {what} ({evaluation.key}), but {laboratory.spec.artifacts} has lost "
            "them; the command that made the study computes them again."
        ) from None


def last_error(storage: BaseStorage, name: str) -> str:
    """Return why the last failed trial of a study failed, as the end of a sentence."""
    errors = [history.error_of(trial) for trial in load_study(storage, name)[0].get_trials(deepcopy=False)]
    found = [error for error in errors if error is not None]
    return f"the last failed with {found[-1]}" if found else "no reason was written."


def _search(laboratory: Laboratory, storage: BaseStorage, name: str) -> _Search:
    study, spec = load_study(storage, name)
    space = laboratory.space
    state = state_of(study, space, laboratory.sampler(spec))
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    read = {number: history.read_evaluation(trials[number], space) for number in (*state.used, *state.in_vain)}
    used = [(trials[number], evaluation) for number in state.used if (evaluation := read[number]) is not None]
    if state.best is None or not used:
        raise ValueError(f"`study` must have at least one finished evaluation, but {name!r} has none yet.")
    every = [evaluation for evaluation in read.values() if evaluation is not None]
    best = _evaluation_of(state.best, [evaluation for _, evaluation in used])
    unfinished = tuple(found for number in state.used if (found := _unfinished(trials[number], space)) is not None)
    ranking = history.ranking_of(study) or {"trained": (), "cost": {}}
    trained = sum(evaluation.trained or evaluation.key in ranking["trained"] for evaluation in every)
    arm = Arm(
        name=spec.sampler,
        title=search_title(spec.sampler) + (" (shortened)" if shortenings(spec) else ""),
        value=best.value,
        validation=_predictions(laboratory, best),
        evaluations=tuple(evaluation for _, evaluation in used),
        study=name,
        path=tuple(state.path),
        best=state.best,
        parents=tuple(history.parent_of(trial) for trial, _ in used),
        trained=trained + sum(each.was_trained for each in unfinished),
        reused=len(every) - trained,
        in_vain=len(state.in_vain),
        epochs_in_vain=sum(each.cost.get("epochs", 0.0) for each in map(read.get, state.in_vain) if each is not None),
        supernet=_supernet_cost(ranking["cost"], any(each.configuration == space.baseline for each in every)),
        unfinished=unfinished,
        shortened=shortenings(spec),
    )
    keys = frozenset(evaluation.key for _, evaluation in used)
    in_vain = {evaluation.key: evaluation.cost.get("epochs", 0.0) for evaluation in every if evaluation.key not in keys}
    return _Search(_with_test(arm, laboratory), spec, keys, in_vain)


def _evaluation_of(configuration: Configuration, evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return the best evaluation of a configuration, no control; two survivors of a beam may both have led to it."""
    return min((e for e in evaluations if e.configuration == configuration and not e.is_control), key=lambda e: e.value)


def _unfinished(trial: FrozenTrial, space: SearchSpace) -> Unfinished | None:
    """Return what is known of a trial that ended without a value, `None` for any other."""
    configuration = history.configuration_of(trial.params, space)
    if trial.state == TrialState.COMPLETE or configuration is None:
        return None
    return Unfinished(
        trial=trial.number,
        configuration=configuration,
        parent=history.parent_of(trial),
        reason="not finite" if history.is_non_finite(trial) else "pruned",
        losses=history.losses_of(trial),
        cost=history.spent_of(trial),
    )


def _supernet_cost(cost: Mapping[str, float], has_baseline: bool) -> dict[str, float]:
    """Return what a supernet cost, with the baseline that it starts from unless that is counted among the evaluations."""
    names = ("epochs", "samples")
    own = dict(cost)
    return own if has_baseline or not own else own | {name: own[f"lineage_{name}"] for name in names}


def _references(laboratory: Laboratory) -> Iterator[Arm]:
    """Yield an arm for each reference of the space that the store knows."""
    for name, reference in laboratory.space.references(laboratory.cohort.inputs).items():
        evaluation = laboratory.store.get(laboratory.worker.reference_key(name))
        if evaluation is not None:
            yield _reference(name, reference, evaluation, laboratory)


def _reference(name: str, reference: Reference, evaluation: Evaluation, laboratory: Laboratory) -> Arm:
    keys = laboratory.worker.members(name)
    parts = [laboratory.store.get(key) for key in keys]
    arm = Arm(
        name=name,
        title=reference.title,
        value=evaluation.value,
        validation=_predictions(laboratory, evaluation),
        evaluations=tuple(part for part in parts if part is not None),
        is_search=False,
        ours=reference.ours,
    )
    return _with_test(arm, laboratory)


def _baseline(laboratory: Laboratory) -> Iterator[Arm]:
    """Yield the arm of the baseline if the store knows it."""
    space, worker = laboratory.space, laboratory.worker
    evaluation = laboratory.store.get(worker.key(space.baseline))
    if evaluation is not None:
        arm = Arm(
            name=BASELINE,
            title=space.words.baseline_title,
            value=evaluation.value,
            validation=_predictions(laboratory, evaluation),
            evaluations=(evaluation,),
            is_search=False,
            best=space.baseline,
        )
        yield _with_test(arm, laboratory)


def _with_test(arm: Arm, laboratory: Laboratory) -> Arm:
    return replace(arm, test=known_test(laboratory, keys_of(arm)))


def _landscape(searches: Sequence[_Search], laboratory: Laboratory) -> Landscape | None:
    """Return every configuration's loss by one rule, if an arm evaluated all of them."""
    for search in searches:
        if search.arm.name != AUDITOR:
            continue
        losses = {e.configuration: e.losses for e in search.arm.evaluations if e.configuration is not None}
        if all(configuration in losses for configuration in laboratory.space.configurations()):
            return Landscape(losses, laboratory.space)
    return None


def _escapes(comparison: Comparison, spec: StudySpec) -> tuple[Escape, ...]:
    """Return what other searches find on the landscape, where one of the arms was trapped on it."""
    landscape = comparison.landscape
    if landscape is None or len(landscape) > _REPLAYED or not any(is_trapped(comparison, arm) for arm in comparison.searches):
        return ()
    candidates = [candidate for candidate in ESCAPES if candidate[0] != AUDITOR]
    return escapes(landscape, standard_errors=1.0, candidates=candidates, seed=spec.seed, inherit=spec.inherit)


def _on_landscape(arm: Arm, landscape: Landscape | None, laboratory: Laboratory) -> Arm:
    best = arm.best
    if best is None:
        return arm
    arm = replace(arm, share_of_exhaustive=arm.n_evaluations / count_of_configurations(laboratory.space))
    if landscape is None:
        return arm
    return replace(arm, landscape_value=landscape.losses[best], regret=landscape.regret(best))


def _options(searches: Sequence[_Search]) -> dict[str, Any]:
    """Return the options of the samplers that were given any, by sampler; nothing if none was."""
    given = {search.spec.sampler: dict(search.spec.sampler_options) for search in searches if search.spec.sampler_options}
    return {"sampler_options": given} if given else {}


def cohort_facts(laboratory: Laboratory) -> dict[str, Any]:
    """Return what a comparison says of its cohort, see `nas_fusion.analysis.Comparison`."""
    cohort = laboratory.cohort
    regions = cohort.provenance.get("regions")
    return {
        "floors": {},
        **cohort.provenance,
        **({"regions": len(regions.get("names", ()))} if isinstance(regions, Mapping) else {}),
        "name": cohort.name,
        "subjects": len(cohort),
        "classes": list(cohort.classes),
        "modalities": list(cohort.modalities),
        "fingerprint": cohort.fingerprint,
    }
