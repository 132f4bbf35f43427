"""`nas-fusion compare --modules`: does the best point move with the module?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from nas_fusion.cli.options import StudyOptions, command_line

if TYPE_CHECKING:
    from nas_fusion.study.laboratory import Laboratory
    from nas_fusion.study.spec import StudySpec

NONE = "none"
JOINT, SAMPLERS = "sfsa", "exhaustive"


def compare_modules(options: StudyOptions, *, modules: str, samplers: str, joint: str) -> None:
    """Compare modules with each other: each by itself, and all of them jointly.

    Args:
        options: What `search` and `compare` are told alike.
        modules: Their names, separated by commas, or code of files.
        samplers: For each module an arm each.
        joint: Sampler of the search over points and modules, `none` for none.

    Raises:
        ValueError: If an option, the data, the storage, or what they name is wrong.
    """
    from nas_fusion.cli.dry_run import dry_run
    from nas_fusion.cli.local_code import adopted, adopted_names
    from nas_fusion.cli.module_results import module_json, print_modules, written_module_report
    from nas_fusion.cli.output import print_json
    from nas_fusion.cli.progress import shown_progress
    from nas_fusion.cli.request import requested
    from nas_fusion.cli.settings import names
    from nas_fusion.study.module_comparison import module_specs, run_modules
    from nas_fusion.study.spec import open_study
    from nas_fusion.study.workers import crew

    command = command_line("compare", options, modules=modules, samplers=samplers, joint=joint)
    _check(options)
    names("--modules", modules)
    allowed = options.allow_local_code
    options = adopted(dataclasses.replace(options, module=modules))
    each = names("--samplers", adopted_names("samplers", samplers, allowed=allowed)) or ()
    over_all = None if joint == NONE else adopted_names("samplers", joint, allowed=allowed)
    study = options.study or f"{options.space}-modules"

    def specs_of(laboratory: Laboratory, sampler_options: dict[str, Any]) -> dict[str, StudySpec]:
        return module_specs(laboratory, study, each, joint=over_all, options=sampler_options, called="--sampler-set")

    request = requested(options, [*each, *([over_all] if over_all else [])], command, specs_of=specs_of)
    if options.dry_run:
        dry_run(request, as_json=options.json)
        return
    laboratory, storage = request.laboratory, request.storage
    for name, spec in request.specs.items():
        open_study(spec, storage, name)
    with shown_progress() as listener, crew(laboratory, storage, request.url, request.devices, listener) as workers:
        result = run_modules(laboratory, storage, list(request.specs), workers, listener=listener, trials=options.trials)
    report = written_module_report(result, request.out, study)
    print_modules(result, report)
    if options.json:
        print_json(module_json(result, request.url, report))


def _check(options: StudyOptions) -> None:
    if options.module is not None:
        raise ValueError("`--module` must not be given beside `--modules`, which names what every point offers.")
    if options.racing is not None or options.halving:
        name = "--racing" if options.racing is not None else "--halving"
        raise ValueError(f"`{name}` must not be given beside `--modules`: shortened evaluations are no landscapes to compare.")
