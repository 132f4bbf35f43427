"""Studies in PostgreSQL, on a throw-away server that the tests start themselves."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from nas_fusion.study.storage import open_storage
from tests.nas_fusion_tests.cli_tests.conftest import ONE, run, tmp_path  # noqa: F401
from tests.nas_fusion_tests.cli_tests.conftest import Run as RunCommand

pytestmark = pytest.mark.xdist_group("postgresql")


def binaries() -> Path | None:
    """Return the folder of the server's programs, which distributions keep out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(found[-1]) if found else None)
    return None if initdb is None else Path(initdb).parent


def account() -> dict[str, Any]:
    """Return who runs the server, which refuses root: the arguments for `subprocess`."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an empty database, without the driver."""
    folder_of_programs = binaries()
    if folder_of_programs is None:
        pytest.skip("no PostgreSQL server is installed")
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
        os.chmod(folder, 0o777)
        data, port = Path(folder) / "data", free_port()
        how: dict[str, Any] = {"check": True, "cwd": folder, "stdout": subprocess.DEVNULL, **account()}
        initdb = [folder_of_programs / "initdb", "-D", data, "-U", "researcher", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, **how)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        control = [folder_of_programs / "pg_ctl", "-D", data, "-w"]
        subprocess.run([*control, "-l", Path(folder) / "log", "-o", options, "start"], **how)
        try:
            yield f"researcher@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **how)


@pytest.mark.slow
def test_a_search_by_two_workers_ends_as_on_sqlite_and_is_resumed(server: str, run: RunCommand) -> None:  # noqa: F811
    url = f"postgresql+psycopg://{server}"
    wanted = run("search", "tiny", *ONE, "--json", "--out", "sqlite").json
    found = run("search", "tiny", "--workers", "2", "--json", "--out", "postgresql", "--storage", url).json
    same = ("study", "path", "best", "value", "baseline_value", "evaluations")
    assert {name: found[name] for name in same} == {name: wanted[name] for name in same}
    again = run("search", "tiny", *ONE, "--json", "--out", "postgresql", "--storage", url).json
    assert (again["value"], again["trained"]) == (found["value"], found["trained"])
    assert optuna.get_all_study_names(open_storage(url)) == ["tiny-sfsa"]
    refused = run("search", "tiny", *ONE, "--seed", "1", "--out", "postgresql", "--storage", url)
    assert refused.code == 2 and "seed=0, but seed=1" in refused.err


def test_a_database_that_is_not_there_is_refused_in_one_sentence(server: str) -> None:
    with pytest.raises(ValueError, match=r"is not: .*does not exist") as raised:
        open_storage(f"postgresql+psycopg://{server.removesuffix('postgres')}nowhere")
    assert "\n" not in str(raised.value)
