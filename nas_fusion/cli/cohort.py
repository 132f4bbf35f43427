"""`nas-fusion cohort`: writes embedded cohorts as files, checks a user's data."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas_fusion import plugins
from nas_fusion.cli.options import AllowLocalCode, CohortOptions, Group, Json, Label, Modalities

if TYPE_CHECKING:
    from nas_fusion.cohorts import Problem

app = typer.Typer(help="Make an embedded cohort as real files, or check your own data.", no_args_is_help=True)


@app.command("make")
def make(
    name: Annotated[str, typer.Argument(help="An embedded cohort, such as simulated-mri.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write, new or empty.")],
    modalities: Modalities = None,
    cohort_options: CohortOptions = [],  # noqa: B006  # typer reads it, nobody changes it
    as_json: Json = False,
) -> None:
    """Write an embedded cohort as real files: scans as NIfTI in BIDS layout, connectomes as MATLAB matrices."""
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.settings import key_values, names, results_folder

    module = inspect.getmodule(plugins.load("cohorts", name))
    write_files = getattr(module, "write_files", None)
    if write_files is None:
        raise ValueError(f"`name` must be a cohort that can be written as files, but {name!r} cannot.")
    options = key_values("--cohort-set", cohort_options)
    if modalities is not None:
        options["modalities"] = names("--modalities", modalities)
    write_files(results_folder(out), **options)
    print(f"Wrote {name} to {out}.")
    if as_json:
        print_json({"cohort": name, "out": str(out)})


@app.command("check")
def check(
    source: Annotated[
        str, typer.Argument(help="BIDS folder, class folders, datalist .json, manifest .csv/.tsv, .npz, or a cohort's name.")
    ],
    modalities: Modalities = None,
    label: Label = None,
    group: Group = None,
    cohort_options: CohortOptions = [],  # noqa: B006
    allow_local_code: AllowLocalCode = False,
    as_json: Json = False,
) -> None:
    """Validate data and list all problems at once, exit code 2 if there are any; else show what would be searched."""
    from nas_fusion.cli.local_code import adopted_names
    from nas_fusion.cli.output import print_cohort, print_json
    from nas_fusion.cli.settings import key_values, names
    from nas_fusion.cohorts import CohortError, load_cohort

    source = adopted_names("cohorts", source, allowed=allow_local_code)
    named = {"modalities": names("--modalities", modalities, least=2), "label": label, "group": group}
    options: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    options |= key_values("--cohort-set", cohort_options)
    problems: Sequence[Problem] = ()
    split: list[dict[str, Any]] = []
    try:
        cohort = load_cohort(source, **options)
    except CohortError as error:
        problems = error.problems
        for problem in problems:
            print(problem, file=sys.stderr)
        print(f"{source}: {len(problems)} {'problem' if len(problems) == 1 else 'problems'}.")
    else:
        print(f"{source} is valid.\n")
        split = print_cohort(cohort)
    if as_json:
        print_json({"source": source, "problems": [dataclasses.asdict(problem) for problem in problems], "split": split})
    if problems:
        raise typer.Exit(2)
