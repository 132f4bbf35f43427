"""What `cross-validate` writes and prints when it is done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_fusion.cli.output import print_table

if TYPE_CHECKING:
    import pandas as pd

    from nas_fusion.analysis.cross_validation import CrossValidation


@dataclass(frozen=True)
class CrossFiles:
    """Where the long table of all folds and the page are."""

    table: Path
    page: Path


def write_files(result: CrossValidation, folder: Path) -> CrossFiles:
    """Write table and page into a folder, made if need be."""
    from nas_fusion.analysis.cross_validation import fold_table
    from nas_fusion.visualization.cross_validation import write_cross_validation

    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "cross-validation.csv"
    fold_table(result).to_csv(table, index=False)
    return CrossFiles(table, write_cross_validation(result, folder / "cross-validation.html"))


def print_cross_validation(result: CrossValidation, files: CrossFiles) -> None:
    """Print the table of arms, what it rests on, what holds and what does not, and where the files are."""
    from nas_fusion.analysis.cross_sentences import cross_validation_columns, cross_validation_findings, how_it_was_compared

    columns = cross_validation_columns(result)
    print_table(list(columns), columns.values.tolist())
    print(f"\n{how_it_was_compared(result)}\n")
    for finding in cross_validation_findings(result):
        print(f"- {finding.sentence}")
    print(f"\nTable of all folds: {files.table}\nReport: {files.page}")


def cross_validation_json(result: CrossValidation, files: CrossFiles) -> dict[str, Any]:
    """Return the JSON object of `cross-validate`: for each arm its scores, and its differences from `against`."""
    from nas_fusion.analysis.cross_sentences import cross_validation_findings
    from nas_fusion.analysis.cross_validation import METRICS, cross_validation_table, expert_entropy

    summary, findings = cross_validation_table(result), cross_validation_findings(result)
    return {
        "space": result.space,
        "cohort": dict(result.cohort),
        "folds": result.folds,
        "repeats": result.repeats,
        "against": result.against,
        "arms": [
            {
                "name": arm,
                "title": title,
                "scores": {metric: _numbers(summary.loc[(arm, metric)]) for metric in METRICS},
                "expert_entropy": expert_entropy(result, arm),
            }
            for arm, title in result.arms.items()
        ],
        "findings": [{"signature": each.signature, "level": each.level, "sentence": each.sentence} for each in findings],
        "failures": list(result.failures),
        "table": str(files.table),
        "report": str(files.page),
    }


def _numbers(row: pd.Series) -> dict[str, float | int]:
    """Return a row of the summary, counts as whole numbers."""
    found = {str(name): float(value) for name, value in row.items()}
    return found | {name: int(found[name]) for name in ("folds", "pairs") if not math.isnan(found[name])}
