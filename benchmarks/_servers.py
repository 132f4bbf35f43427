"""Throw-away servers for studies that several processes share: PostgreSQL and Optuna's gRPC proxy."""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, GrpcStorageProxy, run_grpc_proxy_server

from nas_fusion.study.storage import open_storage

READY_S = 30.0


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, which distributions keep out of the PATH; `None` if it is not installed."""
    asked = shutil.which("pg_config")
    if asked is not None:
        folder = Path(subprocess.run([asked, "--bindir"], check=True, capture_output=True, text=True).stdout.strip())
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb") or next(iter(Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    return None if found is None else Path(found).parent


def why_missing(kind: str) -> str | None:
    """Return why a kind of storage cannot be had here, `None` if it can."""
    if kind == "postgresql":
        if programs() is None:
            return "no PostgreSQL server is installed"
        return None if importlib.util.find_spec("psycopg") else "the driver psycopg is not installed"
    if kind == "grpc":
        missing = [name for name in ("grpc", "google.protobuf") if not _is_installed(name)]
        return f"{' and '.join(missing)} must be installed for gRPC" if missing else None
    return None


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False


def free_port() -> int:
    """Return a port of this host that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL server on a folder of its own, as a user that is not root, and yield the URL of an empty database."""
    folder_of_programs = programs()
    if folder_of_programs is None:
        raise ValueError("`postgresql` must be installed to be measured, but there is no initdb.")
    account: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        os.chmod(folder, 0o777)
        data, port = Path(folder) / "data", free_port()
        how: dict[str, Any] = {"check": True, "cwd": folder, "stdout": subprocess.DEVNULL, **account}
        initdb = [
            str(folder_of_programs / "initdb"),
            "-D",
            str(data),
            "-U",
            "researcher",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(initdb, **how)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        control = [str(folder_of_programs / "pg_ctl"), "-D", str(data), "-w"]
        subprocess.run([*control, "-l", f"{folder}/log", "-o", options, "start"], **how)
        try:
            yield f"postgresql+psycopg://researcher@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **how)


@contextlib.contextmanager
def grpc(url: str) -> Iterator[str]:
    """Run Optuna's gRPC proxy in front of a storage and yield what `connect` takes."""
    port = free_port()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(url, port), daemon=True)
    server.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            GrpcStorageProxy(host="127.0.0.1", port=port).wait_server_ready(READY_S)
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.join()


def _serve(url: str, port: int) -> None:
    warnings.simplefilter("ignore")
    run_grpc_proxy_server(open_storage(url), host="127.0.0.1", port=port)


def connect(url: str) -> BaseStorage:
    """Return the storage of a URL, that of a gRPC proxy among them."""
    if not url.startswith("grpc://"):
        return open_storage(url)
    host, port = url.removeprefix("grpc://").split(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GrpcStorageProxy(host=host, port=int(port))


@contextlib.contextmanager
def serving(kind: str, folder: Path) -> Iterator[str]:
    """Yield the URL of a storage of a kind: `sqlite`, `journal`, `postgresql` or `grpc` (before SQLite)."""
    if kind == "postgresql":
        with postgresql() as url:
            yield url
    elif kind == "grpc":
        with grpc(f"sqlite:///{folder}/behind.db") as url:
            yield url
    else:
        yield f"sqlite:///{folder}/study.db" if kind == "sqlite" else f"{folder}/study.journal"
