"""What the configurations are compared with: single modalities, late fusion, logistic regression, dense mixtures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from nas_fusion import Configuration, Reference, Stage
from search_spaces.expert_routing.logistic import LogisticNetwork, fit_logistic
from search_spaces.expert_routing.losses import task_loss
from search_spaces.expert_routing.network import Mixture, UnimodalNetwork
from search_spaces.expert_routing.stages import stages, standardise

if TYPE_CHECKING:
    from nas_fusion.cohorts import Inputs, Modality
    from search_spaces.expert_routing.stages import Design

_DENSE = 3  # experts


def references(design: Design, baseline: Configuration, inputs: Inputs) -> dict[str, Reference]:
    """Return the comparison arms for a cohort, by key.

    Each modality alone is its encoder with a linear head, trained for as many epochs as all stages of a configuration together
    train. The logistic regressions see every connection.
    Dense mixtures weigh all of 3 experts in every branch.

    Args:
        design: What the baseline means.
        baseline: Of the space.
        inputs: Modalities and classes.
    """
    alone = {f"alone:{modality.name}": _alone(design, modality, inputs) for modality in inputs.modalities}
    linear = {f"logistic:{m.name}": _logistic(f"logistic:{m.name}", design, (m,), inputs) for m in inputs.modalities}
    return {
        **alone,
        "late_fusion": Reference("late fusion", members=tuple(alone)),
        **linear,
        "logistic:all": _logistic("logistic:all", design, inputs.modalities, inputs),
        "dense": _dense(design, baseline, inputs),
    }


def _alone(design: Design, modality: Modality, inputs: Inputs) -> Reference:
    stage = Stage(
        f"alone:{modality.name}",
        replace(design.plans[0], epochs=sum(plan.epochs for plan in design.plans)),
        partial(UnimodalNetwork, modality, len(inputs.classes), design.model),
        Configuration({}),
        loss=task_loss,
        inherits=False,
        prepare=standardise,
        precompute=design.model.graphs(inputs.modalities),
        spans=len(design.plans),
    )
    return Reference(f"{modality.name} alone", (stage,))


def _logistic(name: str, design: Design, modalities: tuple[Modality, ...], inputs: Inputs) -> Reference:
    stage = Stage(
        name,
        replace(design.plans[0], epochs=1),
        partial(LogisticNetwork, modalities, len(inputs.classes), design.model),
        Configuration({}),
        loss=task_loss,
        trains=_nothing,
        inherits=False,
        prepare=fit_logistic,
    )
    of = modalities[0].name if len(modalities) == 1 else "all modalities"
    return Reference(f"logistic regression on {of}", (stage,), ours=True)


def _dense(design: Design, baseline: Configuration, inputs: Inputs) -> Reference:
    branches = tuple(design.mixtures)
    dense = replace(design, mixtures=dict.fromkeys(branches, Mixture(_DENSE, None)))
    configuration = baseline.with_choices(dict.fromkeys(branches, f"e{_DENSE}dense"))
    return Reference(f"dense mixtures of {_DENSE}", tuple(stages(dense, configuration, inputs)), ours=True)


def _nothing(name: str) -> bool:
    return False
