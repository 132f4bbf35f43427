"""A small space whose model has a mixture of experts, and a cohort of matrices of four regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nas_fusion import Cohort, Configuration, SearchSpace, Stage, TrainingPlan
from nas_fusion.cohorts import Batch, Fold, Inputs, Splits
from nas_fusion.routing import MixtureOfExperts, build_router, routings

REGIONS = 4
NAMES = [f"{'LR'[i % 2]} area {i // 2 + 1}" for i in range(REGIONS)]


class RoutedNet(nn.Module):
    """Rows of both matrices as tokens, a linear layer or a mixture of them, mean over tokens, linear classifier."""

    def __init__(self, choice: str, inputs: Inputs) -> None:
        super().__init__()
        self.names, features = inputs.names, inputs.modalities[0].shape[0]
        self.body = nn.ModuleDict()
        if choice == "static":
            self.body["layer"] = nn.Linear(features, 6)
        else:
            experts = int(choice[1])
            router = build_router("dense" if choice.endswith("dense") else "top_k", features, experts)
            self.body["layer"] = MixtureOfExperts([nn.Linear(features, 6) for _ in range(experts)], router)
        self.head = nn.Linear(6, len(inputs.classes))

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        tokens = torch.cat([inputs[name] for name in self.names], dim=1)
        found = self.body["layer"](tokens)
        logits: torch.Tensor = self.head((found[0] if isinstance(found, tuple) else found).relu().mean(1))
        return logits


def observe(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    with routings(model) as found:
        logits = model(batch.inputs, batch.present)
    usage = {name.removeprefix("body."): routing.usage for name, routing in found.items()}
    return logits, usage | {f"{name.removeprefix('body.')}:entropy": r.entropy.mean(1) for name, r in found.items()}


class RoutedSpace(SearchSpace):
    """One layer: static, or a mixture."""

    name = "routed"

    def __init__(self, choices: tuple[str, ...] = ("static", "e2dense", "e3k2"), *, epochs: int = 3, told: bool = True) -> None:
        super().__init__({"layer": choices})
        self.plan, self.told = TrainingPlan(epochs=epochs, batch_size=8, learning_rate=0.05), told

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        return RoutedNet(configuration["layer"], inputs)

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        chosen = Configuration(configuration)
        told: dict[str, Any] = {"observe": observe} if self.told and chosen["layer"] != "static" else {}
        return [Stage("train", self.plan, lambda: self.build(chosen, inputs), chosen, **told)]


def matrices_cohort(*, train: int = 24, validation: int = 14, test: int = 6, folds: int = 1, places: bool = True) -> Cohort:
    """Return subjects with two symmetric matrices; the class follows one entry of the first."""
    n, generator = train + validation + test, torch.Generator().manual_seed(0)
    raw = torch.randn(2, n, REGIONS, REGIONS, generator=generator)
    structural, functional = ((values + values.mT) / 2 for values in raw)
    structural[:, 0, 3] = structural[:, 3, 0] = 9.0  # the strongest connection
    subjects = [f"sub-{i:02d}" for i in range(n)]
    development = subjects[: train + validation]
    divided = [Fold(tuple(development[:train]), tuple(development[train:]))]
    if folds > 1:
        parts = [development[k::folds] for k in range(folds)]
        divided = [Fold(tuple(s for s in development if s not in part), tuple(part)) for part in parts]
    coordinates = [[-20.0, 0, 0], [20, 0, 0], [-30, 40, 10], [30, 40, 10]]
    known = {"names": NAMES, "coordinates": coordinates, "networks": ["a", "a", "b", "b"]}
    return Cohort(
        name="matrices",
        subjects=tuple(subjects),
        modalities={"SC": structural, "FC": functional},
        kinds={"SC": "matrix", "FC": "matrix"},
        labels=(structural[:, 0, 1] > 0).long(),
        classes=("low", "high"),
        fingerprint=f"matrices-{n}-{folds}",
        present=torch.ones(n, 2, dtype=torch.bool),
        splits=Splits(tuple(divided), tuple(subjects[train + validation :])),
        provenance={"regions": known} if places else {},
    )
