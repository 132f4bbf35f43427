"""All figures of a comparison, with the words that go with them."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from nas_fusion.analysis.arms import Comparison
from nas_fusion.visualization.arms import arms_figure
from nas_fusion.visualization.curves import curves_figure
from nas_fusion.visualization.folds import folds_figure, n_folds
from nas_fusion.visualization.importance import importance_caption, importance_figure
from nas_fusion.visualization.lattice import lattice_caption, lattice_figure
from nas_fusion.visualization.losses import losses_figure
from nas_fusion.visualization.regret import regret_caption, regret_figure
from nas_fusion.visualization.routing import routing_figures


@dataclass(frozen=True)
class NamedFigure:
    """A figure with its name (for files and addresses), its title, and what it shows."""

    name: str
    title: str
    caption: str
    figure: go.Figure


def all_figures(comparison: Comparison) -> list[NamedFigure]:
    """Return the figures that a comparison has the data for, in the order of a report.

    Raises:
        ValueError: If it holds no search.
    """
    if not comparison.searches:
        raise ValueError(f"`comparison` must hold a search, but got {[arm.name for arm in comparison.arms]}.")
    words, figures = comparison.space.words, []
    if len(comparison.arms) > 1:
        figures.append(NamedFigure("arms", "Arms compared", arms_caption(comparison), arms_figure(comparison)))
    figures.append(
        NamedFigure(
            "lattice",
            "Search trees",
            lattice_caption(comparison),
            lattice_figure(comparison),
        )
    )
    figures.append(NamedFigure("regret", "Regret against cost", regret_caption(comparison), regret_figure(comparison)))
    if comparison.landscape is not None and comparison.landscape.complete:
        figure = importance_figure(comparison)
        figures.append(NamedFigure("importance", f"What {words.parameters} are worth", importance_caption(comparison), figure))
    figures.append(
        NamedFigure(
            "losses",
            "Loss by evaluation",
            "Each mark is one trained configuration, in the order of the search; the line is the best so far.",
            losses_figure(comparison),
        )
    )
    if any(evaluation.curves for evaluation in comparison.searches[0].evaluations):
        caption = (
            f"Everything that {comparison.searches[0].title} trained, by epoch; in colour what it accepted. {words.curves}"
        )
        figures.append(NamedFigure("curves", "Learning curves", caption, curves_figure(comparison)))
    return figures + _spread(comparison) + [NamedFigure(*figure) for figure in routing_figures(comparison.routing)]


def _spread(comparison: Comparison) -> list[NamedFigure]:
    folds = n_folds(comparison)
    if folds > 1:
        caption = (
            "Each dot is the mean validation loss of one fold. Where two arms' dots overlap, folds do not tell them apart."
        )
        return [NamedFigure("folds", "Spread over folds", caption, folds_figure(comparison))]
    if comparison.baseline is None or all(arm.best == comparison.space.baseline for arm in comparison.arms):
        return []
    caption = (
        "There is one fold, so the spread is that over subjects: by how much each validation subject's loss is lower than with "
        f"{comparison.space.words.baseline} A₀ (right is better), and the mean with its 95 % interval. Where that holds zero, "
        "there is no gain."
    )
    return [NamedFigure("folds", "Spread over subjects", caption, folds_figure(comparison))]


def arms_caption(comparison: Comparison) -> str:
    """Return what the figure of all arms shows, in words."""
    caption = (
        "Mean loss of each arm with its 95 % bootstrap interval over subjects; validation losses were selected on and flatter."
    )
    if comparison.cohort.get("floors"):
        caption += (
            " Dashed: what late fusion, and what any model at all, can provably not be expected to go below on this cohort."
        )
    return caption
