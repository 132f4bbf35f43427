"""Reading a model directory: checked, then built from the installed plug-ins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.evaluation.stage import Stage
from nas_fusion.export.exported import ExportedModel, Member
from nas_fusion.export.writing import FACTS, FORMAT
from nas_fusion.ingredients import adopt_again, check_ingredients, local_code_of
from nas_fusion.space import Configuration, SearchSpace, load_space


def load_model(folder: str | Path, *, device: str = "cpu", allow_local_code: bool = False) -> ExportedModel:
    """Return the model of a model directory, in evaluation mode.

    Args:
        folder: As `export_model` wrote it.
        device: Where it is put, such as `cpu` or `cuda:0`.
        allow_local_code: Whether code of files that the model was made with may run.

    Raises:
        ValueError: If the folder holds no model, a file is damaged, or a plug-in that it was made with is missing: with the
            plug-in's name, distribution and version.
    """
    path = Path(folder)
    facts = _facts(path)
    try:
        return _loaded(path, facts, allow_local_code).to(device)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"`folder` must be a model directory, but {path / FACTS} is garbled: {error!r}.") from error


def _loaded(path: Path, facts: Mapping[str, Any], allow_local_code: bool) -> ExportedModel:
    adopt_again(local_code_of(facts["plugins"]), allowed=allow_local_code)
    check_ingredients(facts["plugins"])
    space = load_space(facts["space"]["name"], **facts["space"]["options"])
    modalities = tuple(Modality(m["name"], m["kind"], tuple(m["shape"])) for m in facts["modalities"])
    inputs = Inputs(modalities, tuple(facts["classes"]))
    members = [_member(path, _last_stage(space, inputs, member), member["weights"]) for member in facts["members"]]
    return ExportedModel(members, modalities=modalities, classes=inputs.classes, facts=facts)


def _facts(path: Path) -> dict[str, Any]:
    file = path / FACTS
    if not file.is_file():
        raise ValueError(f"`folder` must be a model directory, which has a {FACTS}, but {path} has none.")
    try:
        facts: dict[str, Any] = json.loads(file.read_text())
        found = facts["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"`folder` must be a model directory, but {file} cannot be read: {error!r}.") from None
    if found != FORMAT:
        raise ValueError(f"`folder` must be a model directory of format {FORMAT}, but {file} has format {found!r}.")
    return facts


def _member(path: Path, stage: Stage, stored: Sequence[Mapping[str, Any]]) -> Member:
    networks = []
    for weights in stored:
        file = path / weights["file"]
        content = file.read_bytes() if file.is_file() else b""
        if hashlib.sha256(content).hexdigest() != weights["sha256"]:
            raise ValueError(f"`folder` must hold its weights undamaged, but {file} is missing or damaged.")
        with torch.random.fork_rng(devices=[]):  # what is drawn is overwritten
            network = stage.model()
        network.load_state_dict(safetensors.torch.load(content))
        networks.append(network)
    return Member(networks, stage.needs)


def _last_stage(space: SearchSpace, inputs: Inputs, member: Mapping[str, Any]) -> Stage:
    """Return the stage whose model is a member's: the last one of a configuration or a reference."""
    if member["configuration"] is not None:
        space.check(member["configuration"])
        return space.stages(Configuration(member["configuration"]), inputs)[-1]
    return space.references(inputs)[member["reference"]].stages[-1]
