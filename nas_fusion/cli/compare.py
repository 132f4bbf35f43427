"""`nas-fusion compare`: several searches on one pool of evaluations, and an honest table."""

from __future__ import annotations

from typing import Annotated

import typer

from nas_fusion.cli.options import StudyOptions, command_line, takes

Samplers = Annotated[
    str, typer.Option("--samplers", metavar="A,B", help="The samplers to compare, such as sfsa,beam,exhaustive.")
]


@takes(StudyOptions, samplers=(Samplers, "sfsa,beam,exhaustive"))
def compare(options: StudyOptions, *, samplers: str) -> None:
    """Compare searches with each other, with exhaustive search and with simpler models, such as single modalities."""
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
        dry_run(request, list(arms), as_json=options.json)
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
