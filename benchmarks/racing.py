"""What racing and halving save, and how often they change the result: SFSA on noisy landscapes, fold after fold.

Run it with `python -m benchmarks.racing`; it writes `benchmarks/records/racing.json` and `.md`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.trial import TrialState

from benchmarks.conditions import conditions, sentence
from nas_fusion import BeamSampler, Landscape, SFSASampler, history, write_losses
from nas_fusion.analysis.families import FAMILIES, noisy
from nas_fusion.pruners import HalvingPruner, RacingPruner
from nas_fusion.samplers import SearchSampler

RECORDS = Path(__file__).parent / "records"
FAMILY_NAMES = ("additive", "diminishing", "synergy", "nk2")
SHORTENINGS: dict[str, Callable[[int], BasePruner]] = {
    "racing 0.1": lambda folds: RacingPruner(0.1, n_folds=folds),
    "racing 0.2": lambda folds: RacingPruner(0.2, n_folds=folds),
    "halving": lambda folds: HalvingPruner(n_steps=folds),
}


@dataclass(frozen=True)
class Run:
    """A search on one noisy landscape.

    Attributes:
        best: Index of what was selected.
        regret: How far that is above the optimum of the landscape without noise, in nats.
        folds: Folds trained, a pruned trial's last one included.
    """

    best: int
    regret: float
    folds: int


@dataclass(frozen=True)
class Row:
    """A shortening against the search in full, over all seeds of a setting.

    Attributes:
        family: Of the landscapes.
        m: Points.
        folds: Folds of the cross-validation.
        sampler: `sfsa` or `beam` (width 2).
        shortening: Such as `racing 0.1`.
        runs: Number of landscapes.
        saved: Folds of the search in full over folds of the shortened one, all landscapes together.
        same: Share of the landscapes on which the same is selected.
        regret: Mean over landscapes, in nats, of the shortened search.
        regret_in_full: Of the search in full.
    """

    family: str
    m: int
    folds: int
    sampler: str
    shortening: str
    runs: int
    saved: float
    same: float
    regret: float
    regret_in_full: float


def run(sampler: SearchSampler, pruner: BasePruner, seen: Landscape, truth: Landscape) -> Run:
    """Search a noisy landscape, whose folds are told one after the other."""

    def objective(trial: optuna.Trial) -> float:
        losses = seen.samples[seen.space.suggest(trial)]
        for n in range(1, len(losses) + 1):
            write_losses(trial, losses[:n])
            trial.report(math.fsum(losses[:n]) / n, n - 1)
            if trial.should_prune():
                raise optuna.TrialPruned
        return math.fsum(losses) / len(losses)

    study = optuna.create_study(sampler=sampler, pruner=pruner)
    study.optimize(objective)
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    best = sampler.best(study)
    assert best is not None, "Should not reach."
    return Run(seen.space.index(best), truth.regret(best), sum(len(history.losses_of(trial)) for trial in trials))


def rows(family: str, m: int, folds: int, *, sampler: str, seeds: int, sd: float) -> Iterator[Row]:
    """Yield a row for each shortening: all on the same landscapes."""
    runs: dict[str, list[Run]] = {name: [] for name in ("in full", *SHORTENINGS)}
    for seed in range(seeds):
        truth = FAMILIES[family](m, seed)
        seen = noisy(truth, sd=sd, folds=folds, seed=seed)
        for name, found in runs.items():
            searcher = SFSASampler(truth.space) if sampler == "sfsa" else BeamSampler(truth.space, width=2)
            found.append(run(searcher, SHORTENINGS[name](folds) if name != "in full" else NopPruner(), seen, truth))
    full = runs.pop("in full")
    for name, found in runs.items():
        yield Row(
            family=family,
            m=m,
            folds=folds,
            sampler=sampler,
            shortening=name,
            runs=seeds,
            saved=sum(each.folds for each in full) / sum(each.folds for each in found),
            same=sum(a.best == b.best for a, b in zip(full, found, strict=True)) / seeds,
            regret=math.fsum(each.regret for each in found) / seeds,
            regret_in_full=math.fsum(each.regret for each in full) / seeds,
        )


def table(found: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| family | m | folds | sampler | shortened by | fewer folds | same result | mean regret | in full |",
        "| --- " * 9 + "|",
    ]
    lines += [
        f"| {row.family} | {row.m} | {row.folds} | {row.sampler} | {row.shortening} | {row.saved:.2f}x "
        f"| {100 * row.same:.0f} % | {row.regret:.4f} | {row.regret_in_full:.4f} |"
        for row in found
    ]
    return "\n".join(lines)


def page(found: list[Row], facts: dict[str, str], command: str, sd: float) -> str:
    """Return the whole record: what was asked, under which conditions, and the table."""
    return (
        "# What racing and halving save, and how often they change the result\n\n"
        f"Synthetic landscapes of {found[0].runs} seeds each, seen through folds with independent noise of standard\n"
        f"deviation {sd:g} nats (a fold is as hard for all). One process, rounds in order. *Fewer folds*: folds\n"
        "trained by the search in full over folds trained by the shortened one. *Same result*: the same configuration is\n"
        "selected. *Regret*: of what is selected, on the landscape without noise, in nats.\n\n"
        f"{sentence(facts)} Made by `{command}`.\n\n{table(found)}\n"
    )


def main() -> None:
    """Run every setting and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--sd", type=float, default=0.05)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: list[Row] = []
    facts, command = conditions(), f"python -m benchmarks.racing --seeds {options.seeds} --sd {options.sd:g}"
    RECORDS.mkdir(exist_ok=True)
    for m, folds, sampler in ((4, 10, "sfsa"), (4, 5, "sfsa"), (6, 10, "sfsa"), (4, 10, "beam")):
        for family in FAMILY_NAMES:
            found += rows(family, m, folds, sampler=sampler, seeds=options.seeds, sd=options.sd)
            print(table(found[-len(SHORTENINGS) :]), flush=True)
        record = {"command": command, "conditions": facts, "rows": [asdict(row) for row in found]}
        (RECORDS / "racing.json").write_text(json.dumps(record, indent=1) + "\n")
        (RECORDS / "racing.md").write_text(page(found, facts, command, options.sd))


if __name__ == "__main__":
    main()
