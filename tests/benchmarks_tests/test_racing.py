"""The benchmark of racing and halving, on few landscapes."""

from __future__ import annotations

import optuna
import pytest

from benchmarks.racing import SHORTENINGS, Row, page, rows, run
from nas_fusion import SFSASampler
from nas_fusion.analysis.families import additive, noisy

optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_a_search_in_full_trains_every_fold() -> None:
    truth = additive(3, 1)
    seen = noisy(truth, sd=0.0, folds=5, seed=1)
    full = run(SFSASampler(truth.space), optuna.pruners.NopPruner(), seen, truth)
    assert full.regret == pytest.approx(0.0) and truth.space.configuration(full.best) == truth.optimum
    assert full.folds % 5 == 0 and 4 * 5 <= full.folds <= 7 * 5


def test_a_row_compares_on_the_same_landscapes() -> None:
    found = list(rows("additive", 3, 8, sampler="sfsa", seeds=3, sd=0.01))
    assert [row.shortening for row in found] == list(SHORTENINGS)
    assert all(row.saved > 1 and row.runs == 3 and 0 <= row.same <= 1 for row in found)
    assert found[0].same == 1.0 and len({row.regret_in_full for row in found}) == 1
    (beam, *_) = rows("nk2", 3, 5, sampler="beam", seeds=1, sd=0.01)
    assert beam.sampler == "beam" and beam.saved >= 1


def test_the_record_says_what_was_measured() -> None:
    row = Row("additive", 4, 10, "sfsa", "racing 0.1", 50, 1.234, 0.98, 0.0031, 0.0029)
    facts = dict.fromkeys(("date", "processor", "cores", "python", "nas-fusion", "torch", "monai", "optuna", "numpy"), "x")
    text = page([row], facts, "python -m benchmarks.racing", 0.05)
    assert "| additive | 4 | 10 | sfsa | racing 0.1 | 1.23x | 98 % | 0.0031 | 0.0029 |" in text
    assert "50 seeds" in text and "0.05 nats" in text
