"""The page of the record of real cohorts: what is shown of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t

from benchmarks.conditions import sentence
from nas_fusion.resampling import corrected_error

LAST = ("early_fusion", "late_fusion", "A_0", "all_active", "ensemble_of_placements", "sfsa, best", "sfsa, one_se")


class Interval(NamedTuple):
    """A mean with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    def text(self, digits: int = 3, sign: str = "") -> str:
        """Return the numbers for a table."""
        return f"{self.mean:{sign}.{digits}f} ({self.low:{sign}.{digits}f} to {self.high:{sign}.{digits}f})"


def page(record: dict[str, Any]) -> str:
    """Return the whole record."""
    parts = [section(name, result) for name, result in record["results"].items()]
    return (
        "# Real cohorts: what fusion is worth\n\n"
        "Every search is SFSA over the four points of the preset `small` with MMTM; weights are inherited from the parent, as\n"
        "in the paper. `best` selects the lowest mean loss over folds, `one_se` the fewest modules within one standard error.\n"
        "`A_0`: streams trained together, logits averaged; `late_fusion`: separately trained, probabilities averaged;\n"
        "`early_fusion`: one stream that sees all channels or features. On test subjects the folds' models are averaged.\n"
        "What is grown from A_0 has trained longer than A_0, which alone lowers its loss where training is short, most of all\n"
        "on the mice: a search with `control=true` compares with A_0 trained on. 32 mice rank nothing.\n"
        "Intervals (95 %) are over the units named, by the corrected resampled t (Nadeau and Bengio 2003, section 3).\n\n"
        f"Made by `{record['command']}`.\n\n" + "\n".join(parts)
    )


def section(name: str, result: dict[str, Any]) -> str:
    """Return what the page says of one cohort."""
    rows = result["rows"]
    n = len(values(rows, "A_0", "accuracy"))
    changed = ", ".join(f"{key}={value}" for key, value in result["space"].items()) or "nothing"
    lines = [f"## {name}", "", f"{result['what']} Beside the preset: {changed}. {sentence(result['conditions'])}"]
    lines += [f"CPU time {result['seconds']} s. Intervals are over {n} units, each a {result['unit']}.", ""]
    lines += [
        "| arm | validation loss | test loss | test accuracy | accuracy minus that of A_0 |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [arm_line(rows, arm) for arm in arms_of(rows)]
    lines += ["", "| division | selected by best | selected by one_se | lowest loss ± standard error | A_0 |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    lines += [selection_line(number, row) for number, row in enumerate(rows, 1)]
    return "\n".join([*lines, "", verdict(rows), ""])


def arms_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the arms in the order of the table: single modalities first."""
    held = list(rows[0]["arms"])
    return [arm for arm in held if arm not in LAST] + [arm for arm in LAST if arm in held]


def values(rows: Sequence[dict[str, Any]], arm: str, score: str) -> list[float]:
    """Return a score of each unit."""
    return [value for row in rows for value in row["arms"][arm][score].values()]


def interval(found: Sequence[float], rows: Sequence[dict[str, Any]]) -> Interval:
    """Return the mean of some units with its interval; the ends are no numbers for a single unit."""
    mean = float(np.mean(found))
    if len(found) < 2:
        return Interval(mean, float("nan"), float("nan"))
    ratio = float(np.mean([row["test_ratio"] for row in rows]))
    half = corrected_error(found, test_ratio=ratio) * float(t.ppf(0.975, len(found) - 1))
    return Interval(mean, mean - half, mean + half)


def arm_line(rows: Sequence[dict[str, Any]], arm: str) -> str:
    """Return an arm's line of the table."""
    validation = float(np.mean([row["arms"][arm]["validation"] for row in rows]))
    test, accuracy = (interval(values(rows, arm, score), rows) for score in ("test", "accuracy"))
    cells = [f"{validation:.3f}", test.text(), accuracy.text()]
    return f"| {arm} | {' | '.join(cells)} | {lead(rows, arm).text(sign='+') if arm != 'A_0' else ''} |"


def lead(rows: Sequence[dict[str, Any]], arm: str, over: str = "A_0") -> Interval:
    """Return by how much an arm's accuracy is above another's on the same units."""
    pairs = zip(values(rows, arm, "accuracy"), values(rows, over, "accuracy"), strict=True)
    return interval([mine - other for mine, other in pairs], rows)


def selection_line(number: int, row: dict[str, Any]) -> str:
    """Return what was selected in one division."""
    lowest = row["landscape"][0]
    baseline = next(entry for entry in row["landscape"] if not entry["points"])
    chosen = [", ".join(row["searches"][rule]["selected"]) or "A_0" for rule in ("best", "one_se")]
    best = f"{lowest['value']:.3f} ± {lowest['standard_error']:.3f} ({', '.join(lowest['points']) or 'A_0'})"
    return f"| {number} | {' | '.join(chosen)} | {best} | {baseline['value']:.3f} |"


def kept(rows: Sequence[dict[str, Any]], rule: str) -> int:
    """Return in how many divisions a rule selected A_0."""
    return sum(not row["searches"][rule]["selected"] for row in rows)


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """Return what the numbers say, in a few sentences."""
    n = len(rows)
    alone = max(
        (arm for arm in arms_of(rows) if arm.startswith("alone:")),
        key=lambda arm: float(np.mean(values(rows, arm, "accuracy"))),
    )
    better = max(("A_0", "late_fusion"), key=lambda arm: float(np.mean(values(rows, arm, "accuracy"))))
    return (
        f"`one_se` selects A_0 in {kept(rows, 'one_se')} of {n} divisions, `best` in {kept(rows, 'best')}. "
        f"The best single modality is {alone.removeprefix('alone:')}; {better} is above it by "
        f"{lead(rows, better, alone).text(sign='+')}. What `best` selects is above A_0 by "
        f"{lead(rows, 'sfsa, best').text(sign='+')}, above late fusion by "
        f"{lead(rows, 'sfsa, best', 'late_fusion').text(sign='+')} (accuracy)."
    )
