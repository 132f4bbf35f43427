"""What `compare --modules` prints and writes when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_fusion.cli.output import print_table

if TYPE_CHECKING:
    import pandas as pd

    from nas_fusion.analysis import ModuleComparison


def written_module_report(result: ModuleComparison, out: Path, name: str) -> Path:
    """Write the report into the folder of a comparison and return its path."""
    from nas_fusion.cli.settings import study_folder
    from nas_fusion.visualization import write_module_report

    return write_module_report(result, study_folder(out, name) / "report.html")


def print_modules(result: ModuleComparison, report: Path) -> None:
    """Print points and modules, what modules bring and cost, all arms, what holds and what not, and where the report is."""
    from nas_fusion.analysis import module_findings, plain_table
    from nas_fusion.analysis.module_tables import READING_POINTS, module_columns, point_columns, rank_columns

    tables = {"": point_columns(result), "\n": module_columns(result)}
    tables |= {f"Kendall's tau-b over {places}:\n": table for places, table in rank_columns(result).items()}
    for title, table in tables.items():
        print(title, end="")
        print_table(list(table), table.values.tolist())
        print()
    print(f"{READING_POINTS}\n")
    print(plain_table(result.comparison))
    print()
    for finding in module_findings(result):
        print(f"- {finding.sentence}")
    comparison = result.comparison
    counts = (
        f"{comparison.trained_for_search} trainings served the searches, {comparison.trained_for_audit} only the comparison"
    )
    print(f"\n{counts}{comparison.said_in_vain}.\nReport: {report}")


def module_json(result: ModuleComparison, url: str, report: Path) -> dict[str, Any]:
    """Return the JSON object of `compare --modules`."""
    from nas_fusion.analysis import best_points, module_findings, module_table, point_table, rank_correlations
    from nas_fusion.cli.results import arm_json, reference_json, test_scores
    from nas_fusion.study.spec import JOINT

    comparison, scores = result.comparison, test_scores(result.comparison)
    arms = [(module, arm) for module, own in [*result.searches.items(), (JOINT, result.joint)] for arm in own]
    found, candidates = module_findings(result), {each.module: list(each.candidates) for each in best_points(result)}
    return {
        "storage": url,
        "report": str(report),
        "inherit": comparison.inherit,
        "landscape_inherit": comparison.landscape_inherit,
        "verdict": found[0].signature,
        "findings": [{"signature": each.signature, "level": each.level, "sentence": each.sentence} for each in found],
        "points": _records(point_table(result)),
        "modules": [row | {"not_excluded": candidates.get(row["module"])} for row in _records(module_table(result))],
        "rank_correlations": rank_correlations(result).to_dict("records"),
        "trained_for_search": comparison.trained_for_search,
        "trained_for_audit": comparison.trained_for_audit,
        "arms": [
            arm_json(arm, comparison, scores) | {"module": module, "sampler": arm.name.removeprefix(f"{module}-")}
            for module, arm in arms
        ],
        "references": [reference_json(arm, scores) for arm in comparison.arms if not arm.is_search],
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows with their index, in Python's own types."""
    rows = table.reset_index().astype(object).to_dict("records")
    return [{str(name): value.item() if hasattr(value, "item") else value for name, value in row.items()} for row in rows]
