"""Data files of installed distributions: found by their metadata, known by their checksum; never downloaded, never imported."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version


@dataclass(frozen=True)
class Package:
    """A distribution that data are read from.

    Attributes:
        name: As it is installed, such as `seglearn`.
        release: The version whose files are known.
        install: The command that installs it.
        licence: Of the data, or of the distribution where the data have none of their own.
    """

    name: str
    release: str
    install: str
    licence: str

    @property
    def version(self) -> str:
        """The version that is installed.

        Raises:
            ValueError: If none is.
        """
        try:
            return version(self.name)
        except PackageNotFoundError:
            raise ValueError(f"`{self.name}` must be installed to read its data, but is not: `{self.install}`.") from None

    def read(self, files: Sequence[str], sha256: str) -> list[bytes]:
        """Return the contents of some files.

        Args:
            files: Paths inside the distribution, at least one.
            sha256: Digest of their contents, one after the other.

        Raises:
            ValueError: If the distribution or a file is missing, or the contents are others than those known.
        """
        held = self.version
        contents = [self._content(file, held) for file in files]
        if hashlib.sha256(b"".join(contents)).hexdigest() != sha256:
            which = files[0] if len(files) == 1 else f"the {len(files)} files from {files[0]} on"
            raise ValueError(
                f"`{self.name}` must hold the data of release {self.release}, but {which} of {held} differ from them: "
                f"`{self.install}`."
            )
        return contents

    def _content(self, file: str, held: str) -> bytes:
        try:
            return bytes(distribution(self.name).locate_file(file).read_bytes())  # type: ignore[attr-defined]
        except OSError:
            raise ValueError(
                f"`{self.name}` must hold {file}, but {held} as it is installed does not: `{self.install} --force-reinstall`."
            ) from None
