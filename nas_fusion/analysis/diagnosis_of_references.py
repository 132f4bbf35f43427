"""What the references of a comparison say of a search: single modalities, linear models, a dense mixture."""

from __future__ import annotations

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.naming import chosen_in_words
from nas_fusion.analysis.paired import PairedDifference, on_common_subjects, paired_difference

ALONE, LINEAR, DENSE = "alone:", "logistic:", "dense"


def against_alone(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return whether what was selected beats the best single modality, where the space's baseline fuses them already.

    Elsewhere the verdict says so: there the baseline is the model in which modalities do not meet.
    """
    if not comparison.space.words.baseline_fuses:
        return []
    best = _best(comparison, ALONE)
    if best is None or len(_named(comparison, ALONE)) < 2:
        return []
    lead = paired_difference(*on_common_subjects(best.validation, arm.validation))
    if is_clear(lead):
        sentence = f"The modalities together tell more than any of them alone: {_leads(comparison, arm, best, lead)}."
        return [Finding("fused_beats_alone", sentence, level="good")]
    causes = (
        "the other modalities hold nothing of the label beyond it",
        "too few subjects: the joint network overfits where the smaller one does not",
        "joint training lets one encoder learn and the others rest",
    )
    judged = "better than all together" if is_clear(lead, worse=True) else "as good as all"
    sentence = f"One modality is {judged}: {_leads(comparison, arm, best, lead)}."
    return [Finding("alone_as_good", sentence, causes, next_command(comparison, {"--seed": "1"}))]


def against_linear(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return whether what was selected beats the best of the linear models, where there is one."""
    best = _best(comparison, LINEAR)
    if best is None:
        return []
    lead = paired_difference(best.validation, arm.validation)
    if is_clear(lead):
        sentence = f"It takes a network: {_leads(comparison, arm, best, lead)}."
        return [Finding("beats_linear", sentence, level="good")]
    causes = (
        "the label depends on single connections, each by itself",
        "too few subjects for a network to learn more than that",
        "training was too short",
    )
    judged = "better" if is_clear(lead, worse=True) else "as good"
    sentence = f"A linear model is {judged}: {_leads(comparison, arm, best, lead)}."
    return [Finding("linear_as_good", sentence, causes, next_command(comparison, {"--folds": "5"}))]


def against_dense(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return how what was selected compares with mixtures that use every expert for everything, where these were trained."""
    dense = _best(comparison, DENSE)
    if dense is None:
        return []
    lead = paired_difference(dense.validation, arm.validation)
    judged = "is better" if is_clear(lead) else "is worse" if is_clear(lead, worse=True) else "makes no difference that shows"
    sentence = (
        f"Against mixtures that use every expert for every token ({dense.title}, {dense.value:.3f} nats), "
        f"{chosen_in_words(comparison.space, arm)} {judged}: for the same validation subjects {in_numbers(lead)}."
    )
    return [Finding("against_dense", sentence, level="note")]


def few_subjects(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return whether there are fewer validation subjects than the space's configurations need to be told apart."""
    enough, subjects = comparison.space.words.enough_subjects, len(set(arm.validation.subjects))
    if subjects >= enough:
        return []
    sentence = (
        f"There are {subjects} validation subjects, and it takes about {enough} to tell configurations of this space apart: "
        "what is said here of small differences is uncertain."
    )
    command = next_command(comparison, {"--folds": "5"}) if len(set(arm.validation.fold.tolist())) == 1 else ""
    return [Finding("few_subjects", sentence, command=command, level="note")]


def is_clear(lead: PairedDifference, *, worse: bool = False) -> bool:
    """Return whether a lead is neither negligible nor within its interval; with `worse`, whether the lag is."""
    return lead.high < 0 and lead.mean < -NEGLIGIBLE if worse else lead.low > 0 and lead.mean > NEGLIGIBLE


def in_numbers(difference: PairedDifference, *, digits: int = 3) -> str:
    """Return a difference with its standard error and interval, and what the interval allows for."""
    mean, error, low, high = (
        f"{value:z.{digits}f}" for value in (difference.mean, difference.standard_error, difference.low, difference.high)
    )
    grouped = f" in {difference.units} groups" if difference.units < difference.subjects else ""
    widened = f", widened for the best of {difference.candidates}," if difference.candidates > 1 else ""
    who = f"{difference.subjects} subjects{grouped}"
    return f"{mean} ± {error} nats (mean ± standard error of {who}, 95 % interval{widened} {low} to {high})"


def _leads(comparison: Comparison, arm: Arm, other: Arm, lead: PairedDifference) -> str:
    chosen = chosen_in_words(comparison.space, arm)
    test = ""
    if arm.test is not None and other.test is not None:
        test = f"; on the test subjects {in_numbers(paired_difference(*on_common_subjects(other.test, arm.test)))}"
    return (
        f"{chosen} has {arm.value:.3f} nats and {other.title}, the best of its kind, {other.value:.3f}; the difference for the "
        f"same validation subjects is {in_numbers(lead)}{test}"
    )


def _best(comparison: Comparison, kind: str) -> Arm | None:
    return min(_named(comparison, kind), key=lambda arm: arm.value, default=None)


def _named(comparison: Comparison, kind: str) -> list[Arm]:
    return [arm for arm in comparison.arms if not arm.is_search and arm.name.startswith(kind)]
