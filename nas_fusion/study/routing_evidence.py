"""Evidence on routing: gates of a trained model on its validation subjects, and its losses where these are replaced.

Nothing is trained and no test subject is looked at. What is found is kept in the store, so that a report can be made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from nas_fusion.analysis.arms import Arm
from nas_fusion.analysis.naming import in_words
from nas_fusion.analysis.routing import Adaptivity, LayerUse, RoutingEvidence
from nas_fusion.routing import MixtureOfExperts, replaced_gates, routings
from nas_fusion.study.routing_tokens import regions_of, tokens_of

if TYPE_CHECKING:
    from nas_fusion.cohorts import Batch, Cohort
    from nas_fusion.record import Evaluation
    from nas_fusion.space import Configuration
    from nas_fusion.study.laboratory import Laboratory

_FORMAT = 1
_LOOKED_AT = 8  # models, beside the largest: building more would keep users of spaces without mixtures waiting
_DRAWS = 5  # other subjects whose gates each subject is given
_FEWEST = 3  # subjects: with fewer there is nobody to take gates from
_BATCH = 64
_GATES, _OWN, _REPLACED = "gates:", "own", "replaced:"

Gates = Mapping[str, torch.Tensor]
Losses = npt.NDArray[np.float64]


def routing_evidence(laboratory: Laboratory, arm: Arm) -> RoutingEvidence | None:
    """Return what the mixtures of the model that a search selected did with the validation subjects.

    Where the selected model has no mixture, it is the best with one that the search tried. Gates are those of the first fold's
    first training; losses are pooled over all folds and training seeds.

    Args:
        laboratory: Space, cohort, worker and store of the search.
        arm: The search.

    Returns:
        The evidence, from the store if it is known; `None` where no model has a mixture, or its weights are lost.
    """
    evaluation = _routed(laboratory, arm)
    if evaluation is None or not laboratory.store.has(evaluation.key):
        return None
    key = f"routing-{hashlib.sha256(f'{_FORMAT} {evaluation.key}'.encode()).hexdigest()[:32]}"
    if not laboratory.store.has(key):
        found = _examined(laboratory, evaluation)
        laboratory.store.put_state(key, found.tensors, details=found.facts)
    found = _Found(laboratory.store.weights(key), laboratory.store.details(key))
    return _evidence(laboratory, evaluation, found, selected=evaluation.configuration == arm.best)


@dataclass(frozen=True)
class _Found:
    """What is kept: gates `(subjects, tokens, experts)` by layer, losses `(subjects,)` and `(draws, subjects)`, and ids."""

    tensors: Mapping[str, torch.Tensor]
    facts: Mapping[str, Any]


# --- which model ---


def _routed(laboratory: Laboratory, arm: Arm) -> Evaluation | None:
    """Return the evaluation of the best model with mixtures; of many it is looked for among the best and the largest."""
    others = [e for e in arm.evaluations if e.configuration is not None and not e.is_control]
    ranked = [*([arm.chosen] if arm.chosen is not None else []), *sorted(others, key=lambda e: e.value)[:_LOOKED_AT]]
    ranked += sorted(others, key=lambda e: -e.cost.get("parameters", 0.0))[:1]
    seen = dict.fromkeys(e.configuration for e in ranked if e.configuration is not None)
    routed = next((configuration for configuration in seen if _has_mixtures(laboratory, configuration)), None)
    return next((e for e in ranked if routed is not None and e.configuration == routed), None)


def _has_mixtures(laboratory: Laboratory, configuration: Configuration) -> bool:
    """Return whether the model of a configuration holds a mixture; it is built without memory for its weights."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                model = laboratory.space.build(configuration, laboratory.cohort.inputs)
        except (RuntimeError, NotImplementedError, TypeError):  # something that needs numbers
            model = laboratory.space.build(configuration, laboratory.cohort.inputs)
    return any(isinstance(module, MixtureOfExperts) for module in model.modules())


# --- what it does ---


def _examined(laboratory: Laboratory, evaluation: Evaluation) -> _Found:
    worker, seeds = laboratory.worker, laboratory.spec.seeds
    assert worker.cohort.splits is not None, "Should not reach."
    folds = [fold.validation for fold in worker.cohort.splits.folds]
    gates: Gates = {}
    losses: dict[str, dict[str, list[Losses]]] = {}
    for fold, subjects in enumerate(folds):
        index = worker.cohort.positions(subjects)
        for seed in range(seeds):
            subject = _Examination(worker.model(evaluation.key, fold, seed), worker.cohort, index, worker.device)
            own = subject.gates()
            gates = gates or own
            if len(index) >= _FEWEST:
                for name, found in subject.losses(own).items():
                    for position, identity in enumerate(subjects):
                        losses.setdefault(identity, {}).setdefault(name, []).append(found[:, position])
    tensors = {f"{_GATES}{name}": found for name, found in gates.items()}
    tensors |= {name: torch.from_numpy(found) for name, found in _pooled(losses).items()}
    facts = {"layers": list(gates), "subjects": list(folds[0]), "tested": sorted(losses), "folds": len(folds)}
    return _Found(tensors, facts)


def _pooled(losses: Mapping[str, Mapping[str, list[Losses]]]) -> dict[str, Losses]:
    """Return by intervention the mean losses over trainings, `(draws, subjects)`, subjects by id.

    Folds of fewer than 6 subjects have fewer draws than others: as many are kept as all have.
    """
    pooled = {}
    for name in next(iter(losses.values()), {}):
        fewest = min(len(found) for of_subject in losses.values() for found in of_subject[name])
        means = [np.mean([found[:fewest] for found in losses[identity][name]], axis=0) for identity in sorted(losses)]
        pooled[name] = np.stack(means, axis=1).squeeze(axis=0 if name == _OWN else ())
    return pooled


@dataclass(frozen=True)
class _Examination:
    """One trained model and the validation subjects of its fold."""

    model: nn.Module
    cohort: Cohort
    index: torch.Tensor
    device: torch.device

    @torch.inference_mode()
    def gates(self) -> dict[str, torch.Tensor]:
        """Return the gates of each mixture, `(subjects, tokens, experts)`, on the CPU."""
        found: dict[str, list[torch.Tensor]] = {}
        with routings(self.model) as seen:
            for _, batch in self._batches():
                self.model(batch.inputs, batch.present)
                for name, routing in seen.items():
                    found.setdefault(name, []).append(routing.gates.float().cpu())
        return {name: torch.cat(parts) for name, parts in found.items()}

    def losses(self, own: Gates) -> dict[str, Losses]:
        """Return each subject's loss with its own gates `(1, subjects)`, and with others instead `(draws, subjects)`."""
        n = len(self.index)
        generator = np.random.default_rng(0)
        order = torch.from_numpy(generator.permutation(n))
        shifts = generator.choice(n - 1, size=min(_DRAWS, n - 1), replace=False) + 1
        givers = [order.roll(int(shift))[order.argsort()] for shift in shifts]
        everyone = torch.arange(n)
        mean = {name: gates.mean(0, keepdim=True).expand_as(gates) for name, gates in own.items()}
        one = {name: gates.mean((0, 1), keepdim=True).expand_as(gates) for name, gates in own.items()}
        return {
            _OWN: np.stack([self._losses(own, everyone)]),
            f"{_REPLACED}another": np.stack([self._losses(own, giver) for giver in givers]),
            f"{_REPLACED}mean": np.stack([self._losses(mean, everyone)]),
            f"{_REPLACED}one_for_all": np.stack([self._losses(one, everyone)]),
        }

    @torch.inference_mode()
    def _losses(self, gates: Gates, giver: torch.Tensor) -> Losses:
        """Return each subject's loss `(subjects,)` with the gates of the subject at `giver[i]`."""
        said = []
        for rows, batch in self._batches():
            given = {name: found[giver[rows]].to(self.device) for name, found in gates.items()}
            with replaced_gates(self.model, given):
                logits = self.model(batch.inputs, batch.present).double()
            said.append(nn.functional.cross_entropy(logits, batch.labels, reduction="none").cpu())
        return np.asarray(torch.cat(said).numpy())

    def _batches(self) -> Iterator[tuple[torch.Tensor, Batch]]:
        """Yield rows of `index` and their subjects, on the device."""
        from nas_fusion.cohorts import Batch

        for rows in torch.split(torch.arange(len(self.index)), _BATCH):
            found = self.cohort.batch(self.index[rows])
            inputs = {name: values.to(self.device) for name, values in found.inputs.items()}
            rest = (found.present.to(self.device), found.labels.to(self.device), found.index)
            yield rows, Batch(inputs, *rest)


# --- what is said of it ---


def _evidence(laboratory: Laboratory, evaluation: Evaluation, found: _Found, *, selected: bool) -> RoutingEvidence:
    cohort, subjects = laboratory.worker.cohort, tuple(found.facts["subjects"])
    labels = cohort.labels[cohort.positions(subjects)].cpu().numpy()
    logged = _logged(laboratory, evaluation)
    layers = []
    for layer in found.facts["layers"]:
        gates = found.tensors[f"{_GATES}{layer}"].numpy()
        name = _name(layer, found.facts["layers"], logged)
        history = np.array(logged.get(name, ()), dtype=np.float64)
        layers.append(
            LayerUse(
                name,
                gates,
                subjects,
                labels,
                cohort.classes,
                **tokens_of(cohort, gates.shape[1]),
                history=history if history.ndim == 2 else np.zeros((0, gates.shape[2])),
                gate_history=np.array(logged.get(f"{name}:entropy", ()), dtype=np.float64),
            )
        )
    replaced = {name.removeprefix(_REPLACED): t.numpy() for name, t in found.tensors.items() if name.startswith(_REPLACED)}
    adaptivity = None
    if _OWN in found.tensors:
        own = found.tensors[_OWN].numpy()
        ordered = {name: replaced[name] for name in ("another", "mean", "one_for_all")}
        adaptivity = Adaptivity(tuple(found.facts["tested"]), own, ordered, found.facts["folds"])
    assert evaluation.configuration is not None, "Should not reach."
    model = in_words(laboratory.space, evaluation.configuration)
    return RoutingEvidence(model, evaluation.key, selected, tuple(layers), adaptivity, regions_of(cohort, subjects))


def _logged(laboratory: Laboratory, evaluation: Evaluation) -> dict[str, Any]:
    """Return what was observed in each epoch of the first training."""
    trainings = laboratory.store.details(evaluation.key).get("folds") or [{}]
    return dict(trainings[0].get("observed", {}))


def _name(layer: str, layers: list[str], logged: Mapping[str, Any]) -> str:
    """Return what a mixture is called: as it was logged, else its place in the model without what all have in common."""
    known = [name for name in logged if layer == name or layer.endswith(f".{name}")]
    if known:
        return max(known, key=len)
    parts, others = layer.split("."), [other.split(".") for other in layers if other != layer]
    shared = 0
    while (
        others and shared < len(parts) - 1 and all(other[shared : shared + 1] == parts[shared : shared + 1] for other in others)
    ):
        shared += 1
    return ".".join(parts[shared:]) or "mixture"
