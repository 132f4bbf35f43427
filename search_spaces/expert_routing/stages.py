"""The three stages of the method, as training stages of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from nas_fusion import Configuration, Stage, TrainingPlan, routings
from search_spaces.expert_routing.initialisation import (
    STATIC_STAGE,
    TEACHERS,
    State,
    add_noise,
    encoder_stage,
    from_encoders,
    from_static,
)
from search_spaces.expert_routing.losses import RoutingLoss, StaticLoss, task_loss
from search_spaces.expert_routing.network import ConnectomeNetwork, Mixture, ModelOptions, UnimodalNetwork

if TYPE_CHECKING:
    from nas_fusion.cohorts import Batch, Inputs, Modality
    from search_spaces.expert_routing.method import Method

_ENCODERS = ("pooling", "threshold")
_STATIC = (*_ENCODERS, "layers", "expert", "stage1", "contrastive", "distillation", "beta")
_NOT_FUSION = ("encoders.", "specific.", "shared.")
_BRANCHES = "branches."


@dataclass(frozen=True)
class Design:
    """What a configuration means.

    Attributes:
        model: What the networks are made of.
        method: Routing, stages and terms of the loss; only what has an effect is on.
        mixtures: Branch to its mixture, `None` for a single expert.
        plans: How each of the three stages is trained.
    """

    model: ModelOptions
    method: Method
    mixtures: Mapping[str, Mixture | None]
    plans: tuple[TrainingPlan, TrainingPlan, TrainingPlan]

    @property
    def distils(self) -> bool:
        """Whether stage 2 has teachers: the networks of stage 1."""
        return self.method.stage1 and self.method.stage2 and self.method.distillation

    def network(self, inputs: Inputs) -> ConnectomeNetwork:
        """Return the freshly initialised network of stage 3, drawn from torch's global generator."""
        return ConnectomeNetwork(inputs, self.model, self.mixtures, shared_router=self.method.router == "shared")

    def static_network(self, inputs: Inputs) -> ConnectomeNetwork:
        """Return the freshly initialised network of stage 2, with teachers where it distils."""
        return ConnectomeNetwork(inputs, self.model, {}, teachers=self.distils)


def stages(design: Design, configuration: Configuration, inputs: Inputs) -> list[Stage]:
    """Return the stages of a configuration, in their order.

    Args:
        design: What the configuration means.
        configuration: Canonical. What a stage depends on is taken from it.
        inputs: Modalities and classes.
    """
    first = [_encoder(design, configuration, inputs, m) for m in inputs.modalities] if design.method.stage1 else []
    second = [_static(design, configuration, inputs)] if design.method.stage2 else []
    return [*first, *second, _routing(design, configuration, inputs)]


def _encoder(design: Design, configuration: Configuration, inputs: Inputs, modality: Modality) -> Stage:
    return Stage(
        encoder_stage(modality.name),
        design.plans[0],
        partial(UnimodalNetwork, modality, len(inputs.classes), design.model),
        _part(configuration, _ENCODERS),
        loss=task_loss,
        inherits=False,
        prepare=standardise,
        precompute=design.model.graphs(inputs.modalities),
    )


def _static(design: Design, configuration: Configuration, inputs: Inputs) -> Stage:
    method = design.method
    return Stage(
        STATIC_STAGE,
        design.plans[1],
        partial(design.static_network, inputs),
        _part(configuration, _STATIC),
        loss=StaticLoss(method.beta, contrastive=method.contrastive, distillation=design.distils),
        trains=_all_but_teachers if design.distils else None,
        start=partial(from_encoders, modalities=inputs.names, teachers=design.distils) if method.stage1 else None,
        inherits=False,
        prepare=standardise,
        precompute=design.model.graphs(inputs.modalities),
    )


def _routing(design: Design, configuration: Configuration, inputs: Inputs) -> Stage:
    method, mixtures = design.method, [mixture for mixture in design.mixtures.values() if mixture]
    noise = method.init_noise if method.stage2 and method.init == "copy_noise" else 0.0
    return Stage(
        "routing",
        design.plans[2],
        partial(design.network, inputs),
        configuration,
        loss=RoutingLoss(method.alpha, balance=method.balance and bool(mixtures), disentanglement=method.disentanglement),
        trains=_is_fusion if method.stage3_trainable == "fusion_only" else None,
        start=_start(design, inputs),
        inherits=True,
        prepare=partial(standardise_and_disturb, noise=noise) if noise else standardise,
        precompute=design.model.graphs(inputs.modalities),
        observe=observe if mixtures else None,
    )


def _start(design: Design, inputs: Inputs) -> Callable[[Mapping[str, State]], State] | None:
    """Return what stage 3 starts from: all of stage 2, else the encoders of stage 1, else nothing."""
    if design.method.stage2:
        experts = max((mixture.experts for mixture in design.mixtures.values() if mixture), default=1)
        return partial(from_static, experts=experts)
    return partial(from_encoders, modalities=inputs.names) if design.method.stage1 else None


def _part(configuration: Configuration, parameters: Sequence[str]) -> Configuration:
    return Configuration({parameter: configuration[parameter] for parameter in parameters if parameter in configuration})


def _all_but_teachers(name: str) -> bool:
    return not name.startswith(TEACHERS)


def _is_fusion(name: str) -> bool:
    return not name.startswith(_NOT_FUSION)


# --- what the worker calls ---


def standardise(model: nn.Module, batch: Batch) -> None:
    """Set what a network's encoders know of the training subjects."""
    assert isinstance(model, (UnimodalNetwork, ConnectomeNetwork)), "Should not reach."
    model.prepare(batch)


def standardise_and_disturb(model: nn.Module, batch: Batch, *, noise: float) -> None:
    """Standardise, and set the experts of each mixture apart by noise."""
    standardise(model, batch)
    add_noise(model, noise)


def observe(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the logits, and how each fusion layer with a mixture routed the subjects.

    Returns:
        Logits `(batch, classes)`, and for a layer such as `fused.0` its mean gates `(batch, experts)` under this name and the
        mean entropy of its tokens' gates `(batch,)`, in nats, under `fused.0:entropy`.
    """
    with routings(model) as found:
        logits = model(batch.inputs, batch.present)
    layers = {name.removeprefix(_BRANCHES): routing for name, routing in found.items()}
    usage = {name: routing.usage for name, routing in layers.items()}
    return logits, {**usage, **{f"{name}:entropy": routing.entropy.mean(1) for name, routing in layers.items()}}
