"""Signals against the published tissue values and against what the sequences are for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_fusion.cohorts.physics import FLAIR, FLUID, GREY, SEQUENCES, WHITE, Tissue, flair_iso_t2, nominal, signal


def reference(name: str, t1: float, t2: float, density: float) -> float:
    """The textbook equations, in plain numbers."""
    if name in ("T2w", "PDw"):
        return float(density * (1 - np.exp(-6000 / t1)) * np.exp(-(100 if name == "T2w" else 15) / t2))
    tr, ti, te = {"T1w": (2300, 900, 3), "FLAIR": (9000, 2500, 90)}[name]
    return float(density * abs(1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1)) * np.exp(-te / t2))


@pytest.mark.parametrize(
    ("name", "grey", "white", "fluid"),
    [("T1w", 0.128, 0.260, 0.036), ("FLAIR", 0.252, 0.204, 0.017)],
)
def test_signals_of_the_table(name: str, grey: float, white: float, fluid: float) -> None:
    found = [nominal(SEQUENCES[name], tissue) for tissue in (GREY, WHITE, FLUID)]
    assert found == pytest.approx([grey, white, fluid], abs=6e-4)


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize("tissue", [GREY, WHITE, FLUID, Tissue(1000.0, 60.0, 0.5)])
def test_signals_follow_the_equations(name: str, tissue: Tissue) -> None:
    assert nominal(SEQUENCES[name], tissue) == pytest.approx(reference(name, tissue.t1, tissue.t2, tissue.density), rel=1e-9)


def test_order_of_tissues() -> None:
    grey, white, fluid = ({name: nominal(SEQUENCES[name], tissue) for name in SEQUENCES} for tissue in (GREY, WHITE, FLUID))
    assert white["T1w"] > grey["T1w"] > fluid["T1w"]
    assert grey["FLAIR"] > white["FLAIR"] > fluid["FLAIR"]
    assert fluid["T2w"] > grey["T2w"] > white["T2w"]
    assert grey["PDw"] > white["PDw"]


@pytest.mark.parametrize(("factor", "t1w", "t2"), [(1.20, 0.195, 85.2), (1.35, 0.157, 90.7), (1.50, 0.126, 97.7)])
def test_ageing_changes_t1w_and_not_flair(factor: float, t1w: float, t2: float) -> None:
    before = torch.tensor([WHITE.t1, WHITE.t2], dtype=torch.float64)
    t1, density = before[0] * factor, torch.tensor(WHITE.density)
    changed = flair_iso_t2(before[0], before[1], t1)
    assert float(changed) == pytest.approx(t2, abs=0.06)
    assert float(signal(SEQUENCES["T1w"], t1, changed, density)) == pytest.approx(t1w, abs=6e-4)
    assert float(signal(FLAIR, t1, changed, density)) == pytest.approx(nominal(FLAIR, WHITE), rel=1e-7)


def test_lesions_are_bright_in_flair_and_t2w() -> None:
    values = torch.tensor([[GREY.t1, GREY.t2, GREY.density], [WHITE.t1, WHITE.t2, WHITE.density]], dtype=torch.float64)
    t1, t2, density = values.T
    for name in ("FLAIR", "T2w"):
        healthy, lesioned = (signal(SEQUENCES[name], t1, t2 * k2, density) for k2 in (1.0, 2.1))
        assert (lesioned / healthy > 1.5).all()
    healthy, lesioned = (signal(SEQUENCES["PDw"], t1, t2 * k2, density) for k2 in (1.0, 2.1))
    assert ((lesioned / healthy > 1.05) & (lesioned / healthy < 1.2)).all()
    healthy, lesioned = (signal(SEQUENCES["T1w"], t1, t2 * k2, density) for k2 in (1.0, 2.1))
    assert (lesioned / healthy < 1.02).all()
