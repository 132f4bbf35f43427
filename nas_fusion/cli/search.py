"""`nas-fusion search`: one search, its table and its report."""

from __future__ import annotations

from nas_fusion.cli.options import Sampler, StudyOptions, command_line, takes


@takes(StudyOptions, sampler=(Sampler, "sfsa"))
def search(options: StudyOptions, *, sampler: str) -> None:
    """Search a space for its best configuration; with no options, SFSA on the space's embedded cohort."""
    from nas_fusion.cli.dry_run import dry_run
    from nas_fusion.cli.local_code import adopted, adopted_names
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.progress import shown_progress
    from nas_fusion.cli.request import requested
    from nas_fusion.cli.results import print_search, search_json, written_report
    from nas_fusion.study.comparison import run_search
    from nas_fusion.study.outcome import summarise
    from nas_fusion.study.spec import open_study
    from nas_fusion.study.workers import crew

    command = command_line("search", options, sampler=sampler)
    options, sampler = adopted(options), adopted_names("samplers", sampler, allowed=options.allow_local_code)
    request = requested(options, [sampler], command)
    if options.dry_run:
        dry_run(request, as_json=options.json)
        return
    laboratory, storage = request.laboratory, request.storage
    name = options.study or f"{options.space}-{sampler}"
    open_study(request.specs[sampler], storage, name)
    with shown_progress() as listener, crew(laboratory, storage, request.url, request.devices, listener) as workers:
        run_search(laboratory, storage, name, workers, listener=listener, trials=options.trials)
    comparison = summarise(laboratory, storage, [name])
    report = written_report(comparison, request.out, name)
    print_search(comparison, report)
    if options.json:
        print_json(search_json(comparison, request.url, report))
