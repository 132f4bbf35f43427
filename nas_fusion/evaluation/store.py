"""The store: weights, predictions and records of evaluations, addressed by key, on any Optuna artifact store."""

from __future__ import annotations

import hashlib
import io
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import safetensors.numpy
import safetensors.torch
import torch
from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound

from nas_fusion.evaluation.artifacts import ArtifactStore, HexadecimalNames, MemoryArtifactStore, open_artifact_store
from nas_fusion.evaluation.stage import State
from nas_fusion.record import Evaluation, Predictions
from nas_fusion.space import Configuration

_FORMAT = 1
_PREDICTIONS = "predictions"


class Store:
    """Evaluations by key. What it gives back is whole: a damaged or partly written evaluation counts as absent.

    An evaluation's files are written first, its record with their digests last, so that an interruption anywhere leaves either
    an evaluation or nothing. What is stored whole is never overwritten.

    Args:
        artifact_store: Where the files are, any artifact store of Optuna; this process's memory by default.
    """

    def __init__(self, artifact_store: ArtifactStore | None = None) -> None:
        self.artifact_store: ArtifactStore = MemoryArtifactStore() if artifact_store is None else artifact_store

    @classmethod
    def open(cls, location: str | Path) -> Store:
        """Return the store in a folder or at a URL, see `open_artifact_store`."""
        return cls(open_artifact_store(location))

    # --- evaluations ---

    def get(self, key: str) -> Evaluation | None:
        """Return the evaluation of a key, marked as not trained now, or `None` if there is none that is whole.

        Every file is compared with its digest; if one is damaged or missing, a warning says so.
        """
        record = self._whole_record(key)
        return None if record is None or "evaluation" not in record else _from_json(record["evaluation"])

    def put(
        self,
        evaluation: Evaluation,
        weights: Sequence[State],
        predictions: Predictions,
        *,
        details: Mapping[str, Any] | None = None,
    ) -> Evaluation:
        """Store an evaluation.

        Args:
            evaluation: Its record.
            weights: State dict of each training, fold after fold, in a fold training seed after training seed; empty for an
                ensemble.
            predictions: Of the validation subjects.
            details: JSON-compatible facts kept beside it, such as what was inherited.

        Returns:
            The evaluation, or that which another process stored under the same key before.
        """
        files = {
            _weights_name(evaluation.key, *divmod(number, evaluation.seeds)): state_bytes(state)
            for number, state in enumerate(weights)
        }
        files[f"{evaluation.key}.{_PREDICTIONS}.safetensors"] = _predictions_bytes(predictions)
        record = {"evaluation": _to_json(evaluation), "details": dict(details or {})}
        return evaluation if self._put(evaluation.key, files, record) else (self.get(evaluation.key) or evaluation)

    def details(self, key: str) -> dict[str, Any]:
        """Return the facts that were stored beside an evaluation; empty if it is not there."""
        return dict((self._record(key) or {}).get("details", {}))

    def weights(self, key: str, fold: int = 0, seed: int = 0) -> dict[str, torch.Tensor]:
        """Return the state dict of the model of a fold and a training seed (its number, from 0), on the CPU.

        Raises:
            KeyError: If the store does not hold it whole.
        """
        return safetensors.torch.load(self._file(key, _weights_name(key, fold, seed)))

    def predictions(self, key: str) -> Predictions:
        """Return the predictions of the validation subjects.

        Raises:
            KeyError: If the store does not hold them whole.
        """
        return _predictions(self._file(key, f"{key}.{_PREDICTIONS}.safetensors"))

    def names(self, key: str) -> tuple[str, ...]:
        """Return the names of the artifacts of a key: its files and its record; none if it is not there."""
        record = self._record(key)
        return () if record is None else (*record["files"], _record_name(key))

    # --- what is not an evaluation ---

    def put_state(self, key: str, state: State, *, details: Mapping[str, Any] | None = None) -> None:
        """Store the state dict that a stage left for the next ones, under a key of its own; read it by `weights(key)`."""
        self._put(key, {_weights_name(key): state_bytes(state)}, {"details": dict(details or {})})

    def has(self, key: str) -> bool:
        """Return whether an evaluation or a stage's state is stored whole."""
        return self._whole_record(key) is not None

    def put_details(self, key: str, details: Mapping[str, Any]) -> None:
        """Store JSON-compatible facts under a key of their own, such as a ranking; read them by `details(key)`."""
        self._put(key, {}, {"details": dict(details)})

    def put_predictions(self, key: str, predictions: Predictions) -> None:
        """Store predictions that are no evaluation's, such as those of test subjects, under a key of their own."""
        self._put(key, {f"{key}.{_PREDICTIONS}.safetensors": _predictions_bytes(predictions)}, {"details": {}})

    def attach(self, trial: optuna.Trial, key: str) -> None:
        """Make a key's artifacts visible on a trial, for optuna-dashboard on `dashboard_view`."""
        for name in self.names(key):
            meta = ArtifactMeta(
                artifact_id=HexadecimalNames.id_of(name),
                filename=name,
                mimetype="application/json" if name.endswith(".json") else "application/octet-stream",
                encoding=None,
            )
            trial.storage.set_trial_system_attr(trial._trial_id, f"artifacts:{meta.artifact_id}", json.dumps(asdict(meta)))

    @property
    def dashboard_view(self) -> HexadecimalNames:
        """The artifacts under ids that optuna-dashboard accepts."""
        return HexadecimalNames(self.artifact_store)

    # --- files ---

    def _put(self, key: str, files: Mapping[str, bytes], record: Mapping[str, Any]) -> bool:
        """Write files and record unless the key is there; return whether they were written."""
        if self._whole_record(key, quiet=True) is not None:
            return False
        for name, content in files.items():
            self.artifact_store.write(name, io.BytesIO(content))
        if self._whole_record(key, quiet=True) is not None:  # another process was faster, with the same content
            return False
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        body = {"format": _FORMAT, "key": key, "files": digests, **record}
        text = json.dumps({**body, "sha256": _digest_of(body)}, indent=1, allow_nan=False)
        self.artifact_store.write(_record_name(key), io.BytesIO(text.encode()))
        return True

    def _read(self, name: str) -> bytes | None:
        try:
            with self.artifact_store.open_reader(name) as reader:
                return reader.read()
        except ArtifactNotFound:
            return None

    def _record(self, key: str, *, quiet: bool = False) -> dict[str, Any] | None:
        content = self._read(_record_name(key))
        if content is None:
            return None
        try:
            record: dict[str, Any] = json.loads(content)
            stated = record.pop("sha256")
            if record["format"] == _FORMAT and record["key"] == key and stated == _digest_of(record):
                return record
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        if not quiet:
            _warn_of_damage(_record_name(key))
        return None

    def _whole_record(self, key: str, *, quiet: bool = False) -> dict[str, Any] | None:
        record = self._record(key, quiet=quiet)
        for name, stated in (record or {"files": {}})["files"].items():
            content = self._read(name)
            if content is None or hashlib.sha256(content).hexdigest() != stated:
                if not quiet:
                    _warn_of_damage(name)
                return None
        return record

    def _file(self, key: str, name: str) -> bytes:
        record, content = self._record(key), self._read(name)
        stated = (record or {"files": {}})["files"].get(name)
        if content is None or stated is None or hashlib.sha256(content).hexdigest() != stated:
            raise KeyError(f"`key` must be stored whole, but {name} is missing or damaged.")
        return content


def _warn_of_damage(name: str) -> None:
    warnings.warn(f"The stored artifact {name} is damaged or missing: its evaluation is computed again.", stacklevel=4)


def _record_name(key: str) -> str:
    return f"{key}.json"


def _weights_name(key: str, fold: int = 0, seed: int = 0) -> str:
    return f"{key}.fold{fold}{f'.seed{seed}' if seed else ''}.safetensors"


def _digest_of(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()


def state_bytes(state: State) -> bytes:
    """Return a state dict as the content of a safetensors file."""
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()})


def _predictions_bytes(predictions: Predictions) -> bytes:
    tensors: dict[str, npt.NDArray[Any]] = {
        "fold": np.ascontiguousarray(predictions.fold, np.int64),
        "labels": np.ascontiguousarray(predictions.labels, np.int64),
        "probabilities": np.ascontiguousarray(predictions.probabilities, np.float64),
        "subjects": np.frombuffer(json.dumps(predictions.subjects).encode(), np.uint8),
    }
    if predictions.seed is not None:
        tensors["seed"] = np.ascontiguousarray(predictions.seed, np.int64)
    return safetensors.numpy.save(tensors)


def _predictions(content: bytes) -> Predictions:
    tensors = safetensors.numpy.load(content)
    subjects = tuple(json.loads(tensors["subjects"].tobytes()))
    return Predictions(subjects, tensors["fold"], tensors["labels"], tensors["probabilities"], tensors.get("seed"))


def _to_json(evaluation: Evaluation) -> dict[str, Any]:
    values = {name: getattr(evaluation, name) for name in Evaluation.__dataclass_fields__ if name != "trained"}
    values["configuration"] = None if evaluation.configuration is None else dict(evaluation.configuration)
    values["lineage"] = [dict(ancestor) for ancestor in evaluation.lineage]
    values["metrics"] = {name: [None if math.isnan(v) else v for v in folds] for name, folds in evaluation.metrics.items()}
    values["cost"], values["versions"] = dict(evaluation.cost), dict(evaluation.versions)
    decoded: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False))
    return decoded


def _from_json(values: Mapping[str, Any]) -> Evaluation:
    known = {name: value for name, value in values.items() if name in Evaluation.__dataclass_fields__}
    evaluation = Evaluation(**known)
    return replace(
        evaluation,
        fold_losses=tuple(evaluation.fold_losses),
        metrics={name: tuple(math.nan if v is None else v for v in folds) for name, folds in evaluation.metrics.items()},
        configuration=None if evaluation.configuration is None else Configuration(evaluation.configuration),
        lineage=tuple(Configuration(ancestor) for ancestor in evaluation.lineage),
        epochs=tuple(evaluation.epochs),
        curves=tuple(tuple(curve) for curve in evaluation.curves),
        trained=False,
    )
