"""The diagnosis: failure signatures of a search, each in a plain sentence with likely causes and the next command to try."""

from __future__ import annotations

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.diagnosis_of_availability import by_availability
from nas_fusion.analysis.diagnosis_of_cohort import above_or_below_floors, noisy_modality
from nas_fusion.analysis.diagnosis_of_control import longer_training
from nas_fusion.analysis.diagnosis_of_folds import folds_disagree
from nas_fusion.analysis.diagnosis_of_learning import nothing_learned
from nas_fusion.analysis.diagnosis_of_references import (
    against_alone,
    against_dense,
    against_linear,
    few_subjects,
    in_numbers,
)
from nas_fusion.analysis.diagnosis_of_routing import how_routed
from nas_fusion.analysis.diagnosis_of_search import how_far_from_optimum
from nas_fusion.analysis.diagnosis_of_shortening import what_was_cut
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.gain import NEGLIGIBLE, Gain, gain_of
from nas_fusion.analysis.naming import all_configurations, chosen_in_words, in_words
from nas_fusion.analysis.paired import chance_of_acceptance, paired_difference
from nas_fusion.space import LISTED


def diagnose(comparison: Comparison) -> list[Finding]:
    """Return what a reader should know of a comparison, the verdict first: does fusion (or what else the space offers) pay?

    The verdict is that of the first search; only where its model has learned nothing, that comes before. The failure
    signatures follow: late fusion wins, a single modality or a linear model is as good, losses beyond the provable floors, one
    modality is much noisier, who lacks modalities is predicted much worse, too few subjects, folds that disagree, what longer
    training brings by itself, what shortened a search and what it cut, a greedy search that is trapped, and what the evidence
    on routing says.

    Raises:
        ValueError: If the comparison holds no search.
    """
    if not comparison.searches:
        raise ValueError(f"`comparison` must hold a search, but got {[arm.name for arm in comparison.arms]}.")
    arm = comparison.searches[0]
    found = [*nothing_learned(comparison, arm), _verdict(comparison, arm)]
    for family in _FAMILIES:
        found += family(comparison, arm)
    for search in comparison.searches:
        found += longer_training(comparison, search) + what_was_cut(comparison, search)
    for search in comparison.searches:
        found += how_far_from_optimum(comparison, search)
    return found + how_routed(comparison) + _what_is_not_known(comparison)


def _verdict(comparison: Comparison, arm: Arm) -> Finding:
    if arm.best == comparison.space.baseline:
        return _baseline_selected(comparison, arm)
    gain = gain_of(comparison, arm)
    if gain is None:
        return _not_judged(comparison, arm)
    if gain.confirmed:
        return _fusion_pays(comparison, arm, gain)
    return _not_confirmed_on_test(comparison, arm, gain) if gain.selected else _brings_nothing(comparison, arm, gain)


def _fusion_pays(comparison: Comparison, arm: Arm, gain: Gain) -> Finding:
    words = comparison.space.words
    chosen = chosen_in_words(comparison.space, arm)
    test = "" if gain.test is None else f"; on the untouched test subjects {in_numbers(gain.test)}"
    sentence = (
        f"{words.pays}: {arm.title} chose {chosen}, whose loss is lower than {words.baseline}'s "
        f"for the same validation subjects by {in_numbers(gain.validation)}{test}."
    )
    return Finding("fusion_pays", sentence, level="good")


def _baseline_selected(comparison: Comparison, arm: Arm) -> Finding:
    words = comparison.space.words
    others = [e for e in arm.evaluations if e.configuration not in (None, comparison.space.baseline)]
    best = min(others, key=lambda e: e.value, default=None)
    if best is None:
        return _nothing_tried(comparison, arm)
    nearest = ""
    if best.configuration is not None:
        name = in_words(comparison.space, best.configuration)
        rank, end = "nearest", ""
        if best.value < arm.value:
            rank, end = "best", ": lower, but not by enough for the search's rule of acceptance"
        nearest = (
            f" The {rank} of {len(others)} candidates, {name}, has {best.value:.3f} nats, "
            f"{words.baseline} {arm.value:.3f}{end}."
        )
    return Finding(
        "baseline_selected",
        f"{words.brings_nothing}: {arm.title} kept {words.baseline}, {words.baseline_is}.{nearest}",
        words.baseline_causes,
        next_command(comparison, dict(words.wider)),
    )


def _nothing_tried(comparison: Comparison, arm: Arm) -> Finding:
    words = comparison.space.words
    unknown = words.whether[0].upper() + words.whether[1:]
    return Finding(
        "nothing_tried",
        f"{unknown}: {arm.title} has a loss of {words.baseline} alone, and of no candidate.",
        (
            "every candidate failed in training, or was stopped early: the study keeps each error",
            "the search was allowed too few evaluations",
        ),
    )


def _brings_nothing(comparison: Comparison, arm: Arm, gain: Gain) -> Finding:
    words, chosen = comparison.space.words, chosen_in_words(comparison.space, arm)
    m = len(comparison.space.forward_moves(comparison.space.baseline))
    test = "" if gain.test is None else f", on the test subjects {in_numbers(gain.test)}"
    small = "negligible" if gain.validation.low > 0 else "within what chance gives"
    sentence = (
        f"{words.brings_nothing}: {arm.title} accepted {chosen}, but its lead over {words.baseline} on the same "
        f"validation subjects is {small}: {in_numbers(gain.validation)}{test}. The best of {m} equally useless "
        f"candidates beats their parent in {m} of {m + 1} searches ({100 * chance_of_acceptance(m):.0f} %). {words.keep}"
    )
    return Finding(
        "improvement_within_spread",
        sentence,
        (
            f"a {words.choice} was accepted by chance: the best of {gain.candidates} candidates flatters",
            *words.chance_causes,
        ),
        next_command(comparison, _more_certain(comparison, arm)),
    )


def _not_confirmed_on_test(comparison: Comparison, arm: Arm, gain: Gain) -> Finding:
    words, chosen = comparison.space.words, chosen_in_words(comparison.space, arm)
    assert gain.test is not None
    sentence = (
        f"{words.unproven}: {arm.title} chose {chosen} for a lead over {words.baseline} of "
        f"{in_numbers(gain.validation)} on validation, but on the test subjects it is {in_numbers(gain.test)}."
    )
    return Finding(
        "not_confirmed_on_test",
        sentence,
        ("the choice fits the validation subjects and not others", "too few subjects", "test subjects differ from the others"),
        next_command(comparison, _more_certain(comparison, arm)),
    )


def _not_judged(comparison: Comparison, arm: Arm) -> Finding:
    words, chosen = comparison.space.words, chosen_in_words(comparison.space, arm)
    sentence = (
        f"{arm.title} chose {chosen} with a validation loss of {arm.value:.3f} nats; {words.baseline}'s predictions "
        f"are not at hand, so {words.whether}."
    )
    return Finding("not_judged", sentence, command=next_command(comparison, {}, verb="compare"), level="note")


def _against_late_fusion(comparison: Comparison, arm: Arm) -> list[Finding]:
    late = next((other for other in comparison.arms if other.name == "late_fusion"), None)
    if late is None:
        return []
    lead = paired_difference(late.validation, arm.validation)
    if lead.low > 0 and lead.mean > NEGLIGIBLE:
        return []
    chosen = chosen_in_words(comparison.space, arm)
    who = "Late fusion wins" if lead.high < 0 else "Late fusion is as good"
    sentence = (
        f"{who}: separately trained networks, their probabilities averaged, reach {late.value:.3f} nats, "
        f"{chosen} {arm.value:.3f}; the difference for the same subjects is {in_numbers(lead)}."
    )
    words = comparison.space.words
    return [Finding("late_fusion_wins", sentence, words.late_fusion_causes, next_command(comparison, dict(words.other)))]


_FAMILIES = (
    _against_late_fusion,
    against_alone,
    against_linear,
    against_dense,
    above_or_below_floors,
    noisy_modality,
    by_availability,
    few_subjects,
    folds_disagree,
)


def _what_is_not_known(comparison: Comparison) -> list[Finding]:
    if any(arm.name == "late_fusion" for arm in comparison.arms):
        return []
    landscape = comparison.landscape
    unknown = list(comparison.space.words.not_compared)
    if comparison.space.size <= LISTED and (landscape is None or not landscape.complete):
        unknown.append(f"how far the search is from the best of {all_configurations(comparison.space)}")
    sentence = f"Nothing is said here of {', of '.join(unknown[:-1])}, or of {unknown[-1]}: a comparison trains them too."
    return [Finding("not_compared", sentence, command=next_command(comparison, {}, verb="compare"), level="note")]


def _more_certain(comparison: Comparison, arm: Arm) -> dict[str, str]:
    folds = len(set(arm.validation.fold.tolist()))
    return {"--folds": "5"} if folds == 1 else dict(comparison.space.words.certainty)
