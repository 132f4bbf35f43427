"""Commands on studies that exist: which they are, and the laboratory that they were made in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_fusion.cli.options import StoredStudyOptions
from nas_fusion.cli.settings import artifacts_url, storage_url

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from nas_fusion.study.laboratory import Laboratory


@dataclass(frozen=True)
class Stored:
    """What a command on studies that exist works with.

    Attributes:
        name: What was asked for: a study, or a comparison whose arms are studies `<name>-<sampler>`.
        studies: The studies.
        laboratory: The laboratory that they were made in.
        storage: Where they are.
        url: Its URL.
    """

    name: str
    studies: tuple[str, ...]
    laboratory: Laboratory
    storage: BaseStorage
    url: str


def stored_studies(options: StoredStudyOptions) -> Stored:
    """Return the study, or the arms of the comparison, that the options name; without a name, the only one there is.

    Raises:
        ValueError: If there is no such study, or several and none is named, or its data are not what they were.
    """
    from nas_fusion.study.laboratory import prepare
    from nas_fusion.study.spec import arms_of, load_study
    from nas_fusion.study.storage import open_storage

    url = storage_url(options.storage, options.out)
    storage = open_storage(url, create=False)
    name, studies = arms_of(storage, options.study)
    _, spec = load_study(storage, studies[0])
    spec = spec.replace(device=options.device)
    if options.artifacts is not None:
        spec = spec.replace(artifacts=artifacts_url(options.artifacts, options.out))
    elif "://" not in spec.artifacts and not Path(spec.artifacts).is_dir() and (options.out / "artifacts").is_dir():
        # The results were moved.
        spec = spec.replace(artifacts=artifacts_url(None, options.out))
    return Stored(name, studies, prepare(spec, allow_local_code=options.allow_local_code), storage, url)
