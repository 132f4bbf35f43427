"""Artifact stores of Optuna: by path or URL, written atomically where that is in our hands."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import threading
import time
import uuid
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from optuna.artifacts import Boto3ArtifactStore, FileSystemArtifactStore, GCSArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

_DRAFT_LIFE_S = 24 * 3600


class ArtifactStore(Protocol):
    """What Optuna asks of an artifact store (its own protocol is private)."""

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return a reader of an artifact; raises `ArtifactNotFound`."""
        ...

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write an artifact."""
        ...

    def remove(self, artifact_id: str) -> None:
        """Remove an artifact."""
        ...


class DirectoryArtifactStore(FileSystemArtifactStore):
    """A folder whose files are whole or absent: each is written beside its place, flushed to the disk and renamed.

    Args:
        folder: Made if it does not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(Path(folder))
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        for draft in self.folder.glob(".*.partial"):  # of a process that was killed; never one that is still written
            with contextlib.suppress(FileNotFoundError):
                if time.time() - draft.stat().st_mtime > _DRAFT_LIFE_S:
                    draft.unlink()

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write an artifact; whatever interrupts this leaves the file that was there before, or none."""
        place = self._get_filepath(artifact_id)
        draft = place.with_name(f".{place.name}.{uuid.uuid4().hex}.partial")
        try:
            with open(draft, "wb") as file:
                shutil.copyfileobj(content_body, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, place)
        finally:
            draft.unlink(missing_ok=True)


class MemoryArtifactStore:
    """Artifacts in this process's memory: for a worker that is given no store."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return a reader of an artifact.

        Raises:
            ArtifactNotFound: If there is none of that id.
        """
        with self._lock:
            if artifact_id not in self._contents:
                raise ArtifactNotFound(artifact_id)
            return io.BytesIO(self._contents[artifact_id])

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keep an artifact."""
        with self._lock:
            self._contents[artifact_id] = content_body.read()

    def remove(self, artifact_id: str) -> None:
        """Forget an artifact.

        Raises:
            ArtifactNotFound: If there is none of that id.
        """
        with self._lock:
            if self._contents.pop(artifact_id, None) is None:
                raise ArtifactNotFound(artifact_id)


class HexadecimalNames:
    """A view of an artifact store under ids that optuna-dashboard accepts: the names' bytes in hexadecimal digits.

    Args:
        inner: The store whose names are looked through.
    """

    def __init__(self, inner: ArtifactStore) -> None:
        self._inner = inner

    @staticmethod
    def id_of(name: str) -> str:
        """Return the id of a name in this view."""
        return name.encode().hex()

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return a reader of the artifact with this id, of ours or written through this view."""
        return self._inner.open_reader(_name_of(artifact_id))

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write an artifact, such as a file that a user adds in the dashboard."""
        self._inner.write(_name_of(artifact_id), content_body)

    def remove(self, artifact_id: str) -> None:
        """Remove an artifact."""
        self._inner.remove(_name_of(artifact_id))


def _name_of(artifact_id: str) -> str:
    try:
        name = bytes.fromhex(artifact_id).decode()
    except ValueError:  # an id with dashes: Optuna's own
        return artifact_id
    return name if name.isascii() and name.isprintable() else artifact_id


def open_artifact_store(location: str | Path) -> ArtifactStore:
    """Return the artifact store at a path or URL.

    Args:
        location: A folder (`results/store`, `file:///data/store`), `s3://bucket` or `gs://bucket`.

    Raises:
        ValueError: If the URL's scheme is another one, or the path is a file.
    """
    parts = urlsplit(str(location))
    if isinstance(location, Path) or len(parts.scheme) < 2:  # one letter is a drive
        return _folder(Path(location))
    if parts.scheme == "file":
        return _folder(Path(unquote(parts.path)))
    if parts.scheme in ("s3", "gs") and parts.netloc and parts.path in ("", "/"):
        return Boto3ArtifactStore(parts.netloc) if parts.scheme == "s3" else GCSArtifactStore(parts.netloc)
    raise ValueError(f"`artifacts` must be a folder, file:///folder, s3://bucket or gs://bucket, but got {str(location)!r}.")


def _folder(path: Path) -> DirectoryArtifactStore:
    if path.exists() and not path.is_dir():
        raise ValueError(f"`artifacts` must be a folder, but {str(path)!r} is a file.")
    return DirectoryArtifactStore(path)
