"""A small space and a small cohort: two vectors whose product decides, fused by modules that begin as the identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from nas_fusion import Cohort, Configuration, Reference, SearchSpace, Stage, TrainingPlan
from nas_fusion.cohorts import Fold, Inputs, Splits

PLAN = TrainingPlan(epochs=4, batch_size=8, learning_rate=0.02)
OFF = {"layer1": "none", "layer2": "none"}
FIRST = {"layer1": "sum", "layer2": "none"}
SECOND = {"layer1": "none", "layer2": "sum"}
BOTH = {"layer1": "sum", "layer2": "sum"}


class Exchange(nn.Module):
    """Adds to each stream a product of both; zero at first, so the identity."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.mix = nn.Linear(features, features, bias=False)
        nn.init.zeros_(self.mix.weight)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        change = self.mix(a * b)
        return a + change, b + change


class Net(nn.Module):
    """Two streams of perceptrons with an exchange where the configuration has one; mean of the logits."""

    def __init__(self, configuration: Mapping[str, str], inputs: Inputs, width: int = 8) -> None:
        super().__init__()
        self.names = inputs.names
        sizes = [modality.shape[0] for modality in inputs.modalities]
        self.first = nn.ModuleList([nn.Sequential(nn.Linear(n, width), nn.BatchNorm1d(width), nn.ReLU()) for n in sizes])
        self.second = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.Dropout(0.1), nn.Tanh()) for _ in sizes])
        self.heads = nn.ModuleList([nn.Linear(width, len(inputs.classes)) for _ in sizes])
        self.exchanges = nn.ModuleDict({name: Exchange(width) for name, choice in configuration.items() if choice != "none"})

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        features = [layer(inputs[name]) for layer, name in zip(self.first, self.names, strict=True)]
        if "layer1" in self.exchanges:
            features = list(self.exchanges["layer1"](*features))
        features = [layer(feature) for layer, feature in zip(self.second, features, strict=True)]
        if "layer2" in self.exchanges:
            features = list(self.exchanges["layer2"](*features))
        return torch.stack([head(feature) for head, feature in zip(self.heads, features, strict=True)]).mean(dim=0)


class Alone(nn.Module):
    """A linear model of one modality."""

    def __init__(self, name: str, inputs: Inputs) -> None:
        super().__init__()
        self.name = name
        self.head = nn.Linear(inputs.modalities[inputs.names.index(name)].shape[0], len(inputs.classes))

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        logits: torch.Tensor = self.head(inputs[self.name])
        return logits


class TinySpace(SearchSpace):
    """Two places for an exchange; `edit` changes the stages that it gives."""

    inherit = "parent"
    name = "tiny"

    def __init__(
        self, plan: TrainingPlan = PLAN, *, width: int = 8, edit: Callable[[list[Stage]], list[Stage]] = lambda stages: stages
    ) -> None:
        super().__init__({"layer1": ["none", "sum"], "layer2": ["none", "sum"]})
        self.plan, self.width, self.edit = plan, width, edit

    def options(self) -> dict[str, Any]:
        return {"width": self.width}

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        return Net(configuration, inputs, self.width)

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        chosen = Configuration(configuration)
        return self.edit([Stage("train", self.plan, lambda: self.build(chosen, inputs), chosen)])

    def references(self, inputs: Inputs) -> dict[str, Reference]:
        def alone(name: str) -> Reference:
            stage = Stage("train", self.plan, lambda: Alone(name, inputs), self.baseline)
            return Reference(f"{name} alone", stages=(stage,))

        alones = {f"alone:{name}": alone(name) for name in inputs.names}
        singles = (Configuration(FIRST), Configuration(SECOND))
        return {
            **alones,
            "late_fusion": Reference("late fusion", members=tuple(alones)),
            "ensemble_of_placements": Reference("ensemble of placements", members=singles),
        }


def tiny_cohort(
    *, folds: int = 1, train: int = 33, validation: int = 12, test: int = 9, classes: int = 2, seed: int = 0
) -> Cohort:
    """Return subjects with two vectors; the class follows the sign of the product of their first features."""
    generator = torch.Generator().manual_seed(seed)
    n = train + validation + test
    a, b = torch.randn(n, 5, generator=generator), torch.randn(n, 3, generator=generator)
    labels = (a[:, 0] * b[:, 0] > 0).long() + (torch.arange(n) % 3 == 0).long() * (classes > 2)
    subjects = [f"sub-{i:03d}" for i in range(n)]
    development = subjects[: train + validation]
    if folds == 1:
        divided = [Fold(tuple(development[:train]), tuple(development[train:]))]
    else:
        parts = [development[k::folds] for k in range(folds)]
        divided = [Fold(tuple(s for s in development if s not in part), tuple(part)) for part in parts]
    return Cohort(
        name="tiny",
        subjects=tuple(subjects),
        modalities={"a": a, "b": b},
        kinds={"a": "vector", "b": "vector"},
        labels=labels,
        classes=tuple(f"class{k}" for k in range(classes)),
        fingerprint=f"tiny-{seed}-{n}",
        present=torch.ones(n, 2, dtype=torch.bool),
        splits=Splits(tuple(divided), tuple(subjects[train + validation :])),
    )
