"""What a comparison of modules shows and what it leaves open, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from nas_fusion.analysis.advice import next_command
from nas_fusion.analysis.arms import Arm
from nas_fusion.analysis.costs import arm_costs
from nas_fusion.analysis.findings import Finding
from nas_fusion.analysis.gain import NEGLIGIBLE
from nas_fusion.analysis.module_ranks import POINTS, SUBSETS, rank_correlations
from nas_fusion.analysis.module_verdict import BestPoints, best_points, moving, share_of_one_point
from nas_fusion.analysis.modules import ModuleComparison, losses_by_run, point_table
from nas_fusion.analysis.naming import in_words, listed
from nas_fusion.analysis.paired import paired_difference
from nas_fusion.space import Configuration

_FEW = 3  # pairs of modules that a sentence names one by one


def module_findings(result: ModuleComparison) -> list[Finding]:
    """Return what a reader should know: first whether the best point moves with the module, or that it cannot be told.

    Then which modules gain nothing, how alike the modules rank points, whether choosing point and module jointly paid, and what
    training again did or would add.
    """
    found = best_points(result)
    return [_verdict(result, found), *_without_gain(result, found), *_ranks(result), *_joint(result), *_runs(result)]


def _verdict(result: ModuleComparison, found: tuple[BestPoints, ...]) -> Finding:
    one, many = result.space.words.parameter, result.space.words.choices
    gaining = tuple(each for each in found if each.gains)
    cannot = f"Whether the best {one} moves with the {result.space.words.choice} cannot be told"
    if len(found) < len(result.modules):
        missing = [module for module in result.modules if module not in {each.module for each in found}]
        return Finding("best_point_unknown", f"{cannot}: not every single {one} of {listed(missing)} could be evaluated.")
    if len(gaining) < 2:
        who = f"only with {gaining[0].module} does a" if gaining else f"with none of these {many} does a"
        sentence = f"{cannot}: {who} single {one} gain over {result.space.words.baseline} by more than chance and 0.02 nats."
        return Finding("best_point_unknown", sentence, level="note", command=_more_certain(result))
    moved, level = moving(gaining), "good" if n_trainings(result) > 1 else "note"
    if moved:
        return Finding("best_point_moves", _moves(result, gaining, moved), level=level)
    if all(each.candidates == (gaining[0].best,) for each in gaining):
        sentence = (
            f"The best {one} does not move with the {result.space.words.choice}: {gaining[0].best} is the best with "
            f"{listed([each.module for each in gaining])}, and every other {one} is excluded.{_together(result, gaining)}"
        )
        return Finding("best_point_stays", sentence, level=level)
    return _open(result, gaining, cannot)


def _moves(result: ModuleComparison, gaining: Sequence[BestPoints], moved: Sequence[tuple[BestPoints, BestPoints]]) -> str:
    pairs = [f"{a.module} and {b.module}" for a, b in moved]
    shown = listed(pairs[:_FEW]) + (f" and {len(pairs) - _FEW} more pairs" if len(pairs) > _FEW else "")
    return (
        f"The best {result.space.words.parameter} moves with the {result.space.words.choice}: no "
        f"{result.space.words.parameter} can be the best with both of {shown}. Not excluded are {_candidates(gaining)}."
        f"{_together(result, tuple(gaining))}"
    )


def _open(result: ModuleComparison, gaining: tuple[BestPoints, ...], cannot: str) -> Finding:
    one, same = result.space.words.parameter, len({each.best for each in gaining}) == 1
    ahead = (
        f"{gaining[0].best} is ahead with each of them, but not every other {one} is excluded"
        if same
        else "different ones are ahead, but one and the same may still be the best with any two of them"
    )
    sentence = f"{cannot}: {ahead}. Not excluded are {_candidates(gaining)}.{_together(result, gaining)}"
    causes = (
        f"losses that differ by less than {NEGLIGIBLE} nats, by less than the subjects vary, or from training to training",
        f"few validation subjects: {len(set(next(iter(result.models.values())).validation.subjects))}",
    )
    return Finding("best_point_unknown", sentence, causes, _more_certain(result), level="note")


def _candidates(gaining: Sequence[BestPoints]) -> str:
    return "; ".join(f"{listed(each.candidates, 'or')} with {each.module}" for each in gaining)


def _together(result: ModuleComparison, gaining: tuple[BestPoints, ...]) -> str:
    share = share_of_one_point(result, gaining)
    return f" The same {result.space.words.parameter} is the best with all of them in {100 * share:.0f} % of the resamples."


def _without_gain(result: ModuleComparison, found: tuple[BestPoints, ...]) -> Iterator[Finding]:
    without = [each for each in found if not each.gains]
    if not without:
        return
    gains = [f"{each.module} ({each.gain.mean:+z.3f}, {each.gain.low:+z.3f} to {each.gain.high:+z.3f})" for each in without]
    sentence = (
        f"At no single {result.space.words.parameter} is a gain over {result.space.words.baseline} shown with "
        f"{listed(gains)}: the gain in nats at the best {result.space.words.parameter}, and its interval, which allows for all "
        f"that were looked at. The best of {result.space.words.parameters} that bring nothing is chance."
    )
    yield Finding("module_without_gain", sentence, level="note")


def _ranks(result: ModuleComparison) -> Iterator[Finding]:
    table = rank_correlations(result)
    for over in (POINTS, SUBSETS):
        rows = table[(table["over"] == over) & table["tau"].notna()]
        if len(rows):
            yield Finding("ranks_of_modules", _rank_sentence(result, over, rows), level="note")


def _rank_sentence(result: ModuleComparison, over: str, rows: pd.DataFrame) -> str:
    what = over.replace("points", result.space.words.parameters)
    begin = f"How alike {result.space.words.choices} rank the {rows['n'].iloc[0]} {what} (Kendall's tau-b, 95 % interval)"
    if len(rows) <= _FEW:
        pairs = [f"{r.one} and {r.other} {_tau(r.tau, r.low, r.high)}" for r in rows.itertuples()]
        return f"{begin}: {'; '.join(pairs)}. {_alike(rows)}"
    low, high = rows.loc[rows["tau"].idxmin()], rows.loc[rows["tau"].idxmax()]
    ends = [f"{row['one']} and {row['other']} {_tau(row['tau'], row['low'], row['high'])}" for row in (low, high)]
    return f"{begin}: from {ends[0]} to {ends[1]}, median {rows['tau'].median():+z.2f} of {len(rows)} pairs. {_alike(rows)}"


def _alike(rows: pd.DataFrame) -> str:
    above, below = int((rows["low"] > 0).sum()), int((rows["high"] < 0).sum())
    if not above and not below:
        return "No interval leaves zero out: whether they rank alike cannot be told."
    of = "The interval lies" if len(rows) == 1 else f"Of {len(rows)} intervals"
    if len(rows) == 1:
        return f"{of} {'above zero: they rank rather alike' if above else 'below zero: they rank rather in reverse'}."
    return f"{of}, {above} lie above zero (alike) and {below} below."


def _tau(tau: float, low: float, high: float) -> str:
    return f"{tau:+z.2f}" + ("" if math.isnan(low) else f" ({low:+z.2f} to {high:+z.2f})")


def _joint(result: ModuleComparison) -> Iterator[Finding]:
    """Compare what was chosen among all modules with the best of the arms, both by the one rule that is common to all."""
    losses = result.losses.mean
    bests = [best for module in result.modules if (best := result.best(module)) is not None]
    for arm in result.joint:
        if arm.best is not None and arm.best in result.models and bests:
            yield _joint_choice(result, arm, arm.best, min(bests, key=losses.__getitem__))


def _joint_choice(result: ModuleComparison, arm: Arm, chosen: Configuration, best: Configuration) -> Finding:
    words, told = result.space.words, "joint_found_best"
    sentence = f"The joint search over {words.parameters} and {words.choices} chose {in_words(result.space, chosen)}"
    if chosen == best:
        sentence += ", which is also the best of the arms."
    else:
        difference = paired_difference(result.models[best].validation, result.models[chosen].validation)
        told = "joint_is_better" if difference.low > 0 else "joint_is_worse" if difference.high < 0 else "joint_not_told_apart"
        ends = f"95 % interval {difference.low:+z.3f} to {difference.high:+z.3f}"
        sentence += (
            f"; the best of the arms is {in_words(result.space, best)}. Both trained by one rule, the joint choice's loss is "
            f"lower by {difference.mean:+z.3f} nats ({ends}; it does not allow for either having been chosen among many)"
            f"{': they cannot be told apart' if told == 'joint_not_told_apart' else ''}."
        )
    level = "warning" if told == "joint_is_worse" else "note"
    return Finding(told, f"{sentence} {_costs(result, arm)}", level=level)


def _costs(result: ModuleComparison, arm: Arm) -> str:
    arms = [each for own in result.searches.values() for each in own]
    spent = [next(reversed(arm_costs(each, "epochs")), math.nan) for each in (arm, *arms)]
    return (
        f"It took {arm.n_evaluations} evaluations and {spent[0]:.0f} epochs; the arms {sum(e.n_evaluations for e in arms)} "
        f"and {sum(spent[1:]):.0f}, each by itself: what several need is trained once."
    )


def _runs(result: ModuleComparison) -> Iterator[Finding]:
    table, runs = point_table(result), n_trainings(result)
    if runs < 2:
        sentence = "Every model was trained once: what training again would change is in no interval, and may turn the order."
        yield Finding("trained_once", sentence, command=_more_certain(result), level="note")
        return
    best = table[table["is_best"]].groupby("module", sort=False).head(1)
    told = [f"{point} in {row['runs_best']:.3g} of {runs} with {module}" for (module, point), row in best.iterrows()]
    point = result.space.words.parameter
    sentence = (
        f"Taken training by training (folds and seeds), the {point} of the lowest mean loss is the best: {'; '.join(told)}."
    )
    yield Finding("best_point_by_training", sentence, level="note")


def n_trainings(result: ModuleComparison) -> int:
    """Return how many times a model was trained: folds times seeds."""
    first = next(iter(result.models.values()))
    return len(losses_by_run(first.validation))


def _more_certain(result: ModuleComparison) -> str:
    return next_command(result.comparison, {"--seeds": "3"}) if result.comparison.command else ""
