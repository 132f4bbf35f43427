"""`nas-fusion dashboard`: optuna-dashboard on a study, with our figures and artifacts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nas_fusion.cli.options import StoredStudyOptions, takes

Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", help="Port to listen on.", min=0, max=65535)]


@takes(StoredStudyOptions, host=(Host, "127.0.0.1"), port=(Port, 8080))
def dashboard(options: StoredStudyOptions, *, host: str, port: int) -> None:
    """Serve optuna-dashboard with the figures of the report and the artifacts of the study."""
    from nas_fusion.cli.server import dashboard_server
    from nas_fusion.cli.stored import stored_studies
    from nas_fusion.study.outcome import summarise
    from nas_fusion.study.spec import load_study
    from nas_fusion.visualization import publish

    found = stored_studies(options)
    for module in dict.fromkeys(found.modules.values()):  # the arms of one module are a comparison of samplers
        studies = [name for name in found.studies if found.modules[name] == module]
        comparison = summarise(found.laboratory.within(module), found.storage, studies)
        for name in studies:
            publish(load_study(found.storage, name)[0], comparison)
    server = dashboard_server(found.storage, found.laboratory.store.dashboard_view, host=host, port=port)
    print(f"Listening on http://{host}:{server.server_port}/ (Ctrl-C ends it)", file=sys.stderr, flush=True)
    with server:
        server.serve_forever()
