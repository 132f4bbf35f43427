"""The networks of M3D-BFS (arXiv 2604.01667): one modality alone, and several with static or routed fusion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from nas_fusion import MixtureOfExperts, Router, Routing, build_router
from search_spaces.expert_routing.architecture import Mixture, ModelOptions
from search_spaces.expert_routing.encoders import GraphEncoder
from search_spaces.expert_routing.graphs import Graphs
from search_spaces.expert_routing.layers import EXPERTS, StaticLayer, pool, projection

if TYPE_CHECKING:
    from nas_fusion.cohorts import Batch, Inputs, Modality

__all__ = [
    "ConnectomeNetwork",
    "Graphs",
    "Mixture",
    "ModelOptions",
    "Representation",
    "UnimodalNetwork",
    "branch_names",
    "module_name",
]
FUSED = "fused"


@dataclass(frozen=True)
class Representation:
    """What a network has made of a batch, all of one forward pass.

    Attributes:
        tokens: Modality to encodings `(batch, regions, hidden)`.
        shared: Modality to pooled shared projections `(batch, projection)`.
        branches: Branch to pooled tokens `(batch, projection)`, in the order of the branches.
        anchor: `(batch, anchor)`.
        logits: `(batch, classes)`.
        routings: Name of each mixture's module to its routing.
    """

    tokens: Mapping[str, torch.Tensor]
    shared: Mapping[str, torch.Tensor]
    branches: Mapping[str, torch.Tensor]
    anchor: torch.Tensor
    logits: torch.Tensor
    routings: Mapping[str, Routing]


class UnimodalNetwork(nn.Module):
    """The encoder of one modality, pooling and a linear head: stage 1, and each modality's own baseline.

    Where branches add tokens, the head reads their mean: the same functions, but its first logits and steps are not larger by
    the number of regions, from which training would not recover in time.

    Args:
        modality: Name, kind and shape `(regions, regions)`.
        classes: Number of classes.
        options: What it is made of.
    """

    def __init__(self, modality: Modality, classes: int, options: ModelOptions) -> None:
        super().__init__()
        self.modality = modality.name
        self.pooling = "mean" if options.pooling == "add" else options.pooling
        self.encoders = nn.ModuleDict({module_name(modality.name): GraphEncoder(modality, options)})
        self.heads = nn.ModuleDict({module_name(modality.name): nn.Linear(options.hidden, classes)})

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits `(batch, classes)`; other modalities and `present` are not looked at."""
        (encoder,) = self.encoders.values()
        return self.judge(encoder(inputs))

    def judge(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the head's logits `(batch, classes)` for encodings `(batch, regions, hidden)`."""
        (head,) = self.heads.values()
        logits: torch.Tensor = head(pool(tokens, self.pooling))
        return logits

    def prepare(self, batch: Batch) -> None:
        """Set what the encoder knows of the training subjects."""
        prepare(self, batch)


class ConnectomeNetwork(nn.Module):
    """Encoders, branches of fusion layers, anchor representation and classifier (arXiv 2604.01667, section 3).

    Each modality has a branch of its own, over its specific projection; the branch `fused` runs over the shared projections of
    all modalities of the same subject, one after the other along the axis of tokens. A fusion layer adds to its tokens what
    one expert, or a mixture of them, makes of them.

    Args:
        inputs: Modalities, at least two, and classes. Modalities may differ in the number of regions.
        options: What it is made of.
        mixtures: Branch to the mixture in each of its layers; `None`, or nothing, for a single expert.
        shared_router: Whether all layers with the same mixture share one router instead of having one each.
        teachers: Whether each modality has a frozen `UnimodalNetwork` to distil from.

    Raises:
        ValueError: If there are fewer than two modalities, one of them is no connectome, or a branch is unknown.
    """

    def __init__(
        self,
        inputs: Inputs,
        options: ModelOptions,
        mixtures: Mapping[str, Mixture | None],
        *,
        shared_router: bool = False,
        teachers: bool = False,
    ) -> None:
        super().__init__()
        check_modalities(inputs.modalities)
        self.options, self.modalities = options, inputs.names
        self.branch_names = branch_names(inputs.names)
        _check_mixtures(mixtures, self.branch_names)
        names = {modality.name: module_name(modality.name) for modality in inputs.modalities}
        width, classes = options.projection, len(inputs.classes)
        self.encoders = nn.ModuleDict({names[m.name]: GraphEncoder(m, options) for m in inputs.modalities})
        self.specific = nn.ModuleDict({key: projection(options.hidden, width) for key in names.values()})
        self.shared = nn.ModuleDict({key: projection(options.hidden, width) for key in names.values()})
        routers: dict[Mixture, Router] | None = {} if shared_router else None
        self.branches = nn.ModuleDict()
        for branch in self.branch_names:
            layer = partial(_fusion_layer, options, mixtures.get(branch), routers)
            self.branches[branch] = nn.ModuleList(layer() for _ in range(options.layers))
        self.anchor = nn.Sequential(nn.Linear(len(self.branch_names) * width, options.anchor or width), nn.ReLU())
        self.classifier = nn.Linear(options.anchor or width, classes)
        self.temperature = nn.Parameter(torch.tensor(0.07).log())  # of the contrastive loss, as its logarithm
        self.teachers = nn.ModuleDict()
        for modality in inputs.modalities if teachers else ():
            self.teachers[names[modality.name]] = UnimodalNetwork(modality, classes, options).requires_grad_(False).eval()

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits `(batch, classes)`.

        Args:
            inputs: Modality to connectomes `(batch, regions, regions)`, and what `Graphs` has precomputed.
            present: Boolean `(batch, modalities)`; `None` for all.

        Raises:
            ValueError: If a modality is missing.
        """
        return self.represent(inputs, present).logits

    def represent(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> Representation:
        """Return all that losses need, of one forward pass; takes what `forward` takes."""
        self._check(inputs, present)
        encoders = dict(zip(self.modalities, self.encoders.values(), strict=True))
        tokens = {name: encoder(inputs) for name, encoder in encoders.items()}
        shared = [project(x) for project, x in zip(self.shared.values(), tokens.values(), strict=True)]
        starts = [project(x) for project, x in zip(self.specific.values(), tokens.values(), strict=True)]
        routings: dict[str, Routing] = {}
        pooled = {}
        for branch, start in zip(self.branch_names, [*starts, torch.cat(shared, dim=1)], strict=True):
            pooled[branch] = pool(self._run(branch, start, routings), self.options.pooling)
        anchor = self.anchor(torch.cat(list(pooled.values()), dim=1))
        pooled_shared = {n: pool(x, self.options.pooling) for n, x in zip(self.modalities, shared, strict=True)}
        return Representation(tokens, pooled_shared, pooled, anchor, self.classifier(anchor), routings)

    def prepare(self, batch: Batch) -> None:
        """Set what the encoders, the teachers' too, know of the training subjects."""
        prepare(self, batch)

    def train(self, mode: bool = True) -> ConnectomeNetwork:
        """Set the mode of all but the teachers, which always evaluate."""
        super().train(mode)
        self.teachers.eval()
        return self

    def _run(self, branch: str, tokens: torch.Tensor, routings: dict[str, Routing]) -> torch.Tensor:
        layers = self.branches[branch]
        assert isinstance(layers, nn.ModuleList)
        for number, layer in enumerate(layers):
            if isinstance(layer, MixtureOfExperts):
                found, routings[f"branches.{branch}.{number}"] = layer(tokens)
                tokens = tokens + (found / len(layer.experts) if self.options.output_scale else found)
            else:
                tokens = tokens + layer(tokens)
        return tokens

    def _check(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None) -> None:
        missing = [name for name in self.modalities if name not in inputs]
        if missing:
            raise ValueError(f"`inputs` must hold {list(self.modalities)}, but {missing} are missing.")
        if present is not None and present.device.type == "cpu" and not bool(present.all()):
            raise ValueError("`present` must show every modality for each subject, but got a subject that lacks one.")


def prepare(model: nn.Module, batch: Batch) -> None:
    """Set what every encoder in a model knows of the training subjects: standardisation, and the reference of covariances."""
    for module in model.modules():
        if isinstance(module, GraphEncoder):
            module.features.prepare(batch.inputs)


def branch_names(modalities: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the branches: the modalities in lower case, and `fused`."""
    return (*(module_name(name.lower()) for name in modalities), FUSED)


def module_name(modality: str) -> str:
    """Return a modality's name as torch modules may have it: torch separates the names of nested modules by dots."""
    return modality.replace(".", "%2E")


def check_modalities(modalities: Iterable[Modality]) -> None:
    """Raise unless there are several connectomes whose names can name branches.

    Raises:
        ValueError: If they are not.
    """
    found = tuple(modalities)
    if len(found) < 2:
        raise ValueError(f"`inputs` must have at least two modalities to fuse, but got {[m.name for m in found]}.")
    for modality in found:
        if modality.kind not in ("matrix", "covariance"):
            raise ValueError(f"`inputs` must be connectomes, but {modality.name!r} is of the kind {modality.kind!r}.")
    names = branch_names(modality.name for modality in found)
    keys = [*names, *(module_name(modality.name) for modality in found)]
    if len(set(names)) < len(names) or any(not key or hasattr(nn.ModuleDict(), key) for key in keys):
        raise ValueError(f"`inputs` must have names that branches can have, but got {[m.name for m in found]}.")


def _fusion_layer(options: ModelOptions, mixture: Mixture | None, routers: dict[Mixture, Router] | None) -> nn.Module:
    experts = [EXPERTS[options.expert](options.projection, options.dropout) for _ in range(mixture.experts if mixture else 1)]
    if mixture is None:
        return StaticLayer(experts[0])
    if routers is not None and mixture in routers:
        return MixtureOfExperts(experts, routers[mixture])
    name, given = mixture.router_options()
    router = build_router(name, options.projection, mixture.experts, **given)
    if routers is not None:
        routers[mixture] = router
    return MixtureOfExperts(experts, router)


def _check_mixtures(mixtures: Mapping[str, Mixture | None], branches: tuple[str, ...]) -> None:
    unknown = [name for name in mixtures if name not in branches]
    if unknown:
        raise ValueError(f"`mixtures` must be for the branches {', '.join(branches)}, but got {unknown[0]!r}.")
