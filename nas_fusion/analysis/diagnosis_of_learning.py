"""Did anything learn? A model that knows no more than how frequent the classes are decides nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm, Comparison
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.paired import paired_difference
from nas_fusion.record import Predictions


def nothing_learned(comparison: Comparison, arm: Arm) -> list[Finding]:
    """Return a finding if the chosen model is not shown to beat the class frequencies of its own validation subjects."""
    frequencies = by_class_frequency(arm.validation)
    if len(set(arm.validation.subjects)) < 2:
        return []
    lead = paired_difference(frequencies, arm.validation)
    if lead.low > 0:
        return []
    sentence = (
        f"The model that {arm.title} chose is not shown to have learned anything: its validation loss is "
        f"{float(arm.validation.losses.mean()):.3f} nats, and whoever knows how frequent the classes are has "
        f"{float(frequencies.losses.mean()):.3f}. What is said below of small differences says nothing of "
        "the method."
    )
    causes = (
        "training was too short, or its learning rate unfit",
        "too few subjects to learn from",
        "the label cannot be told from these modalities",
    )
    return [Finding("nothing_learned", sentence, causes, next_command(comparison, {"--epochs": "50"}))]


def by_class_frequency(predictions: Predictions) -> Predictions:
    """Return what knowing only the class frequencies of the predicted subjects would say of each of them."""
    n, classes = predictions.probabilities.shape
    share = np.bincount(predictions.labels, minlength=classes) / n
    return replace(predictions, probabilities=np.tile(share, (n, 1)))
