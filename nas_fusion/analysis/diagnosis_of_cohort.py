"""What a comparison tells of the data: provable floors, and modalities that are much noisier than others."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.diagnosis_of_references import ALONE, is_clear
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.gain import gain_of
from nas_fusion.analysis.naming import chosen_in_words
from nas_fusion.analysis.paired import losses_by_subject, on_common_subjects, paired_difference
from nas_fusion.record import Predictions
from nas_fusion.words import Words


def above_or_below_floors(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return what the provable floors say, where the cohort knows them: they hold for the expected loss of any model."""
    floors = comparison.cohort.get("floors") or {}
    gain = gain_of(comparison, arm)
    candidates = 1 if gain is None else gain.candidates
    _, high = mean_interval(arm.test or arm.validation, 1 if arm.test else candidates)
    where = "test" if arm.test else "validation"
    found = []
    if "late_fusion" in floors and high < floors["late_fusion"]:
        found.append(_proof(comparison, arm, floors["late_fusion"], high, where))
    if "joint" in floors and high < floors["joint"]:
        found.append(_too_good(comparison, floors["joint"], high, where))
    baseline = comparison.baseline
    if "joint" in floors and baseline is not None and mean_interval(baseline.validation)[0] <= floors["joint"]:
        found.append(_nothing_left(comparison.space.words, floors["joint"], baseline))
    return found


def mean_interval(predictions: Predictions, candidates: int = 1) -> tuple[float, float]:
    """Return the 95 % interval of the mean loss over subjects, widened for a choice among candidates (Bonferroni)."""
    losses = np.array(list(losses_by_subject(predictions).values()))
    reach = stats.t.ppf(1 - 0.025 / candidates, len(losses) - 1) * losses.std(ddof=1) / math.sqrt(len(losses))
    return float(losses.mean() - reach), float(losses.mean() + reach)


def noisy_modality(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return whether one modality alone tells much less of the label than another: less than half, and beyond chance."""
    alone = {a.name.removeprefix(ALONE): a for a in comparison.arms if a.name.startswith(ALONE)}
    if len(alone) < 2:
        return []
    chance = _entropy(arm.validation)
    told = {name: _entropy(a.validation) - float(a.validation.losses.mean()) for name, a in alone.items()}
    worst, best = min(told, key=told.__getitem__), max(told, key=told.__getitem__)
    both = on_common_subjects(alone[worst].validation, alone[best].validation)
    if len(set(both[0].subjects)) < 2:
        return []
    apart = paired_difference(*both)
    if told[best] <= 0 or told[worst] > told[best] / 2 or apart.low <= 0:
        return []
    seen = (
        f"{worst} alone reaches {alone[worst].validation.losses.mean():.3f} nats and {best} alone "
        f"{alone[best].validation.losses.mean():.3f}, "
        f"where knowing nothing costs {chance:.3f}"
    )
    if _fused_helps(comparison, arm, alone[best]):
        sentence = f"{seen}; fused it helps all the same: what {worst} tells, it tells in combination with the others."
        return [Finding("noisy_modality", sentence, level="note")]
    sentence = f"One modality is much noisier: {seen}."
    causes = (
        f"{worst} does not hold what the label depends on, or its preprocessing lost it",
        comparison.space.words.noise_cause,
        f"the network for {worst} did not train long enough",
    )
    return [Finding("noisy_modality", sentence, causes, _without_modality(comparison, worst))]


def _fused_helps(comparison: Comparison, arm: Arm, alone: Arm) -> bool:
    """Return whether fusing is proven to help: over the baseline, or where that fuses already, over the best modality alone."""
    if comparison.space.words.baseline_fuses:
        return is_clear(paired_difference(*on_common_subjects(alone.validation, arm.validation)))
    gain = gain_of(comparison, arm)
    return gain is not None and gain.confirmed and arm.best != comparison.space.baseline


def _proof(comparison: Comparison, arm: Arm, floor: float, high: float, where: str) -> Finding:
    sentence = (
        f"This proves that modalities interact inside the network: {chosen_in_words(comparison.space, arm)} has a {where} loss "
        f"of at most {high:.3f} nats (95 %), and no sum of one function of each modality, that is no late fusion, can be "
        f"expected below {floor:.3f}."
    )
    return Finding("below_late_fusion_floor", sentence, level="good")


def _too_good(comparison: Comparison, floor: float, high: float, where: str) -> Finding:
    sentence = (
        f"The {where} loss, at most {high:.3f} nats (95 %), is below what any model can be expected to reach ({floor:.3f})."
    )
    causes = (
        "the label leaks into an input",
        "subjects are in training and validation at once",
        "the choice fits these subjects",
    )
    return Finding("below_joint_floor", sentence, causes, next_command(comparison, {"--seed": "1"}))


def _nothing_left(words: Words, floor: float, baseline: Arm) -> Finding:
    sentence = (
        f"Nothing is left to gain: {words.baseline}'s validation loss, {baseline.value:.3f} nats, cannot be told from the best "
        f"that any model can be expected to reach ({floor:.3f})."
    )
    return Finding("baseline_at_joint_floor", sentence, level="note")


def _without_modality(comparison: Comparison, modality: str) -> str:
    others = [name for name in comparison.cohort.get("modalities", ()) if name != modality]
    other = dict(comparison.space.words.other)
    return next_command(comparison, {"--modalities": ",".join(others)} if len(others) > 1 else other)


def _entropy(predictions: Predictions) -> float:
    """Loss of always predicting the share of each class."""
    return float(stats.entropy(np.bincount(predictions.labels)))
