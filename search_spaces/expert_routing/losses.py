"""Losses of the three stages: each returns its terms by name, already weighted; their sum is minimised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, normalize

from nas_fusion import balance_loss
from search_spaces.expert_routing.network import ConnectomeNetwork, Representation, UnimodalNetwork

if TYPE_CHECKING:
    from nas_fusion.cohorts import Batch

BALANCE = 1e-2  # coefficient inside the balance loss, besides alpha
DISENTANGLEMENT_TEMPERATURE = 0.1
DISTILLATION_TEMPERATURE = 3.0
_LEAST_TEMPERATURE = 0.01  # as in CLIP (arXiv 2103.00020, section 2.5): similarities are scaled by at most 100


def task_loss(model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
    """Return the cross-entropy on the class, in nats, as the one term `task`: the loss of stage 1."""
    return {"task": cross_entropy(model(batch.inputs, batch.present).float(), batch.labels)}


@dataclass(frozen=True)
class StaticLoss:
    """Loss of stage 2: cross-entropy + beta (contrastive + distillation).

    Attributes:
        beta: Weight of both further terms, at least 0.
        contrastive: Whether the pooled shared representations of a subject are aligned.
        distillation: Whether the encoders are held by the frozen ones of stage 1; needs a network with teachers.
    """

    beta: float = 0.5
    contrastive: bool = True
    distillation: bool = True

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return `task`, `contrastive` and `distillation`, those that run."""
        network, found = _represent(model, batch)
        terms = {"task": cross_entropy(found.logits.float(), batch.labels)}
        if self.contrastive:
            terms["contrastive"] = self.beta * contrastive_loss(found.shared, network.temperature)
        if self.distillation:
            terms["distillation"] = self.beta * distillation_loss(network, found.tokens, batch.inputs)
        return terms


@dataclass(frozen=True)
class RoutingLoss:
    """Loss of stage 3: cross-entropy + alpha balance + (1 - alpha) disentanglement.

    Attributes:
        alpha: In [0, 1].
        balance: Whether experts are to be used alike: the sum over all mixtures, times 1e-2. Without any mixture it is 0.
        disentanglement: Whether the branches of a subject are to differ while each resembles its anchor.
    """

    alpha: float = 0.5
    balance: bool = True
    disentanglement: bool = True

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return `task`, `balance` and `disentanglement`, those that run."""
        _, found = _represent(model, batch)
        terms = {"task": cross_entropy(found.logits.float(), batch.labels)}
        if self.balance:
            losses = [balance_loss(routing) for routing in found.routings.values()]
            terms["balance"] = self.alpha * BALANCE * sum(losses, start=terms["task"].new_zeros(()))
        if self.disentanglement:
            terms["disentanglement"] = (1 - self.alpha) * disentanglement_loss(found.branches, found.anchor)
        return terms


def contrastive_loss(shared: Mapping[str, torch.Tensor], log_temperature: torch.Tensor) -> torch.Tensor:
    """Return the symmetric InfoNCE between modalities, summed over their pairs (arXiv 2604.01667; CLIP, arXiv 2103.00020).

    The representation of a subject in one modality must be told apart from those of the batch's other subjects by the
    representation in the other modality: the mean of both directions' cross-entropies of the cosine similarities over the
    temperature.

    Args:
        shared: Modality to `(batch, features)`.
        log_temperature: Logarithm of the learned temperature, a scalar.
    """
    scale = (-log_temperature).exp().clamp_max(1 / _LEAST_TEMPERATURE)
    units = [normalize(x.float(), dim=1) for x in shared.values()]
    subjects = torch.arange(len(units[0]), device=units[0].device)
    losses = []
    with torch.autocast(log_temperature.device.type, enabled=False):  # similarities are scaled: no half precision
        for a, b in combinations(units, 2):
            similarities = scale * a @ b.T
            losses.append((cross_entropy(similarities, subjects) + cross_entropy(similarities.T, subjects)) / 2)
    return torch.stack(losses).sum()


def disentanglement_loss(branches: Mapping[str, torch.Tensor], anchor: torch.Tensor) -> torch.Tensor:
    """Return the multi-modal disentanglement loss, the mean over subjects of the sum over branches (arXiv 2604.01667).

    For each branch: InfoNCE of cosine similarities at temperature 0.1, the subject's anchor as positive and the subject's other
    branches as negatives. Other subjects never take part.

    Args:
        branches: Branch to pooled tokens `(batch, features)`.
        anchor: `(batch, features)`.

    Raises:
        ValueError: If the anchor has another width than the branches.
    """
    width = next(iter(branches.values())).shape[1]
    if anchor.shape[1] != width:
        raise ValueError(f"`anchor` must be as wide as the branches for disentanglement, {width}, but got {anchor.shape[1]}.")
    found = torch.stack([normalize(x.float(), dim=1) for x in branches.values()], dim=1)
    itself = torch.eye(found.shape[1], dtype=torch.bool, device=found.device)
    with torch.autocast(anchor.device.type, enabled=False):
        positive = found @ normalize(anchor.float(), dim=1).unsqueeze(2)
        among = (found @ found.mT).masked_fill(itself, -torch.inf)
    similarities = torch.cat([positive, among], dim=2) / DISENTANGLEMENT_TEMPERATURE
    return -log_softmax(similarities, dim=2)[:, :, 0].sum(1).mean()


def distillation_loss(
    network: ConnectomeNetwork, tokens: Mapping[str, torch.Tensor], inputs: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Return how far the encoders have moved from the frozen ones of stage 1, summed over modalities (arXiv 2604.01667).

    The paper distils "encoders" and does not say what of them. Ours: the class probabilities that the frozen linear head of
    stage 1 reads from the encodings, at temperature 3: the Kullback-Leibler divergence from teacher to student, times the
    temperature squared (Hinton 2015, arXiv 1503.02531, section 2). The teacher evaluates: no dropout, running statistics.

    Args:
        network: With teachers.
        tokens: Modality to the encodings of the encoders in training `(batch, regions, hidden)`.
        inputs: What the teachers read.

    Raises:
        ValueError: If the network has no teachers.
    """
    if not network.teachers:
        raise ValueError("`network` must have teachers to distil from, but got one without.")
    losses = []
    for teacher, student in zip(network.teachers.values(), tokens.values(), strict=True):
        assert isinstance(teacher, UnimodalNetwork)
        with torch.no_grad():
            wanted = log_softmax(teacher(inputs).float() / DISTILLATION_TEMPERATURE, dim=1)
        found = log_softmax(teacher.judge(student).float() / DISTILLATION_TEMPERATURE, dim=1)
        losses.append(kl_div(found, wanted, log_target=True, reduction="batchmean"))
    return DISTILLATION_TEMPERATURE**2 * torch.stack(losses).sum()


def _represent(model: nn.Module, batch: Batch) -> tuple[ConnectomeNetwork, Representation]:
    if not isinstance(model, ConnectomeNetwork):
        raise TypeError(f"`model` must be a ConnectomeNetwork, but got {type(model).__name__}.")
    return model, model.represent(batch.inputs, batch.present)
