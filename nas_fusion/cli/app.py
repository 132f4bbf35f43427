"""The application: its commands, and what an error becomes."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from nas_fusion.cli import cohort, compare, cross_validate, dashboard, evaluate, export, listing, report, search, worker
from nas_fusion.study.progress import WorkFailed

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
_AS_WIDE_AS_IT_NEEDS = 1000
_RESUME = "Interrupted; nothing is lost, and the same command resumes."
USER_ERRORS = (
    ValueError,
    FileNotFoundError,
    FileExistsError,
    NotADirectoryError,
    IsADirectoryError,
    PermissionError,
)

app = typer.Typer(
    name="nas-fusion",
    help="Find out where and how to fuse modalities. Repeating a command resumes it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("search")(search.search)
app.command("worker")(worker.worker)
app.command("compare")(compare.compare)
app.command("cross-validate")(cross_validate.cross_validate)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("report")(report.report)
app.command("dashboard")(dashboard.dashboard)
app.add_typer(cohort.app, name="cohort")
app.command("list")(listing.list_plugins)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: Without the program's name; `None` for those of this process.

    Returns:
        0 when done, 2 for wrong use or bad input (one sentence on standard error), 130 when interrupted (the same command
        resumes), 1 otherwise.
    """
    formatted = warnings.formatwarning
    warnings.formatwarning = _one_line
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        warnings.formatwarning = formatted


def _command() -> Any:
    """Return the command, whose help has boxes and colours only where somebody looks at it through a terminal."""
    app.rich_markup_mode = "rich" if sys.stdout.isatty() else None
    return typer.main.get_command(app)


def _help_width() -> dict[str, int]:
    return {} if sys.stdout.isatty() else {"terminal_width": _AS_WIDE_AS_IT_NEEDS}


def _one_line(message: Warning | str, *where: object, **more: object) -> str:
    return f"Warning: {message}\n"


def _run(arguments: Sequence[str]) -> int:
    try:
        code = _command().main(list(arguments), prog_name="nas-fusion", standalone_mode=False, **_help_width())
    except (KeyboardInterrupt, typer.Abort):
        return _end(_RESUME, INTERRUPTED)
    except typer.Exit as ending:
        return int(ending.exit_code)
    except USER_ERRORS as error:
        if os.environ.get("NAS_FUSION_TRACEBACK"):
            traceback.print_exc()
        return _end(str(error), WRONG_USE)
    except Exception as error:  # noqa: BLE001  # the outermost boundary: everything becomes an exit code
        if hasattr(error, "format_message"):  # typer's own usage errors, whichever click it carries
            return _end(error.format_message(), WRONG_USE)
        if isinstance(error, WorkFailed):
            return _end(str(error), FAILED)
        traceback.print_exc()
        return _end(f"{type(error).__name__}: {error}", FAILED)
    if code == INTERRUPTED:  # typer makes an exit code of Ctrl-C
        return _end(_RESUME, INTERRUPTED)
    return code if isinstance(code, int) else DONE


def _end(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code
