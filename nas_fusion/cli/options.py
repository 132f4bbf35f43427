"""The options that commands share, each declared once."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

Space = Annotated[str, typer.Argument(help="Search space: fusion-points, expert-routing or a plug-in's (see `list spaces`).")]
Sampler = Annotated[str, typer.Option("--sampler", help="One of `list samplers`, such as sfsa, beam, surrogate or tpe.")]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help="BIDS folder, class folders, datalist .json, manifest .csv/.tsv, .npz, or a cohort's name; default: the space's "
        "embedded cohort.",
    ),
]
Modalities = Annotated[
    str | None, typer.Option("--modalities", metavar="A,B", help="The modalities, such as T1w,FLAIR or SC,FC.")
]
Label = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="The column that holds the class of each subject.")
]
Group = Annotated[
    str | None,
    typer.Option("--group", metavar="COLUMN", help="Column of groups (site, participant) that no split tears apart."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="sqlite:///FILE, postgresql+psycopg://..., redis://..., or a journal file; default: SQLite under --out.",
    ),
]
Study = Annotated[str | None, typer.Option("--study", metavar="NAME", help="Name of the study; default: <space>-<sampler>.")]
Artifacts = Annotated[
    str | None,
    typer.Option("--artifacts", metavar="DIR|URL", help="Where weights and predictions are kept; default: <out>/artifacts."),
]
SpaceOptions = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Option of the space, such as preset=paper or scope=full; repeatable."),
]
CohortOptions = Annotated[
    list[str],
    typer.Option("--cohort-set", metavar="KEY=VALUE", help="Option of the cohort, such as shape=32 or fc=partial; repeatable."),
]
SamplerOptions = Annotated[
    list[str], typer.Option("--sampler-set", metavar="KEY=VALUE", help="Option of the sampler, such as width=3; repeatable.")
]
Module = Annotated[
    str | None,
    typer.Option(
        "--module", metavar="A,B", help="Fusion modules that each point of fusion-points offers, such as mmtm,concat_conv."
    ),
]
Inherit = Annotated[
    str | None,
    typer.Option(
        "--inherit",
        metavar="RULE",
        help="Whose weights a candidate starts from: parent, baseline or none; default: the space's.",
    ),
]
Folds = Annotated[
    int | None, typer.Option("--folds", help="Folds of the cross-validation; default: the cohort's own, else one.")
]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Epochs of each training; default: the space's.")]
Trials = Annotated[int | None, typer.Option("--trials", help="Evaluations of a sampler that has no own end.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of initialisation, data order and sampler.")]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", help="Trainings of each fold, each with a seed of its own.")]
Accept = Annotated[
    str | None,
    typer.Option(
        "--accept",
        metavar="RULE",
        help="What counts as an improvement: best (the lower mean), one_se (fewest modules or mixtures within one standard "
        "error of the best) or paired (significant by a paired test over folds).",
    ),
]
Control = Annotated[
    bool,
    typer.Option("--control", help="A move must also beat its parent trained on, without the move, for the same budget."),
]
Racing = Annotated[
    float | None,
    typer.Option(
        "--racing",
        metavar="P",
        help="Shortens the search: a candidate that is worse at level P stops before its last fold (needs 4 folds at 0.1).",
    ),
]
Halving = Annotated[
    bool,
    typer.Option("--halving", help="Shortens the search: after 1, 2, 4, ... folds only the better half of a round goes on."),
]
NoSpeculate = Annotated[
    bool, typer.Option("--no-speculate", help="Wait for the round to end rather than begin the likely next one.")
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:i]", help="Where to train.")]
Workers = Annotated[int | None, typer.Option("--workers", help="Worker processes; default: one a GPU, else one a core.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the results.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
AllowLocalCode = Annotated[
    bool,
    typer.Option("--allow-local-code", help="Let FILE.py:NAME, given for a plug-in's name or by the study, run that file."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Validate the data, show split and cost, train nothing.")]


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What `search` and `compare` are told alike."""

    space: Space
    data: Data = None
    modalities: Modalities = None
    label: Label = None
    group: Group = None
    storage: Storage = None
    study: Study = None
    artifacts: Artifacts = None
    space_options: SpaceOptions = dataclasses.field(default_factory=list)
    cohort_options: CohortOptions = dataclasses.field(default_factory=list)
    sampler_options: SamplerOptions = dataclasses.field(default_factory=list)
    module: Module = None
    inherit: Inherit = None
    folds: Folds = None
    epochs: Epochs = None
    trials: Trials = None
    seed: Seed = 0
    seeds: Seeds = 1
    accept: Accept = None
    control: Control = False
    racing: Racing = None
    halving: Halving = False
    no_speculate: NoSpeculate = False
    device: Device = "auto"
    workers: Workers = None
    out: Out = Path("nas-fusion-results")
    allow_local_code: AllowLocalCode = False
    json: Json = False
    dry_run: DryRun = False


@dataclass(frozen=True, kw_only=True)
class StoredStudyOptions:
    """What commands on a study that exists are told."""

    storage: Storage = None
    study: Study = None
    artifacts: Artifacts = None
    device: Device = "auto"
    out: Out = Path("nas-fusion-results")
    allow_local_code: AllowLocalCode = False
    json: Json = False


def takes(kind: type, **more: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the fields of a dataclass as its options.

    The command gets the dataclass as its only positional argument, and the options in `more` (name to `(annotation, default)`)
    as keywords.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**values: Any) -> None:
            own = {name: values.pop(name) for name in more}
            command(kind(**values), **own)

        hints = get_type_hints(kind, include_extras=True)
        parameters = [_parameter(field, hints[field.name]) for field in dataclasses.fields(kind)]
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in more.items()
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


def command_line(command: str, options: Any, **more: str) -> str:
    """Return the command line that asks for the same again, without what is as by default.

    Args:
        command: Its name.
        options: A dataclass of options, the space among them.
        more: Further options, by name.
    """
    hints = get_type_hints(type(options), include_extras=True)
    words = ["nas-fusion", command, options.space]
    for name, value in more.items():
        words += [f"--{name}", value]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name in ("space", "json", "dry_run") or value == _default(field):
            continue
        option = hints[field.name].__metadata__[0].default  # typer takes the first name for it
        if value is True:
            words.append(option)
            continue
        for item in value if isinstance(value, list) else [value]:
            words += [option, str(item)]
    return shlex.join(words)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _parameter(field: dataclasses.Field[Any], annotation: Any) -> inspect.Parameter:
    default = _default(field)
    required = default is dataclasses.MISSING
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else default,
        annotation=annotation,
    )
