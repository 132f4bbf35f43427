"""From the options of `search` and `compare` to what they work with: cheap checks first, then the data, then the worker."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nas_fusion import plugins
from nas_fusion.cli.local_code import adopt_options
from nas_fusion.cli.options import StudyOptions
from nas_fusion.cli.settings import artifacts_url, at_least, key_values, names, not_empty, results_folder, storage_url

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from nas_fusion.space import SearchSpace
    from nas_fusion.study.laboratory import Laboratory
    from nas_fusion.study.spec import StudySpec

    SpecsOf: TypeAlias = Callable[[Laboratory, dict[str, Any]], dict[str, StudySpec]]

_LONGEST_NAME = 200


@dataclass(frozen=True)
class Request:
    """What a command works with.

    Attributes:
        laboratory: Space, cohort and worker.
        storage: Where the studies are.
        url: Its URL, for other processes.
        out: Folder of the results.
        devices: Device of each worker process.
        specs: Sampler to the specification of its study; of a comparison of modules, study to its specification.
    """

    laboratory: Laboratory
    storage: BaseStorage
    url: str
    out: Path
    devices: tuple[str, ...]

    specs: dict[str, StudySpec]


def requested(options: StudyOptions, samplers: Sequence[str], command: str, *, specs_of: SpecsOf | None = None) -> Request:
    """Return what `search` or `compare` work with.

    Args:
        options: As typed.
        samplers: The samplers of its studies.
        command: The command line, for the record.
        specs_of: Makes the specifications of its studies from the laboratory and the options of samplers; by default one a
            sampler.

    Raises:
        ValueError: If an option, the data, the storage, or what they name is wrong.
    """
    from nas_fusion.study.budget import max_evaluations
    from nas_fusion.study.shortening import arm_specs
    from nas_fusion.study.storage import open_storage
    from nas_fusion.study.workers import devices_of_workers

    typed = typed_options(options)
    sampler_options = _sampler_options(options, samplers)
    out = results_folder(options.out)
    artifacts_url(options.artifacts, out)  # refused before a storage is made
    url = storage_url(options.storage, out)
    storage = open_storage(url)
    laboratory = laboratory_of(options, typed, command, out)
    _check_startable(laboratory)
    for sentence in laboratory.space.notes(laboratory.cohort.inputs).get("sentences", ()):
        print(sentence, file=sys.stderr, flush=True)
    space = laboratory.space
    if specs_of is None:
        specs = arm_specs(laboratory.spec, laboratory, samplers, sampler_options, called="--sampler-set")
    else:
        specs = specs_of(laboratory, sampler_options)
    for each in specs.values():
        own = laboratory.within(each.module)
        max_evaluations(each, own.sampler(each), own.space)
    return Request(laboratory, storage, url, out, devices_of_workers(options.device, options.workers, most=space.size), specs)


@dataclass(frozen=True)
class Typed:
    """Options that were typed as `key=value`, read but not yet used: of the space, and of `load_cohort`."""

    of_space: dict[str, Any]
    of_source: dict[str, Any]


def typed_options(options: StudyOptions) -> Typed:
    """Check all that can be checked of the options without loading anything.

    Raises:
        ValueError: If a number is out of its range, a word empty, or a `key=value` of another form.
    """
    _check_numbers(options)
    _check_words(options)
    return Typed(key_values("--set", options.space_options), _source_options(options))


def laboratory_of(options: StudyOptions, typed: Typed, command: str, out: Path) -> Laboratory:
    """Return space, cohort and worker that options ask for.

    Args:
        options: As typed.
        typed: What `typed_options` gave for them.
        command: The command line, for the record.
        out: Folder of the results.

    Raises:
        ValueError: If the data, or what the options name, is wrong.
    """
    from nas_fusion.cohorts import load_cohort
    from nas_fusion.study.laboratory import Laboratory, split_digest
    from nas_fusion.study.spec import StudySpec

    artifacts, source_options = artifacts_url(options.artifacts, out), typed.of_source
    source = lasting(options.data or embedded_cohort(options.space))
    space = None if _waits_for_modalities(options.space, typed.of_space) else _space(options, typed.of_space, source)
    cohort = load_cohort(source, **source_options)
    if space is None:
        space = _space(options, {**typed.of_space, "modalities": list(cohort.modalities)}, source)
    space = _for_modalities(space, typed.of_space, tuple(cohort.modalities))
    spec = StudySpec(
        space=options.space,
        source=source,
        fingerprint=cohort.fingerprint,
        split=split_digest(cohort.splits),
        space_options=space.options(),
        source_options=source_options,
        trials=options.trials,
        inherit=options.inherit or space.inherit,
        plan={} if options.epochs is None else {"epochs": options.epochs, "inherited_epochs": None},
        seed=options.seed,
        seeds=options.seeds,
        racing=options.racing,
        halving=options.halving,
        device=options.device,
        artifacts=artifacts,
        command=command,
    )
    return Laboratory(spec, space, cohort)


def embedded_cohort(space: str) -> str:
    """Return the name of the cohort that a space is searched on where no data are named.

    Raises:
        ValueError: If there is no such space, or it names no cohort.
    """
    name = getattr(plugins.load("spaces", space), "cohort", None)
    if not isinstance(name, str):
        raise ValueError(f"`--data` must name a cohort or files: the space {space!r} has no embedded cohort.")
    return name


def _check_startable(laboratory: Laboratory) -> None:
    """Refuse what training would refuse before a study is made, whose name a refused command would take."""
    from nas_fusion.evaluation.folds import check_folds

    check_folds(laboratory.cohort)
    laboratory.epochs(laboratory.space.baseline)  # the space looks at the inputs
    assert laboratory.store is not None  # opened


def lasting(source: str) -> str:
    """Return a source that means the same in any working directory, where a worker or a report may be started."""
    if source in plugins.names("cohorts") or not Path(source).expanduser().exists():
        return source
    return str(Path(source).expanduser().absolute())


def _check_words(options: StudyOptions) -> None:
    """Raise unless words that were typed are not empty and the study's name is of a usable length."""
    not_empty({f"--{name}": getattr(options, name) for name in ("data", "storage", "study", "artifacts", "label", "group")})
    if options.study is not None and len(options.study.encode()) > _LONGEST_NAME:
        raise ValueError(f"`--study` must have at most {_LONGEST_NAME} bytes, but has {len(options.study.encode())}.")


def _check_numbers(options: StudyOptions) -> None:
    for option, value, least, most in (
        ("--workers", options.workers, 1, 1024),
        ("--epochs", options.epochs, 1, 1_000_000),
        ("--trials", options.trials, 1, None),
        ("--folds", options.folds, 1, None),
        ("--seed", options.seed, 0, 2**32 - 1),
        ("--seeds", options.seeds, 1, 1000),
    ):
        at_least(option, value, least, most)
    if options.racing is not None and not 0 < options.racing < 0.5:
        raise ValueError(f"`--racing` must be in (0, 0.5), but got {options.racing:g}.")


def _source_options(options: StudyOptions) -> dict[str, Any]:
    """Return the options of `load_cohort`: those with an option of their own, and those of `--cohort-set`."""
    named = {
        "modalities": names("--modalities", options.modalities, least=2),
        "label": options.label,
        "group": options.group,
        "folds": options.folds,
    }
    typed = key_values("--cohort-set", options.cohort_options)
    for name, value in named.items():
        if value is not None and typed.setdefault(name, value) is not value:
            raise ValueError(f"`--{name}` must be given once, but `--cohort-set {name}=` says it too.")
    return typed


def _sampler_options(options: StudyOptions, samplers: Sequence[str]) -> dict[str, Any]:
    """Return the options of the samplers: those with an option of their own, and those of `--sampler-set`."""
    from nas_fusion.samplers.options import options_of

    typed = key_values("--sampler-set", options.sampler_options)
    named = {
        "accept": ("--accept", options.accept),
        "control": ("--control", options.control or None),
        "speculate": ("--no-speculate", False if options.no_speculate else None),
    }
    for name, (option, value) in named.items():
        if value is None:
            continue
        if name in typed:
            raise ValueError(f"`{option}` must be given once, but `--sampler-set {name}=` says it too.")
        if not any(name in options_of(sampler) for sampler in samplers):
            have = "has" if len(samplers) == 1 else "have"
            raise ValueError(f"`{option}` must go with a sampler that has it, but {', '.join(samplers)} {have} no {name!r}.")
        typed[name] = value
    return typed


def _waits_for_modalities(space: str, typed: Mapping[str, Any]) -> bool:
    """Return whether a space can only be made once the cohort's modalities are known."""
    needs = getattr(plugins.load("spaces", space), "needs_modalities", None)
    return needs is not None and bool(needs(typed))


def _for_modalities(space: SearchSpace, typed: Mapping[str, Any], modalities: Sequence[str]) -> SearchSpace:
    """Return the space for a cohort's modalities, if it is built for modalities by name and none were typed."""
    from nas_fusion.space import load_space

    built_for = space.options().get("modalities")
    if "modalities" in typed or built_for is None or set(built_for) == set(modalities):
        return space
    return load_space(space.name, **{**typed, "modalities": list(modalities)})


def _space(options: StudyOptions, typed: dict[str, Any], source: str) -> SearchSpace:
    """Return the space; its preset, if it has any and none is asked for, depends on whether the data are an embedded cohort."""
    from nas_fusion.space import load_space

    kind = plugins.load("spaces", options.space)
    adopt_options(typed, getattr(kind, "takes_plugins", {}), allowed=options.allow_local_code)
    known = inspect.signature(kind).parameters
    if "preset" in known and "preset" not in typed:
        typed["preset"] = kind.presets[0 if source in plugins.names("cohorts") else 1]
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    if options.module is not None:
        if "modules" not in known:
            raise ValueError(f"`--module` must go with a space whose points offer modules, but {options.space!r} has none.")
        typed["modules"] = names("--module", options.module)
    unknown = [key for key in typed if key not in known and not takes_all]
    if unknown:
        raise ValueError(
            f"`--set` must give options of the space {options.space!r} ({', '.join(known)}), but got {unknown[0]!r}."
        )
    return load_space(options.space, **typed)
