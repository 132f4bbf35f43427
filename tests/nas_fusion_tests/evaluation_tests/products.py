"""A space with a supernet: which features of two vectors are multiplied. Only the first product decides the class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nas_fusion import Cohort, SearchSpace, Stage, TrainingPlan
from nas_fusion.cohorts import Fold, Inputs, Splits
from nas_fusion.fusion import Gate

FEATURES = 4
PLAN = TrainingPlan(epochs=8, batch_size=16, learning_rate=0.05)


class Products(nn.Module):
    """Logits of two vectors, each by itself, and of the products of the features that are switched on."""

    def __init__(self, inputs: Inputs, points: tuple[str, ...]) -> None:
        super().__init__()
        self.alone = nn.ModuleDict({name: nn.Linear(FEATURES, 2) for name in inputs.names})
        self.product = nn.ParameterDict({point: nn.Parameter(torch.zeros(2)) for point in points})

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        logits = torch.stack([layer(inputs[name]) for name, layer in self.alone.items()]).sum(0)
        for point, weight in self.product.items():
            product = inputs["a"][:, int(point[1:])] * inputs["b"][:, int(point[1:])]
            logits = logits + self.openness(point) * product.unsqueeze(1) * weight
        return logits

    def openness(self, point: str) -> torch.Tensor | float:
        return 1.0


class GatedProducts(Products):
    """All products at once, each behind a gate."""

    def __init__(self, inputs: Inputs, points: tuple[str, ...]) -> None:
        super().__init__(inputs, points)
        self.gates = nn.ModuleDict({point: Gate(2) for point in points})

    @property
    def architecture(self) -> Mapping[str, nn.Parameter]:
        return {point: gate.get_parameter("logits") for point, gate in self.gates.items()}

    def draw(self, temperature: float, generator: torch.Generator | None = None) -> None:
        for gate in self.gates.values():
            assert isinstance(gate, Gate)
            gate.draw(temperature, generator)

    def openness(self, point: str) -> torch.Tensor:
        weights: torch.Tensor = self.gates[point]()
        return weights[1]


class ProductSpace(SearchSpace):
    """One parameter a product."""

    inherit = "parent"
    name = "products"

    def __init__(self, points: int = 3, plan: TrainingPlan = PLAN) -> None:
        super().__init__({f"p{i}": ("none", "on") for i in range(points)})
        self.plan = plan

    def options(self) -> dict[str, Any]:
        return {"points": len(self.parameters)}

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        return Products(inputs, tuple(self.active(configuration)))

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        chosen = self.canonical(configuration)
        return [Stage("train", self.plan, lambda: self.build(chosen, inputs), chosen)]

    def supernet(self, inputs: Inputs) -> Stage:
        return Stage("supernet", self.plan, lambda: GatedProducts(inputs, tuple(self.parameters)), self.baseline)


def product_cohort(*, train: int = 96, validation: int = 32, folds: int = 1, seed: int = 0) -> Cohort:
    """Return vectors whose class is whether their first features agree in sign; 8 test subjects."""
    n = train + validation + 8
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(n, FEATURES, generator=generator), torch.randn(n, FEATURES, generator=generator)
    subjects = tuple(f"sub-{i:04d}" for i in range(n))
    development = subjects[:-8]
    parts = [development[train:]] if folds == 1 else [development[k::folds] for k in range(folds)]
    divided = tuple(Fold(tuple(s for s in development if s not in part), part) for part in parts)
    return Cohort(
        name="products",
        subjects=subjects,
        modalities={"a": a, "b": b},
        kinds={"a": "vector", "b": "vector"},
        labels=(a[:, 0] * b[:, 0] > 0).long(),
        classes=("no", "yes"),
        fingerprint=f"products-{seed}-{n}",
        present=torch.ones(n, 2, dtype=torch.bool),
        splits=Splits(divided, subjects[-8:]),
    )
