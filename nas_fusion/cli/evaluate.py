"""`nas-fusion evaluate`: the one look at the test subjects."""

from __future__ import annotations

from nas_fusion.cli.options import StoredStudyOptions, takes


@takes(StoredStudyOptions)
def evaluate(options: StoredStudyOptions) -> None:
    """Evaluate what a finished study, or each arm of a comparison, selected on the test subjects: once, then it is known."""
    from nas_fusion.analysis import plain_table
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.results import test_json
    from nas_fusion.cli.stored import compared, stored_studies
    from nas_fusion.study.final_test import test_all
    from nas_fusion.study.outcome import check_complete

    found = stored_studies(options)
    check_complete(found.laboratory, found.storage, found.studies)
    test_all(found.laboratory, compared(found))
    comparison = compared(found)
    print(plain_table(comparison))
    if options.json:
        print_json(test_json(comparison, found.name, found.url))
