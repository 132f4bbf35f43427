"""Writing a model directory: what was trained, as safetensors, and all that is needed to build it again, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas_fusion.evaluation.bench import Bench
from nas_fusion.evaluation.store import state_bytes
from nas_fusion.ingredients import ingredients
from nas_fusion.record import Evaluation

FORMAT = 1
FACTS = "model.json"


def export_model(worker: Bench, keys: Sequence[str], out: str | Path, *, facts: Mapping[str, Any] | None = None) -> Path:
    """Write a model directory and return it.

    `model.json` holds the space with its options, the configuration, the modalities and classes, the plug-ins with their
    distributions and versions, and a digest of each file of weights; there is one a fold and training seed, of each key.

    Args:
        worker: Has trained the evaluations, or shares a store with who did.
        keys: Of the evaluations whose probabilities the model averages: one, or the members of an ensemble.
        out: A new or empty folder.
        facts: JSON-compatible, kept beside them: where the model came from.

    Raises:
        ValueError: If there is no key, one is not in the store or not of this worker's settings, or the folder is not empty.
    """
    if not keys:
        raise ValueError("`keys` must be at least one, but got none.")
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"`out` must be a new or empty folder, but {folder} is not.")
    folder.mkdir(parents=True, exist_ok=True)
    members = [_written(worker, key, number, folder) for number, key in enumerate(keys)]
    body = {"format": FORMAT, **_facts(worker, keys), "members": members, "facts": dict(facts or {})}
    (folder / FACTS).write_text(json.dumps(body, indent=1, allow_nan=False) + "\n")  # last: what it names is there
    return folder


def _facts(worker: Bench, keys: Sequence[str]) -> dict[str, Any]:
    space, cohort = worker.space, worker.cohort
    return {
        "space": {"name": space.name, "options": space.options()},
        "modalities": [asdict(modality) for modality in cohort.inputs.modalities],
        "classes": list(cohort.classes),
        "cohort": {"name": cohort.name, "fingerprint": cohort.fingerprint},
        "plugins": ingredients(space.all_uses()),  # the whole space is built again
        "versions": dict(_known(worker, keys[0]).versions),
    }


def _written(worker: Bench, key: str, number: int, folder: Path) -> dict[str, Any]:
    """Write the weights of an evaluation and return what is to be known of it."""
    known = _known(worker, key)
    weights = []
    for fold in range(len(known.fold_losses)):
        for seed in range(known.seeds):
            name = f"member{number}.fold{fold}.seed{seed}.safetensors"
            content = state_bytes(worker.model(key, fold, seed).state_dict())
            (folder / name).write_bytes(content)
            weights.append({"file": name, "sha256": hashlib.sha256(content).hexdigest(), "fold": fold, "seed": seed})
    return {
        "key": key,
        "configuration": None if known.configuration is None else dict(known.configuration),
        "reference": known.reference,
        "validation_loss": known.value,
        "weights": weights,
    }


def _known(worker: Bench, key: str) -> Evaluation:
    known = worker.store.get(key)
    if known is None:
        raise ValueError(f"`keys` must be in the store undamaged, but {key!r} is not: the command that made it makes it again.")
    return known
