"""A model that knows no more than class frequencies is said to have learned nothing, before anything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas_fusion.analysis import Comparison, diagnose
from nas_fusion.analysis.diagnosis_of_learning import by_class_frequency
from tests.nas_fusion_tests.analysis_tests.builders import one_search, predictions


def comparison(mean: float) -> Comparison:
    """One search whose chosen model has this loss on 160 subjects of two equal classes, where ignorance has 0.693."""
    found = one_search()
    arm = replace(found.searches[0], value=mean, validation=predictions(mean))
    return replace(found, arms=(arm, *found.arms[1:]))


def test_class_frequencies_have_the_entropy_of_the_labels() -> None:
    said = predictions(0.5)
    three = replace(said, labels=np.repeat([0, 0, 0, 1], 40), subjects=tuple(map(str, range(160))))
    assert by_class_frequency(said).losses.mean() == pytest.approx(np.log(2))
    assert by_class_frequency(three).losses.mean() == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))


@pytest.mark.parametrize("mean", [0.69, 0.8])
def test_what_has_learned_nothing_is_said_first(mean: float) -> None:
    first, verdict, *_ = diagnose(comparison(mean))
    assert (first.signature, first.level) == ("nothing_learned", "warning")
    assert f"its validation loss is {mean:.3f} nats, and whoever knows how frequent the classes are has 0.693" in first.sentence
    assert first.command == "nas-fusion search fusion-points --sampler sfsa --epochs 50 --study epochs-50"
    assert verdict.signature != "nothing_learned"


def test_what_has_learned_is_not_accused() -> None:
    assert "nothing_learned" not in [finding.signature for finding in diagnose(comparison(0.4))]
