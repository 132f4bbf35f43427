"""`nas-fusion cross-validate`: repeated k-fold with nested splits, for arms that are fixed before."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas_fusion.cli.options import (
    AllowLocalCode,
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
    from nas_fusion.study.cross_arms import CrossArm
    from nas_fusion.study.laboratory import Laboratory

Arm = Annotated[
    list[str],
    typer.Option(
        "--arm", metavar="CHOICES", help="A configuration, such as layer3=mmtm,layer4=mmtm or fused=e3k2; repeatable."
    ),
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
    allow_local_code: AllowLocalCode = False
    json: Json = False

    def as_study(self) -> StudyOptions:
        """Return the part that `search` and `compare` are told too."""
        shared = {field.name for field in dataclasses.fields(StudyOptions)} & self.__dict__.keys()
        return StudyOptions(**{name: getattr(self, name) for name in shared}, study=self.name)


@takes(CrossOptions)
def cross_validate(options: CrossOptions) -> None:
    """Compare fixed models by repeated k-fold cross-validation; each is scored on subjects that no part of it has seen."""
    from nas_fusion.cli.cross_results import cross_validation_json, print_cross_validation, write_files
    from nas_fusion.cli.local_code import adopted
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.progress import shown_progress
    from nas_fusion.cli.request import laboratory_of, typed_options
    from nas_fusion.cli.settings import at_least, not_empty, results_folder, study_folder
    from nas_fusion.study.cross_folds import CrossPlan
    from nas_fusion.study.cross_validation import against_of, run_cross_validation
    from nas_fusion.study.workers import devices_of_workers

    at_least("--folds", options.outer_folds, 2)
    at_least("--repeats", options.repeats, 1)
    not_empty({"--name": options.name, "--against": options.against})
    command = command_line("cross-validate", options)
    options = adopted(options)
    typed = typed_options(options.as_study())
    plan = CrossPlan(options.outer_folds, options.repeats, options.validation, options.seed)
    out = results_folder(options.out)
    laboratory = laboratory_of(options.as_study(), typed, command, out)
    if options.development_only:
        laboratory = _without_test(laboratory)
    arms = _arms(options, laboratory)
    against_of(arms, options.against)
    devices = devices_of_workers(options.device, options.workers, most=plan.folds * plan.repeats)
    with shown_progress() as listener:
        result = run_cross_validation(laboratory, arms, plan, devices, against=options.against, listener=listener)
    files = write_files(result, study_folder(out, options.name or f"{options.space}-cross-validation"))
    print_cross_validation(result, files)
    if options.json:
        print_json(cross_validation_json(result, files))


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
