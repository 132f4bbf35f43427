from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from nas_fusion.cohorts.packaged import Package

PACKAGE = Package("fake-data", "1.0", "pip install fake-data==1.0", "MIT")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with the distribution `fake-data`, which holds `fake/a` and `fake/b`."""
    (tmp_path / "fake_data-1.0.dist-info").mkdir()
    (tmp_path / "fake_data-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-data\nVersion: 1.0\n")
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "__init__.py").write_text("raise RuntimeError('must not be imported')\n")
    (tmp_path / "fake" / "a").write_bytes(b"one")
    (tmp_path / "fake" / "b").write_bytes(b"two")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_files_are_read_in_their_order_and_nothing_is_imported(installed: Path) -> None:
    assert PACKAGE.read(["fake/a", "fake/b"], digest(b"onetwo")) == [b"one", b"two"]
    assert PACKAGE.read(["fake/b"], digest(b"two")) == [b"two"]
    assert PACKAGE.version == "1.0"


def test_other_contents_are_refused(installed: Path) -> None:
    (installed / "fake" / "a").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"`fake-data` must hold the data of release 1.0, but fake/a of 1.0 differ"):
        PACKAGE.read(["fake/a"], digest(b"one"))
    with pytest.raises(
        ValueError, match=r"but the 2 files from fake/a on of 1.0 differ from them: `pip install fake-data==1.0`"
    ):
        PACKAGE.read(["fake/a", "fake/b"], digest(b"onetwo"))


def test_what_is_missing_is_said_with_the_command(installed: Path) -> None:
    with pytest.raises(ValueError, match=r"`fake-data` must hold fake/c, but 1.0 as it is installed does not: `pip install"):
        PACKAGE.read(["fake/c"], digest(b""))
    absent = Package("absent-data", "2.0", "pip install --no-deps absent-data==2.0", "MIT")
    wanted = r"`absent-data` must be installed to read its data, but is not: `pip install --no-deps absent-data==2.0`\."
    with pytest.raises(ValueError, match=wanted):
        absent.read(["a"], digest(b""))
