"""What `search`, `compare` and `evaluate` print and write when they are done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nas_fusion.cli.output import print_table

if TYPE_CHECKING:
    from nas_fusion.analysis import Arm, Comparison, Unfinished
    from nas_fusion.record import Evaluation
    from nas_fusion.space import Configuration, SearchSpace

    Scores: TypeAlias = dict[str, dict[str, list[float]] | None]


def written_report(comparison: Comparison, out: Path, name: str) -> Path:
    """Write the report into the folder of a study and return its path."""
    from nas_fusion.cli.settings import study_folder
    from nas_fusion.visualization import write_report

    folder = study_folder(out, name)
    folder.mkdir(parents=True, exist_ok=True)
    return write_report(comparison, folder / "report.html")


def print_search(comparison: Comparison, report: Path) -> None:
    """Print each evaluation that the search used, what it selected, the diagnosis in words, and where the report is."""
    arm, space = comparison.arms[0], comparison.space
    steps: dict[Configuration | None, int] = {configuration: step for step, configuration in enumerate(arm.path)}
    rows = [
        [
            _points(evaluation.configuration, space),
            _points(parent, space),
            _with_error(evaluation.value, evaluation.standard_error),
            int(evaluation.cost.get("epochs", 0)),
            _remark(evaluation, steps),
        ]
        for evaluation, parent in zip(arm.evaluations, arm.parents, strict=True)
    ]
    rows += [
        [
            _points(each.configuration, space),
            _points(each.parent, space),
            None,
            int(each.cost.get("epochs", 0)),
            f"{each.reason} (trial {each.trial})",
        ]
        for each in arm.unfinished
    ]
    print_table(["configuration", "grown from", "validation loss", "epochs", "accepted"], rows)
    if arm.supernet:
        print(f"\nSupernet that ranked them: {arm.supernet['epochs']:.0f} epochs [{arm.supernet['samples']:.0f} samples].")
    assert arm.best is not None
    value, baseline = f"validation loss {arm.value:.3f} nats", _baseline(comparison, arm)
    print(f"\nSelected: {_points(arm.best, space)} ({value}; baseline {baseline}).\n")
    _print_diagnosis(comparison)
    print(f"\nReport: {report}")


def print_comparison(comparison: Comparison, report: Path) -> None:
    """Print the table of all arms, the diagnosis in words, and where the report is."""
    from nas_fusion.analysis import plain_table

    print(plain_table(comparison))
    print()
    _print_diagnosis(comparison)
    counts = f"{comparison.trained_for_search} trainings served the searches, {comparison.trained_for_audit} only the audit"
    print(f"\n{counts}{comparison.said_in_vain}.\nReport: {report}")


def _print_diagnosis(comparison: Comparison) -> None:
    from nas_fusion.analysis import diagnose

    for finding in diagnose(comparison):
        print(f"- {finding.sentence}")


def search_json(comparison: Comparison, url: str, report: Path) -> dict[str, Any]:
    """Return the JSON object of `search`."""
    outcome = _outcome_json(comparison.arms[0], comparison)
    return {**outcome, **_routing_json(comparison), **_availability_json(comparison), "storage": url, "report": str(report)}


def comparison_json(comparison: Comparison, url: str, report: Path) -> dict[str, Any]:
    """Return the JSON object of `compare`: searches under `arms`, everything that they are compared with under `references`."""
    scores = test_scores(comparison)
    return {
        "storage": url,
        "report": str(report),
        "inherit": comparison.inherit,
        "landscape_inherit": comparison.landscape_inherit,
        "trained_for_search": comparison.trained_for_search,
        "trained_for_audit": comparison.trained_for_audit,
        "trained_in_vain": comparison.trained_in_vain,
        "epochs_in_vain": comparison.epochs_in_vain,
        "arms": [arm_json(arm, comparison, scores) for arm in comparison.searches],
        "references": [reference_json(arm, scores) for arm in comparison.arms if not arm.is_search],
        "points": _points_json(comparison),
        **_routing_json(comparison),
        **_availability_json(comparison),
    }


def _availability_json(comparison: Comparison) -> dict[str, Any]:
    """Return the scores of subjects by what modalities they have, nothing where everybody has everything."""
    from nas_fusion.analysis import availability_summary

    return {"availability": availability_summary(comparison)} if comparison.availability else {}


def _routing_json(comparison: Comparison) -> dict[str, Any]:
    """Return what mixtures of experts did, nothing where there are none."""
    from nas_fusion.analysis import routing_summary

    return {} if comparison.routing is None else {"routing": routing_summary(comparison.routing)}


def _points_json(comparison: Comparison) -> dict[str, Any] | None:
    """Return what the points are worth, alone and two by two, `None` where not every configuration is known."""
    from nas_fusion.analysis.worth import worth_of_points

    worth = worth_of_points(comparison)
    if worth is None:
        return None
    pairs = [{"points": list(pair), "value": value} for pair, value in worth.interactions.items()]
    return {"on": dict(worth.on), "values": dict(worth.values), "errors": worth.errors, "interactions": pairs}


def test_json(comparison: Comparison, name: str, url: str) -> dict[str, Any]:
    """Return the JSON object of `evaluate`."""
    return {"study": name, "storage": url, "test": test_scores(comparison)}


def _outcome_json(arm: Arm, comparison: Comparison) -> dict[str, Any]:
    """Return what came of a search, alone or as an arm."""
    space = comparison.space
    return {
        "study": arm.study,
        "sampler": arm.name,
        "path": [space.active(configuration) for configuration in arm.path],
        "best": _active(arm.best, space),
        "value": arm.value,
        "baseline_value": _baseline_value(comparison, arm),
        "supernet": dict(arm.supernet) or None,
        "evaluations": arm.n_evaluations,
        "shortened": list(arm.shortened),
        "unfinished": [_unfinished_json(each, space) for each in arm.unfinished],
        "standard_error": None if arm.chosen is None else arm.chosen.standard_error,
        "trained": arm.trained,
        "reused": arm.reused,
        "in_vain": arm.in_vain,
        "epochs_in_vain": arm.epochs_in_vain,
    }


def _unfinished_json(each: Unfinished, space: SearchSpace) -> dict[str, Any]:
    return {
        "trial": each.trial,
        "configuration": space.active(each.configuration),
        "reason": each.reason,
        "losses": list(each.losses),
        **each.cost,
    }


def arm_json(arm: Arm, comparison: Comparison, scores: Scores) -> dict[str, Any]:
    """Return what came of an arm of a comparison."""
    from nas_fusion.analysis.regret import regret_error
    from nas_fusion.analysis.ways_out import is_trapped, ways_out

    return {
        **_outcome_json(arm, comparison),
        "landscape_value": arm.landscape_value,
        "regret": arm.regret,
        "regret_standard_error": regret_error(comparison, arm),
        "trapped": is_trapped(comparison, arm),
        "ways_out": [asdict(way) for way in ways_out(comparison, arm)] if is_trapped(comparison, arm) else [],
        "share_of_exhaustive": arm.share_of_exhaustive,
        "test": scores[arm.name],
    }


def reference_json(arm: Arm, scores: Scores) -> dict[str, Any]:
    """Return what came of the baseline or a reference."""
    return {"name": arm.name, "title": arm.title, "value": arm.value, "ours": arm.ours, "test": scores[arm.name]}


def test_scores(comparison: Comparison) -> Scores:
    """Return for each arm its scores on the test subjects as `[value, low, high]`, `None` as long as they are untouched."""
    from nas_fusion.analysis import comparison_table
    from nas_fusion.analysis.scores import SCORES

    table = comparison_table(comparison)
    ends = ("", "_low", "_high")
    return {
        arm.name: None
        if arm.test is None
        else {score: [float(table.loc[arm.name, f"test_{score}{end}"]) for end in ends] for score in SCORES}
        for arm in comparison.arms
    }


def _with_error(value: float, error: float) -> str:
    return f"{value:.3f}" if math.isnan(error) else f"{value:.3f} ± {error:.3f}"


def _remark(evaluation: Evaluation, steps: Mapping[Configuration | None, int]) -> str:
    """Return what became of an evaluation: which step it was, or that it was a control."""
    if evaluation.is_control:
        return "control"
    return f"step {steps[evaluation.configuration]}" if evaluation.configuration in steps else ""


def _points(configuration: Configuration | None, space: SearchSpace) -> str:
    from nas_fusion.analysis.naming import points

    return "" if configuration is None else points(space, configuration)


def _active(configuration: Mapping[str, str] | None, space: SearchSpace) -> dict[str, str]:
    return {} if configuration is None else space.active(configuration)


def _baseline_value(comparison: Comparison, arm: Arm) -> float | None:
    baseline = comparison.space.baseline
    return next((evaluation.value for evaluation in arm.evaluations if evaluation.configuration == baseline), None)


def _baseline(comparison: Comparison, arm: Arm) -> str:
    value = _baseline_value(comparison, arm)
    return "not evaluated" if value is None or math.isnan(value) else f"{value:.3f}"
