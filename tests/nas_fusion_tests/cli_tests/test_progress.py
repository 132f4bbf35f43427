"""Progress: bars for epochs and evaluations on a terminal, plain lines otherwise, always on standard error."""

from __future__ import annotations

import io
import sys

import pytest

from nas_fusion.cli.progress import shown_progress
from nas_fusion.study.progress import EpochDone, EvaluationDone, EvaluationFailed, PhaseStarted

EVENTS = (
    PhaseStarted("study", 8),
    EpochDone(0, "layer1", 0, 1, 0.5, 10),
    EvaluationDone(0, "layer1", 0.25, True),
    EvaluationDone(1, "layer2", 0.5, False),
    EvaluationFailed(1, "layer3", "RuntimeError: no room"),
    PhaseStarted("references", 3),
)


class Terminal(io.StringIO):
    """Text that is looked at."""

    def isatty(self) -> bool:
        return True


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as listener:
        for event in EVENTS:
            listener(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "study: at most 8 evaluations",
        "  worker 0: layer1: validation loss 0.2500",
        "  worker 1: layer2: validation loss 0.5000 (known already)",
        "  worker 1: layer3 failed: RuntimeError: no room",
        "references: at most 3 evaluations",
    ]


def test_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with shown_progress() as listener:
        for event in EVENTS:
            listener(event)
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "worker 0: layer1: validation loss 0.2500" in shown and "layer3 failed: RuntimeError: no room" in shown
    assert "references" in shown and "0/3" in shown
    assert capsys.readouterr().out == ""
