"""One fold of a cross-validation: every arm is trained on its training subjects and scored on those that it holds out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import entropy

from nas_fusion.analysis.cross_validation import FoldScore
from nas_fusion.evaluation import EvaluationWorker, Store
from nas_fusion.evaluation.metrics import metrics
from nas_fusion.record import Evaluation, Predictions
from nas_fusion.study.cross_arms import CrossArm
from nas_fusion.study.cross_folds import OuterFold
from nas_fusion.study.final_test import test_key
from nas_fusion.study.progress import EpochDone, EvaluationDone, EvaluationFailed, FoldScored, Listener

if TYPE_CHECKING:
    from nas_fusion.cohorts import Cohort
    from nas_fusion.study.laboratory import Laboratory


def score_fold(outer: OuterFold, arms: Sequence[CrossArm], laboratory: Laboratory, listener: Listener, *, worker: int) -> None:
    """Train and score every arm on a fold; what the store knows is neither trained nor predicted again.

    Arms of one space, or of spaces that share stages, find those in the store. An arm that cannot be trained is told to the
    listener and is no error.

    Args:
        outer: The fold.
        arms: What is trained.
        laboratory: Cohort, store and plan.
        listener: Is told each score.
        worker: Index of this worker, for the listener.
    """
    subjects = _Subjects(outer, laboratory)
    for arm in arms:
        label = f"{outer.label}: {arm.name}"

        def on_epoch(fold: int, epoch: int, loss: float, label: str = label) -> None:
            listener(EpochDone(worker, label, outer.number, epoch, loss))

        try:
            evaluation, predictions = subjects.tested(arm, on_epoch)
        except Exception as error:  # noqa: BLE001  # any model may fail in any way; the others go on
            listener(EvaluationFailed(worker, label, f"{type(error).__name__}: {error}"))
            continue
        listener(FoldScored(worker, label, subjects.score(arm, evaluation, predictions)))
        listener(EvaluationDone(worker, label, evaluation.value, evaluation.trained))


class _Subjects:
    """A fold's subjects, and a worker for each space whose arms are trained on them."""

    def __init__(self, outer: OuterFold, laboratory: Laboratory) -> None:
        splits, whole = outer.splits, laboratory.cohort
        taking_part = {*splits.development, *splits.test}
        if len(taking_part) < len(whole):
            whole = whole.subset([subject for subject in whole.subjects if subject in taking_part])
        self.cohort: Cohort = replace(whole, splits=splits)
        self.held_out: Cohort = whole.subset(splits.test)
        self.store: Store = laboratory.store
        self._laboratory, self._outer = laboratory, outer
        self._workers: dict[str, EvaluationWorker] = {}

    def tested(self, arm: CrossArm, on_epoch: Any) -> tuple[Evaluation, Predictions]:
        """Return an arm's evaluation and its predictions of the held-out subjects."""
        worker = self._worker(arm)
        if arm.configuration is None:
            assert arm.reference is not None, "Should not reach."
            evaluation = worker.evaluate_reference(arm.reference, on_epoch=on_epoch)
        else:
            lineage = worker.lineage(arm.configuration)
            evaluation = worker.evaluate(arm.configuration, lineage=lineage, on_epoch=on_epoch)
        if not math.isfinite(evaluation.value):
            raise FloatingPointError("no epoch had a finite validation loss")
        key = test_key([evaluation.key], self.cohort)
        if not self.store.has(key):
            self.store.put_predictions(key, worker.predict([evaluation.key], self.held_out))
        return evaluation, self.store.predictions(key)

    def score(self, arm: CrossArm, evaluation: Evaluation, predictions: Predictions) -> FoldScore:
        """Return what an arm scored, and what its training left beside."""
        (fold,) = self._outer.splits.folds
        return FoldScore(
            arm=arm.name,
            repeat=self._outer.repeat,
            fold=self._outer.number,
            key=evaluation.key,
            n_train=len(fold.train),
            n_validation=len(fold.validation),
            n_test=len(predictions.subjects),
            scores={"loss": float(predictions.losses.mean()), **metrics(predictions.labels, predictions.probabilities)},
            validation_loss=evaluation.value,
            epochs=self._epochs(arm, evaluation),
            **_of_experts(evaluation, self.store.details(evaluation.key)),
        )

    def _epochs(self, arm: CrossArm, evaluation: Evaluation) -> float:
        """Return how many epochs an arm's weights have seen, of an ensemble the most that a member's have."""
        keys = (evaluation.key,) if arm.reference is None else self._worker(arm).members(arm.reference)
        known = [self.store.get(key) for key in keys]
        return max((each.cost["lineage_epochs"] for each in known if each is not None), default=math.nan)

    def _worker(self, arm: CrossArm) -> EvaluationWorker:
        space, spec = arm.space, self._laboratory.spec
        name = json.dumps([space.name, space.options()], sort_keys=True, default=str)
        if name not in self._workers:
            self._workers[name] = EvaluationWorker(
                space,
                self.cohort,
                store=self.store,
                plan=spec.plan,
                inherit=spec.inherit,
                seed=self._outer.seed,
                device=spec.device,
            )
        return self._workers[name]


def _of_experts(evaluation: Evaluation, details: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return usage entropy, gate entropy and largest share of each routed layer at the selected epoch, see `FoldScore`.

    They are read from what the last stage observed of its validation subjects: under a layer's name a list of numbers, one mean
    gate an expert, and under `<layer>:entropy` the mean entropy of a token's gates, in nats.
    """
    found: dict[str, dict[str, float]] = {"usage_entropy": {}, "gate_entropy": {}, "largest_share": {}}
    folds: Sequence[Mapping[str, Any]] = details.get("folds", ())
    observed: Mapping[str, Any] = (folds[0].get("observed") or {}) if folds else {}
    for name, of_epochs in observed.items():
        layer, colon, what = name.rpartition(":")
        if not colon or what != "entropy" or layer not in observed:
            continue
        now = evaluation.epochs[0] - 1
        shares = np.asarray(observed[layer][now], dtype=np.float64)
        if len(shares) > 1:
            most = math.log(len(shares))
            found["usage_entropy"][layer] = float(entropy(shares)) / most
            found["gate_entropy"][layer] = float(of_epochs[now]) / most
            found["largest_share"][layer] = float(shares.max() / shares.sum())
    return found
