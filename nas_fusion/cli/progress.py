"""Progress on standard error: bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from nas_fusion.study.progress import (
    EpochDone,
    EvaluationDone,
    EvaluationFailed,
    EvaluationPruned,
    Event,
    FoldScored,
    Listener,
    PhaseStarted,
    RankingDone,
)


@contextlib.contextmanager
def shown_progress() -> Iterator[Listener]:
    """Yield a listener that shows what happens."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Bars(progress)


def _sentence(event: Event) -> str:
    match event:
        case PhaseStarted(title, total):
            return f"{title}: at most {total} evaluations" if total else f"{title}"
        case EpochDone(worker, label, fold, epoch, loss, _):
            return f"  worker {worker}: {label}, fold {fold + 1}, epoch {epoch}: validation loss {loss:.4f}"
        case EvaluationDone(worker, label, value, trained):
            return f"  worker {worker}: {label}: validation loss {value:.4f}" + ("" if trained else " (known already)")
        case EvaluationFailed(worker, label, message):
            return f"  worker {worker}: {label} failed: {message}"
        case EvaluationPruned(worker, label, message):
            return f"  worker {worker}: {label} ended early: {message}"
        case FoldScored(worker, label, score):
            return f"  worker {worker}: {label}: loss {score.scores['loss']:.4f} on who was held out"
        case RankingDone(worker, label, probability, epochs):
            return f"  worker {worker}: supernet trained, {epochs} epochs: most probable is {label} ({probability:.2f})"


class _Lines:
    """One line an evaluation: epochs would flood a log."""

    def __call__(self, event: Event) -> None:
        if not isinstance(event, EpochDone):
            print(_sentence(event), file=sys.stderr, flush=True)


class _Bars:
    """One bar for the evaluations of a phase, one a worker for the epochs of what it trains."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._phase: TaskID | None = None
        self._workers: dict[int, TaskID] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseStarted(title, total):
                self._start(title, total)
            case EpochDone(worker, label, fold, epoch, loss, epochs):
                if worker not in self._workers:
                    self._workers[worker] = self._progress.add_task("", total=None)
                text = f"  worker {worker}: {label}, fold {fold + 1}, loss {loss:.3f}; epoch"
                self._progress.update(self._workers[worker], description=text, completed=epoch, total=epochs)
            case EvaluationDone() | EvaluationPruned() | EvaluationFailed() | RankingDone() | FoldScored():
                self._progress.console.print(_sentence(event), highlight=False, markup=False)
                if self._phase is not None and isinstance(event, EvaluationDone | EvaluationPruned):
                    self._progress.advance(self._phase)

    def _start(self, title: str, total: int | None) -> None:
        for task in self._workers.values():
            self._progress.remove_task(task)
        self._workers.clear()
        if self._phase is not None:
            self._progress.remove_task(self._phase)
        self._phase = self._progress.add_task(title, total=total)
