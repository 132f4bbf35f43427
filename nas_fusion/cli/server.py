"""The dashboard's server: optuna-dashboard with the study's artifacts."""

from __future__ import annotations

import socketserver
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from nas_fusion.evaluation.artifacts import HexadecimalNames


class _ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests."""


def dashboard_server(storage: BaseStorage, artifacts: HexadecimalNames, *, host: str, port: int) -> WSGIServer:
    """Return optuna-dashboard's server, listening.

    Args:
        storage: Where the studies are.
        artifacts: Under ids that the dashboard accepts.
        host: Address to listen on.
        port: 0 for any that is free.

    Raises:
        ValueError: If the address cannot be listened on.
    """
    from optuna_dashboard import wsgi

    try:
        return make_server(host, port, wsgi(storage, artifact_store=artifacts), _ThreadingServer, _QuietHandler)
    except OSError as error:
        raise ValueError(f"`--port` must be free on {host}, but {port} cannot be listened on: {error.strerror}.") from None
