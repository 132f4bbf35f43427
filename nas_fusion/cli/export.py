"""`nas-fusion export`: what a study selected, as a directory that needs no study any more."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer

from nas_fusion.cli.options import StoredStudyOptions, takes

To = Annotated[Path, typer.Option("--to", metavar="DIR", help="A new or empty folder for the model.")]


@takes(StoredStudyOptions, to=(To, inspect.Parameter.empty))
def export(options: StoredStudyOptions, *, to: Path) -> None:
    """Write the model that a study selected: weights (safetensors) and what is needed to load it again (JSON)."""
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.stored import stored_studies
    from nas_fusion.export import export_model
    from nas_fusion.study.outcome import chosen

    found = stored_studies(options)
    if len(found.studies) > 1:
        raise ValueError(f"`--study` must name one search, but {found.name!r} is a comparison of {', '.join(found.studies)}.")
    (study,) = found.studies
    best = chosen(found.laboratory, found.storage, study)
    if best is None:
        raise ValueError(f"`--study` must name a search that selected something, but {study!r} has not.")
    spec = found.laboratory.spec
    facts = {"study": study, "source": spec.source, "source_options": dict(spec.source_options)}
    folder = export_model(found.laboratory.worker, [best.key], to, facts=facts)
    print(folder)
    if options.json:
        print_json({"study": study, "model": str(folder), "key": best.key})
