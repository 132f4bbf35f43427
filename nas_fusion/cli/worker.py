"""`nas-fusion worker`: joins a running study from another process or host."""

from __future__ import annotations

from nas_fusion.cli.options import StoredStudyOptions, takes


@takes(StoredStudyOptions)
def worker(options: StoredStudyOptions) -> None:
    """Join a running study: everything but the storage and the study's name is read from the study."""
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.progress import shown_progress
    from nas_fusion.cli.stored import stored_studies
    from nas_fusion.study.jobs import StudyJob
    from nas_fusion.study.workers import Solo

    found = stored_studies(options)
    with shown_progress() as listener:
        Solo(found.laboratory, found.storage, listener).run([StudyJob(study) for study in found.studies])
    print(f"The search of {found.name} is complete.")
    if options.json:
        print_json({"study": found.name, "storage": found.url})
