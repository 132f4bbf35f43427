"""Commands on studies that exist: which they are, and the laboratory that they were made in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_fusion.cli.options import StoredStudyOptions
from nas_fusion.cli.settings import artifacts_url, storage_url

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from nas_fusion.analysis import Comparison
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
        modules: Study to the module that it keeps to, see `StudySpec.module`; empty for other studies.
    """

    name: str
    studies: tuple[str, ...]
    laboratory: Laboratory
    storage: BaseStorage
    url: str
    modules: dict[str, str]

    @property
    def compares_modules(self) -> bool:
        """Whether the studies are the arms of a comparison of modules."""
        return len(set(self.modules.values())) > 1


def stored_studies(options: StoredStudyOptions) -> Stored:
    """Return the study, or the arms of the comparison, that the options name; without a name, the only one there is.

    Raises:
        ValueError: If there is no such study, or several and none is named, or its data are not what they were.
    """
    from nas_fusion.study.laboratory import prepare
    from nas_fusion.study.spec import JOINT, arms_of, load_study
    from nas_fusion.study.storage import open_storage

    url = storage_url(options.storage, options.out)
    storage = open_storage(url, create=False)
    name, studies = arms_of(storage, options.study)
    modules = {study: load_study(storage, study)[1].module for study in studies}
    _, spec = load_study(storage, studies[0])
    spec = spec.replace(device=options.device, module=JOINT if len(set(modules.values())) > 1 else spec.module)
    if options.artifacts is not None:
        spec = spec.replace(artifacts=artifacts_url(options.artifacts, options.out))
    elif "://" not in spec.artifacts and not Path(spec.artifacts).is_dir() and (options.out / "artifacts").is_dir():
        # The results were moved.
        spec = spec.replace(artifacts=artifacts_url(None, options.out))
    return Stored(name, studies, prepare(spec, allow_local_code=options.allow_local_code), storage, url, modules)


def compared(found: Stored) -> Comparison:
    """Return what came of studies that exist, all arms together."""
    from nas_fusion.study.module_outcome import summarise_modules
    from nas_fusion.study.outcome import summarise

    if found.compares_modules:
        return summarise_modules(found.laboratory, found.storage, found.studies).comparison
    return summarise(found.laboratory, found.storage, found.studies)
