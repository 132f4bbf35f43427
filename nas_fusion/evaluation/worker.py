"""The evaluation worker: trains every candidate of every search space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import BaseTrial

from nas_fusion import history
from nas_fusion.cohorts import Cohort
from nas_fusion.evaluation.bench import Bench
from nas_fusion.evaluation.device import place
from nas_fusion.evaluation.reporting import OnEpoch
from nas_fusion.evaluation.store import Store
from nas_fusion.record import Evaluation
from nas_fusion.space import SearchSpace


class EvaluationWorker(Bench):
    """Trains configurations of search spaces on cohorts; an Optuna objective: `study.optimize(worker)`.

    Everything is trained on the training subjects of each fold and selected on its validation subjects; test subjects are left
    out when the worker is made. On the same device with the same seed it computes the same numbers, whichever process asks.
    An evaluation whose key the store knows is answered, not trained.

    Args:
        space: What the configurations are of.
        cohort: With its splits.
        store: Where weights, predictions and records are kept: a store, a folder or a URL; memory by default.
        plan: Overrides fields of every stage's training plan, such as `{"epochs": 5}`.
        inherit: `parent`, `baseline` or `none`; by default the space's. It decides where nothing is written on a trial (there
            `parent` means the baseline).
        seed: Of initialisation, order of subjects and augmentation.
        seeds: How many times each fold is trained, each time with another training seed that derives from `seed`: the value is
            the mean over folds and training seeds. A child inherits from its parent's training on the same fold and seed.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        precision: `auto`, `fp32` or `bf16`.

    Raises:
        ValueError: If the cohort has no splits, a fold cannot be trained on, or an argument is not among what is allowed.
    """

    def __init__(
        self,
        space: SearchSpace,
        cohort: Cohort,
        *,
        store: Store | str | Path | None = None,
        plan: Mapping[str, Any] | None = None,
        inherit: str | None = None,
        seed: int = 0,
        seeds: int = 1,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        opened = store if isinstance(store, Store) else Store() if store is None else Store.open(store)
        placement = place(device, precision)
        super().__init__(space, cohort, opened, placement, plan=plan, inherit=inherit, seed=seed, seeds=seeds)
        self._settings: dict[str, Any] = {"seed": seed, "seeds": seeds}
        self._benches: list[Bench] = [self]

    def serve(
        self, space: SearchSpace, cohort: Cohort, *, plan: Mapping[str, Any] | None = None, inherit: str | None = None
    ) -> Bench:
        """Serve another search space too, on the same device, with the same store and seeds, one training at a time.

        From then on the worker evaluates trials and configurations of either space: a trial's space is that of its study's
        sampler, or that which the study names; a configuration's is the one that has its parameters.

        Args:
            space: Of another name than the spaces that are served already.
            cohort: With its splits; that of another space or its own.
            plan: Overrides fields of every stage's training plan.
            inherit: `parent`, `baseline` or `none`; by default the space's.

        Returns:
            What the worker is for its first space: an objective, predictions, references, keys.

        Raises:
            ValueError: As the worker itself, or if a space of that name is served.
        """
        if any(bench.space.name == space.name for bench in self._benches):
            raise ValueError(f"`space` must be one that is not served yet, but {space.name!r} is.")
        bench = Bench(space, cohort, self.store, self._placement, plan=plan, inherit=inherit, **self._settings)
        bench._lock = self._lock
        self._benches.append(bench)
        return bench

    def __call__(self, trial: BaseTrial, on_epoch: OnEpoch | None = None) -> float:
        """Evaluate what a trial asks for: an Optuna objective.

        Args:
            trial: Its parameters choose the configuration; its lineage is what a sampler of ours wrote, or follows `inherit`.
            on_epoch: Is told fold, epoch and validation loss.

        Returns:
            Mean validation loss over folds and training seeds at the selected epochs, in nats.

        Raises:
            optuna.TrialPruned: If the study's pruner ends the trial.
            ValueError: If several spaces are served and nothing tells whose trial it is.
        """
        bench = self._bench_of_trial(trial)
        return super().__call__(trial, on_epoch) if bench is self else bench(trial, on_epoch)

    def evaluate(
        self,
        configuration: Mapping[str, str],
        *,
        lineage: Sequence[Mapping[str, str]] = (),
        on_epoch: OnEpoch | None = None,
    ) -> Evaluation:
        """Return the evaluation of a configuration of any space that is served, see `Bench.evaluate`."""
        for bench in self._benches[1:]:
            if configuration.keys() == bench.space.parameters.keys() != self.space.parameters.keys():
                return bench.evaluate(configuration, lineage=lineage, on_epoch=on_epoch)
        return super().evaluate(configuration, lineage=lineage, on_epoch=on_epoch)

    def _bench_of_trial(self, trial: BaseTrial) -> Bench:
        if len(self._benches) == 1:
            return self
        name = _space_of(trial)
        for bench in self._benches:
            if bench.space.name == name:
                return bench
        served = ", ".join(bench.space.name for bench in self._benches)
        raise ValueError(f"`trial` must be of a study that names one of the spaces {served}, but it names {name!r}.")


def _space_of(trial: BaseTrial) -> str | None:
    """Return the name of the space that a trial is of, `None` if neither its study's sampler nor its study tells."""
    if not isinstance(trial, optuna.Trial):
        return None
    space = getattr(trial.study.sampler, "space", None)
    return space.name if isinstance(space, SearchSpace) else (history.description(trial.study) or {}).get("space")
