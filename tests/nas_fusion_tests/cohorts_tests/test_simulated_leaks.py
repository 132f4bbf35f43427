"""What a trained network reads in each scan: its own bit, and nothing of the other's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.scanner import draw_traits, generator
from nas_fusion.cohorts.simulated_mri import simulated_mri
from nas_fusion.evaluation import EvaluationWorker
from search_spaces.fusion_points import FusionPointSpace

AGED, LESIONS = 0, 1
PLAN = {"epochs": 6}


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulated_mri(train=256, validation=160, test=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "bit", "low", "high"),
    [("T1w", AGED, 0.95, 1.0), ("FLAIR", LESIONS, 0.93, 1.0), ("T1w", LESIONS, 0.38, 0.62), ("FLAIR", AGED, 0.55, 0.77)],
)
def test_a_network_reads_a_bit_in_its_own_modality_alone(cohort: Cohort, name: str, bit: int, low: float, high: float) -> None:
    drawn = np.array([draw_traits(generator(0, i)).bits for i in range(len(cohort))])
    labels = torch.from_numpy(drawn[:, bit] < (0.3, 0.5)[bit]).long()
    worker = EvaluationWorker(
        FusionPointSpace(preset="small"), replace(cohort, labels=labels, fingerprint=f"bit {bit}"), plan=PLAN
    )
    (accuracy,) = worker.evaluate_reference(f"alone:{name}").metrics["accuracy"]
    assert low <= accuracy <= high
