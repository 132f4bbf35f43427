"""The dashboard's server: optuna-dashboard with the study's artifacts."""

from __future__ import annotations

import socketserver
import sys
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIServer, make_server

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from nas_fusion.evaluation.artifacts import HexadecimalNames


class _ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


def serve(storage: BaseStorage, artifacts: HexadecimalNames, *, host: str, port: int) -> None:
    """Serve optuna-dashboard until it is interrupted.

    Raises:
        ValueError: If the address cannot be listened on.
    """
    from optuna_dashboard import wsgi

    try:
        server = make_server(host, port, wsgi(storage, artifact_store=artifacts), server_class=_ThreadingServer)
    except OSError as error:
        raise ValueError(f"`--port` must be free on {host}, but {port} cannot be listened on: {error.strerror}.") from None
    print(f"Listening on http://{host}:{server.server_port}/ (Ctrl-C ends it)", file=sys.stderr, flush=True)
    with server:
        server.serve_forever()
