"""Comparisons of modules made by hand: every configuration's loss of every subject is given in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_fusion.analysis import BASELINE, Arm, Comparison, Model, ModuleComparison
from nas_fusion.record import Evaluation, Predictions
from nas_fusion.space import Configuration, SearchSpace

SUBJECTS = 60
BASE = 1.0
Losses = Mapping[tuple[str, str], float]


def space(points: int = 3, modules: Sequence[str] = ("mmtm", "film")) -> SearchSpace:
    return SearchSpace({f"layer{i + 1}": ("none", *modules) for i in range(points)})


def predictions(losses: npt.ArrayLike, *, runs: int = 1) -> Predictions:
    """Two classes in turn, subjects with just these losses; with several runs `(runs, subjects)`, each a training seed."""
    table = np.atleast_2d(np.asarray(losses, dtype=float))
    runs, subjects = table.shape
    labels = np.tile(np.arange(subjects) % 2, runs)
    right = np.exp(-table.ravel())
    return Predictions(
        subjects=tuple(f"sub-{i:03d}" for i in range(subjects)) * runs,
        fold=np.zeros(runs * subjects, dtype=np.int64),
        labels=labels,
        probabilities=np.where(np.eye(2, dtype=bool)[labels], right[:, None], 1 - right[:, None]),
        seed=np.repeat(np.arange(runs), subjects) if runs > 1 else None,
    )


def model(configuration: Configuration | None, losses: npt.ArrayLike, *, parameters: float = 100.0, name: str = "") -> Model:
    own = predictions(losses)
    value = float(own.losses.mean())
    cost = {"parameters": parameters, "flops": 10 * parameters, "epochs": 5.0, "lineage_epochs": 10.0}
    evaluation = Evaluation(
        key=name or (configuration or Configuration({})).to_json(),
        value=value,
        fold_losses=(value,),
        metrics={},
        cost=cost | {"samples": 50.0, "lineage_samples": 100.0},
        configuration=configuration,
        lineage=(),
    )
    return Model(evaluation, own)


def noise(seed: int, *, scale: float, subjects: int = SUBJECTS) -> npt.NDArray[np.float64]:
    """Numbers of mean 0, one a subject."""
    drawn = scale * np.random.default_rng(seed).normal(size=subjects)
    return np.asarray(drawn - drawn.mean())


def arm(name: str, title: str, best: Configuration, of: Mapping[Configuration, Model], **more: Any) -> Arm:
    """A search that evaluated some models and chose one."""
    evaluations = tuple(each.evaluation for each in of.values())
    chosen = of[best]
    return Arm(name, title, chosen.evaluation.value, chosen.validation, evaluations, best=best, study=name, **more)


def modular(
    gains: Losses,
    *,
    points: int = 3,
    scale: float = 0.05,
    runs: int = 1,
    joint: Mapping[str, str] | None = None,
    subsets: bool = False,
    command: str = "nas-fusion compare fusion-points --samplers exhaustive --modules mmtm,film",
) -> ModuleComparison:
    """Return a comparison in which a module at a point lowers the baseline's loss by a gain, and gains of several add up.

    Args:
        gains: (module, point) to gain.
        points: Number of points.
        scale: Standard deviation of what a model's loss of a subject has of its own.
        runs: Training seeds.
        joint: What the joint search chose, `None` for none.
        subsets: Whether all subsets of points are known, or single points only.
        command: Of the comparison.
    """
    modules = tuple(dict.fromkeys(module for module, _ in gains))
    whole = space(points, modules)
    common = np.random.default_rng(7).uniform(0.5, 1.5, SUBJECTS)
    common += BASE - common.mean()

    def known(configuration: Configuration) -> Model:
        active = whole.active(configuration)
        loss = common - sum(gains[module, point] for point, module in active.items())
        own = [noise(1000 * whole.index(configuration) + run, scale=scale) for run in range(runs)] if active else [0.0] * runs
        return model(configuration, np.stack([loss + each for each in own]), parameters=100.0 + 7 * len(active))

    singles = [whole.complete({point: module}) for module in modules for point in whole.parameters]
    uniform = [c for c in whole.configurations() if len(set(whole.active(c).values())) == 1]
    chosen = [whole.complete(joint)] if joint is not None else []
    models = {c: known(c) for c in dict.fromkeys([whole.baseline, *(uniform if subsets else singles), *chosen])}
    searches = {module: (_best_arm(whole, module, models),) for module in modules}
    jointly = (arm("joint-sfsa", "All modules: SFSA", chosen[0], models),) if chosen else ()
    base = models[whole.baseline]
    baseline = Arm(
        BASELINE, "A_0", base.evaluation.value, base.validation, (base.evaluation,), is_search=False, best=whole.baseline
    )
    comparison = Comparison(
        space=whole,
        cohort={"name": "table", "subjects": SUBJECTS},
        arms=(*(each for arms in searches.values() for each in arms), *jointly, baseline),
        inherit="parent",
        command=command,
        landscape_inherit="baseline",
        trained_for_search=len(models),
    )
    return ModuleComparison(comparison, modules, models, searches, jointly)


def _best_arm(whole: SearchSpace, module: str, models: Mapping[Configuration, Model]) -> Arm:
    own = {c: each for c, each in models.items() if set(whole.active(c).values()) <= {module}}
    best = min(own, key=lambda c: own[c].evaluation.value)
    return arm(f"{module}-exhaustive", f"{module}: Exhaustive search", best, own, regret=0.0)
