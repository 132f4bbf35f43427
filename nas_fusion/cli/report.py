"""`nas-fusion report`: the HTML report of a study or comparison, written again."""

from __future__ import annotations

from nas_fusion.cli.options import StoredStudyOptions, takes


@takes(StoredStudyOptions)
def report(options: StoredStudyOptions) -> None:
    """Write the report of a study, or of all arms of a comparison, as one self-contained HTML file."""
    from nas_fusion.cli.module_results import written_module_report
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.results import written_report
    from nas_fusion.cli.settings import results_folder
    from nas_fusion.cli.stored import stored_studies
    from nas_fusion.study.module_outcome import summarise_modules
    from nas_fusion.study.outcome import summarise

    found = stored_studies(options)
    out = results_folder(options.out)
    if found.compares_modules:
        result = summarise_modules(found.laboratory, found.storage, found.studies)
        path = written_module_report(result, out, found.name)
    else:
        path = written_report(summarise(found.laboratory, found.storage, found.studies), out, found.name)
    print(path)
    if options.json:
        print_json({"study": found.name, "storage": found.url, "report": str(path)})
