"""`nas-fusion compare`: several searches, or several modules, on one pool of evaluations, and an honest table."""

from __future__ import annotations

from typing import Annotated

import typer

from nas_fusion.cli.compare_modules import JOINT, NONE, compare_modules
from nas_fusion.cli.compare_modules import SAMPLERS as MODULE_SAMPLERS
from nas_fusion.cli.options import StudyOptions, command_line, takes

SAMPLERS = "sfsa,beam,exhaustive"
Samplers = Annotated[
    str | None,
    typer.Option(
        "--samplers", metavar="A,B", help=f"The samplers to compare; default: {SAMPLERS}, with --modules {MODULE_SAMPLERS}."
    ),
]
Modules = Annotated[
    str | None,
    typer.Option(
        "--modules",
        metavar="A,B",
        help="Compare fusion modules: does the best point move with the module? Each is searched by itself, then all jointly.",
    ),
]
Joint = Annotated[
    str | None,
    typer.Option(
        "--joint",
        metavar="SAMPLER",
        help=f"With --modules: sampler of the search over points and modules, or {NONE}; default: {JOINT}.",
    ),
]


@takes(StudyOptions, samplers=(Samplers, None), modules=(Modules, None), joint=(Joint, None))
def compare(options: StudyOptions, *, samplers: str | None, modules: str | None, joint: str | None) -> None:
    """Compare searches, or fusion modules, with each other, with exhaustive search and with simpler models."""
    if modules is not None:
        own = MODULE_SAMPLERS if samplers is None else samplers
        compare_modules(options, modules=modules, samplers=own, joint=JOINT if joint is None else joint)
        return
    if joint is not None:
        raise ValueError("`--joint` must go with `--modules`, whose modules it searches jointly.")
    compare_samplers(options, samplers=SAMPLERS if samplers is None else samplers)


def compare_samplers(options: StudyOptions, *, samplers: str) -> None:
    """Compare searches with each other.

    Args:
        options: What `search` and `compare` are told alike.
        samplers: Their names, separated by commas, or code of files.

    Raises:
        ValueError: If an option, the data, the storage, or what they name is wrong.
    """
    from nas_fusion.cli.dry_run import dry_run
    from nas_fusion.cli.local_code import adopted, adopted_names
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.progress import shown_progress
    from nas_fusion.cli.request import requested
    from nas_fusion.cli.results import comparison_json, print_comparison, written_report
    from nas_fusion.cli.settings import names
    from nas_fusion.study.comparison import arm_names, run_comparison
    from nas_fusion.study.spec import open_study
    from nas_fusion.study.workers import crew

    command = command_line("compare", options, samplers=samplers)
    options, samplers = adopted(options), adopted_names("samplers", samplers, allowed=options.allow_local_code)
    arms = arm_names(options.study or options.space, names("--samplers", samplers) or ())
    request = requested(options, list(arms), command)
    if options.dry_run:
        dry_run(request, as_json=options.json)
        return
    laboratory, storage = request.laboratory, request.storage
    for sampler, name in arms.items():
        open_study(request.specs[sampler], storage, name)
    with shown_progress() as listener, crew(laboratory, storage, request.url, request.devices, listener) as workers:
        comparison = run_comparison(laboratory, storage, list(arms.values()), workers, listener=listener, trials=options.trials)
    report = written_report(comparison, request.out, options.study or options.space)
    print_comparison(comparison, report)
    if options.json:
        print_json(comparison_json(comparison, request.url, report))
