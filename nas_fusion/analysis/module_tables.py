"""Tables of a comparison of modules as text, ready to be shown."""

from __future__ import annotations

import math

import pandas as pd

from nas_fusion.analysis.module_ranks import rank_correlations
from nas_fusion.analysis.modules import ModuleComparison, module_table, point_table
from nas_fusion.analysis.tables import cell

READING_POINTS = (
    "By how many nats the validation loss is below the baseline's (positive: better), with its 95 % bootstrap interval over "
    "subjects, drawn within each class; * marks the best of a module, and the share is that of the resamples in which it is. "
    "All models are trained by one rule, so that they can be compared; what training again would change is in no interval."
)
READING_MODULES = (
    "Parameters and FLOPs (of one subject) are what the module adds to the baseline at its best point. The best of all is that "
    "of the lowest loss among the configurations that are known of the module; its gain flatters, since it was chosen. Epochs "
    "are those of all these, and of what they inherit from."
)
READING_RANKS = (
    "Kendall's tau-b: 1 where two modules put the same places in the same order of loss, -1 in the reverse. Intervals are over "
    "subjects; few places make them coarse."
)


def point_columns(result: ModuleComparison) -> pd.DataFrame:
    """Return a row a point, a column a module: the gain over the baseline with its interval, and how surely it is the best."""
    table, parameter = point_table(result), result.space.words.parameter.capitalize()
    shown = {parameter: list(result.points)}
    for module in result.modules:
        shown[module] = [_gain(row) for _, row in table.loc[module].iterrows()]
    return pd.DataFrame(shown, index=list(result.points))


def module_columns(result: ModuleComparison) -> pd.DataFrame:
    """Return a row a module: its best point, its best configuration, and what it costs."""
    words = result.space.words
    rows = [
        {
            words.choice.capitalize(): module,
            f"Best {words.parameter}": f"{row['best_point']} [best in {_percent(row['share_best'])}]"
            if row["best_point"]
            else "–",
            "Best of all": row["best"] or "–",
            "Loss": f"{cell('loss', row['loss'])}",
            "Gain": f"{_signed(row['gain'])} [{_signed(row['gain_low'])}, {_signed(row['gain_high'])}]",
            "Known": f"{row['known']} [{'all subsets' if row['complete'] else 'not all subsets'}]",
            "Parameters": _added(row["parameters"]),
            "FLOPs": _added(row["flops"]),
            "Epochs": cell("epochs", row["epochs"]),
        }
        for module, row in module_table(result).iterrows()
    ]
    return pd.DataFrame(rows, index=list(result.modules))


def rank_columns(result: ModuleComparison) -> dict[str, pd.DataFrame]:
    """Return what is ranked (such as `4 single points`) to a row and a column a module: how alike each two rank it."""
    table, choice = rank_correlations(result), result.space.words.choice.capitalize()
    return {f"{rows['n'].iloc[0]} {over}": _matrix(rows, choice) for over, rows in table.groupby("over", sort=False)}


def _matrix(rows: pd.DataFrame, choice: str) -> pd.DataFrame:
    texts = {(row["other"], row["one"]): _tau(row) for _, row in rows.iterrows()}
    down, across = dict.fromkeys(rows["other"]), dict.fromkeys(rows["one"])
    shown = {choice: list(down)} | {one: [texts.get((other, one), "") for other in down] for one in across}
    return pd.DataFrame(shown, index=list(down))


def _tau(row: pd.Series) -> str:
    if math.isnan(row["tau"]):
        return "–"
    return f"{row['tau']:+z.2f}" + ("" if math.isnan(row["low"]) else f" [{row['low']:+z.2f}, {row['high']:+z.2f}]")


def _best_point(row: pd.Series) -> str:
    return f"{row['best_point']} [best in {_percent(row['share_best'])}]" if row["best_point"] else "–"


def _gain(row: pd.Series) -> str:
    if math.isnan(row["gain"]):
        return "–"
    star = " *" if row["is_best"] else ""
    ends = f"{_signed(row['gain_low'])}, {_signed(row['gain_high'])}"
    return f"{_signed(row['gain'])}{star} [{ends}; best in {_percent(row['share_best'])}]"


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+z.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _added(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+,.0f}".replace(",", " ")
