"""`nas-fusion cross-validate`: repeated k-fold with nested splits, for arms that are fixed before."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas_fusion.cli.options import (
    Artifacts,
    CohortOptions,
    Data,
    Device,
    Epochs,
    Group,
    Inherit,
    Json,
    Label,
    Modalities,
    Module,
    Out,
    Seed,
    Space,
    SpaceOptions,
    StudyOptions,
    Workers,
    command_line,
    takes,
)

if TYPE_CHECKING:
    import pandas as pd

    from nas_fusion.analysis.cross_validation import CrossValidation
    from nas_fusion.study.cross_arms import CrossArm
    from nas_fusion.study.laboratory import Laboratory

Arm = Annotated[
    list[str],
    typer.Option("--arm", metavar="CHOICES", help="A configuration, such as layer3=mmtm,layer4=mmtm; repeatable."),
]
ReferenceName = Annotated[
    list[str],
    typer.Option(
        "--reference",
        metavar="NAME",
        help="A reference of the space, such as late_fusion; repeatable. Without --arm, --reference and --ablations: all.",
    ),
]
Ablations = Annotated[bool, typer.Option("--ablations", help="The ablations of the space.")]
OuterFolds = Annotated[int, typer.Option("--folds", help="Parts of each division, each held out once.")]
Repeats = Annotated[int, typer.Option("--repeats", help="Divisions of all subjects, each drawn anew.")]
Validation = Annotated[
    float,
    typer.Option("--validation", metavar="SHARE", help="Share of the subjects not held out on which epochs are selected."),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="ARM",
        help="The arm that the others are compared with; default: the baseline, of ablations alone the full model.",
    ),
]
DevelopmentOnly = Annotated[
    bool, typer.Option("--development-only", help="Leave the cohort's own test subjects out of it, for a later look.")
]
Name = Annotated[str | None, typer.Option("--name", help="Folder of its files under --out; default: <space>-cross-validation.")]


@dataclass(frozen=True, kw_only=True)
class CrossOptions:
    """What `cross-validate` is told."""

    space: Space
    arm: Arm = dataclasses.field(default_factory=list)
    reference: ReferenceName = dataclasses.field(default_factory=list)
    ablations: Ablations = False
    outer_folds: OuterFolds = 10
    repeats: Repeats = 1
    validation: Validation = 0.1
    against: Against = None
    development_only: DevelopmentOnly = False
    data: Data = None
    modalities: Modalities = None
    label: Label = None
    group: Group = None
    artifacts: Artifacts = None
    space_options: SpaceOptions = dataclasses.field(default_factory=list)
    cohort_options: CohortOptions = dataclasses.field(default_factory=list)
    module: Module = None
    inherit: Inherit = None
    epochs: Epochs = None
    seed: Seed = 0
    device: Device = "auto"
    workers: Workers = None
    name: Name = None
    out: Out = Path("nas-fusion-results")
    json: Json = False

    def as_study(self) -> StudyOptions:
        """Return the part that `search` and `compare` are told too."""
        shared = {field.name for field in dataclasses.fields(StudyOptions)} & self.__dict__.keys()
        return StudyOptions(**{name: getattr(self, name) for name in shared}, study=self.name)


@takes(CrossOptions)
def cross_validate(options: CrossOptions) -> None:
    """Compare fixed models by repeated k-fold cross-validation; each is scored on subjects that no part of it has seen."""
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.progress import shown_progress
    from nas_fusion.cli.request import laboratory_of, typed_options
    from nas_fusion.cli.settings import at_least, not_empty, results_folder
    from nas_fusion.study.cross_folds import CrossPlan
    from nas_fusion.study.cross_validation import against_of, run_cross_validation
    from nas_fusion.study.workers import devices_of_workers

    at_least("--folds", options.outer_folds, 2)
    at_least("--repeats", options.repeats, 1)
    not_empty({"--name": options.name, "--against": options.against})
    typed, plan = (
        typed_options(options.as_study()),
        CrossPlan(options.outer_folds, options.repeats, options.validation, options.seed),
    )
    out = results_folder(options.out)
    laboratory = laboratory_of(options.as_study(), typed, command_line("cross-validate", options), out)
    if options.development_only:
        laboratory = _without_test(laboratory)
    arms = _arms(options, laboratory)
    against_of(arms, options.against)
    devices = devices_of_workers(options.device, options.workers, most=plan.folds * plan.repeats)
    with shown_progress() as listener:
        result = run_cross_validation(laboratory, arms, plan, devices, against=options.against, listener=listener)
    _show(result, options, out, print_json)


def _arms(options: CrossOptions, laboratory: Laboratory) -> tuple[CrossArm, ...]:
    from nas_fusion.study.cross_arms import ablation_arms, baseline_arm, configuration_arm, distinct, reference_arms

    space, inputs = laboratory.space, laboratory.cohort.inputs
    names = options.reference if options.arm or options.reference or options.ablations else None
    if options.ablations and not (options.arm or options.reference):
        return ablation_arms(space)  # the model without mixtures, or whatever else the baseline is, is one of them
    arms = [baseline_arm(space), *reference_arms(space, inputs, names)]
    arms += [configuration_arm(space, choices) for choices in options.arm]
    arms += ablation_arms(space) if options.ablations else ()
    return distinct(arms)


def _without_test(laboratory: Laboratory) -> Laboratory:
    from nas_fusion.study.laboratory import Laboratory

    return Laboratory(laboratory.spec, laboratory.space, laboratory.cohort.development())


def _show(result: CrossValidation, options: CrossOptions, out: Path, print_json: Any) -> None:
    """Write table and page, and print what was found."""
    from nas_fusion.analysis.cross_sentences import cross_validation_columns, cross_validation_findings, how_it_was_compared
    from nas_fusion.analysis.cross_validation import fold_table
    from nas_fusion.cli.output import print_table
    from nas_fusion.cli.settings import study_folder
    from nas_fusion.visualization.cross_validation import write_cross_validation

    folder = study_folder(out, options.name or f"{options.space}-cross-validation")
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "cross-validation.csv"
    fold_table(result).to_csv(table, index=False)
    page = write_cross_validation(result, folder / "cross-validation.html")
    columns = cross_validation_columns(result)
    print_table(list(columns), columns.values.tolist())
    print(f"\n{how_it_was_compared(result)}\n")
    for finding in cross_validation_findings(result):
        print(f"- {finding.sentence}")
    print(f"\nTable of all folds: {table}\nReport: {page}")
    if options.json:
        print_json(cross_validation_json(result, table, page))


def cross_validation_json(result: CrossValidation, table: Path, page: Path) -> dict[str, Any]:
    """Return the JSON object of `cross-validate`: for each arm its scores, and its differences from `against`."""
    from nas_fusion.analysis.cross_sentences import cross_validation_findings
    from nas_fusion.analysis.cross_validation import METRICS, cross_validation_table, expert_entropy

    summary = cross_validation_table(result)
    arms = [
        {
            "name": arm,
            "title": title,
            "scores": {metric: _numbers(summary.loc[(arm, metric)]) for metric in METRICS},
            "expert_entropy": expert_entropy(result, arm),
        }
        for arm, title in result.arms.items()
    ]
    return {
        "space": result.space,
        "cohort": dict(result.cohort),
        "folds": result.folds,
        "repeats": result.repeats,
        "against": result.against,
        "arms": arms,
        "findings": [
            {"signature": f.signature, "level": f.level, "sentence": f.sentence} for f in cross_validation_findings(result)
        ],
        "failures": list(result.failures),
        "table": str(table),
        "report": str(page),
    }


def _numbers(row: pd.Series) -> dict[str, float | int]:
    """Return a row of the summary, counts as whole numbers."""
    found = {str(name): float(value) for name, value in row.items()}
    return found | {name: int(found[name]) for name in ("folds", "pairs") if not math.isnan(found[name])}
