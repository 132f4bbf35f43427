"""Somebody's plug-in: a space and a cohort of vectors that train in milliseconds, found by entry points like any other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nas_fusion import Cohort, Configuration, Reference, SearchSpace, Stage, TrainingPlan
from nas_fusion.cohorts import Fold, Inputs, Splits
from nas_fusion.fusion import Gate

FEATURES = 3
SHIFTED = "shifted"


class Tiny(nn.Module):
    """Logits of two vectors, each by itself, and of the products of the features that are fused."""

    def __init__(self, streams: tuple[str, ...], fused: tuple[int, ...], delay: float) -> None:
        super().__init__()
        self.alone = nn.ModuleDict({name: nn.Linear(FEATURES, 2) for name in streams})
        self.fused = nn.ParameterDict({str(i): nn.Parameter(torch.zeros(2)) for i in fused})
        self.delay = delay

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        time.sleep(self.delay)
        logits = sum(layer(inputs[name]) for name, layer in self.alone.items())
        for i, weight in self.fused.items():
            logits = logits + (inputs["x"][:, int(i)] * inputs["y"][:, int(i)]).unsqueeze(1) * weight * self.openness(i)
        return logits

    def openness(self, i: str) -> torch.Tensor | float:
        return 1.0


class GatedTiny(Tiny):
    """All products at once, each behind a gate."""

    def __init__(self, streams: tuple[str, ...], points: tuple[str, ...], delay: float) -> None:
        super().__init__(streams, tuple(range(len(points))), delay)
        self.points = points
        self.gates = nn.ModuleList(Gate(2) for _ in points)

    @property
    def architecture(self) -> Mapping[str, nn.Parameter]:
        return {point: gate.get_parameter("logits") for point, gate in zip(self.points, self.gates, strict=True)}

    def draw(self, temperature: float, generator: torch.Generator | None = None) -> None:
        for gate in self.gates:
            assert isinstance(gate, Gate)
            gate.draw(temperature, generator)

    def openness(self, i: str) -> torch.Tensor:
        weights: torch.Tensor = self.gates[int(i)]()
        return weights[1]


class TinySpace(SearchSpace):
    """Which features are multiplied: the label is the sign of the first product, the others are noise.

    With the module `shifted` a point multiplies the features after its own, so that the last point is the one that matters.
    """

    name = "tiny"
    inherit = "parent"
    cohort = "tiny-cohort"

    def __init__(self, points: int = 3, delay: float = 0.0, crash: str = "", modules: tuple[str, ...] = ("on",)) -> None:
        super().__init__({f"p{i}": ("none", *modules) for i in range(points)})
        self._options = {"points": points, "delay": delay, "crash": crash, "modules": list(modules)}

    def options(self) -> dict[str, Any]:
        return dict(self._options)

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        if self._options["crash"] in self.active(configuration):
            raise RuntimeError("this model cannot be built")
        active = self.active(configuration)
        fused = {(i + (active[p] == SHIFTED)) % FEATURES for i, p in enumerate(self.parameters) if p in active}
        return Tiny(inputs.names, tuple(sorted(fused)), self._options["delay"])

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        chosen = self.canonical(configuration)
        plan = TrainingPlan(epochs=3, batch_size=16, learning_rate=0.05)
        return [Stage("train", plan, lambda: self.build(chosen, inputs), chosen)]

    def supernet(self, inputs: Inputs) -> Stage:
        if self._options["modules"] != ["on"]:
            return super().supernet(inputs)
        plan = TrainingPlan(epochs=3, batch_size=16, learning_rate=0.05)
        points = tuple(self.parameters)
        return Stage("supernet", plan, lambda: GatedTiny(inputs.names, points, self._options["delay"]), self.baseline)

    def references(self, inputs: Inputs) -> dict[str, Reference]:
        plan = TrainingPlan(epochs=3, batch_size=16, learning_rate=0.05)
        alone = {f"alone:{name}": Reference(f"{name} alone", (self._alone(name, plan),)) for name in inputs.names}
        first = self._options["modules"][0]
        points = [self.complete({parameter: first}) for parameter in self.parameters]
        return {
            **alone,
            "late_fusion": Reference("late fusion", members=tuple(alone)),
            "all_active": Reference("all active", members=(Configuration(dict.fromkeys(self.parameters, first)),)),
            "ensemble_of_placements": Reference("ensemble of placements", members=tuple(points)),
        }

    def _alone(self, name: str, plan: TrainingPlan) -> Stage:
        return Stage("train", plan, lambda: Tiny((name,), (), self._options["delay"]), Configuration({"alone": name}))


class HomelessSpace(TinySpace):
    """The same without an embedded cohort."""

    name = "homeless"
    cohort = None


def tiny_cohort(*, seed: int = 0, train: int = 64, validation: int = 32, test: int = 32) -> Cohort:
    """Return vectors x and y whose label is whether their first features agree in sign."""
    n = train + validation + test
    rng = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, FEATURES, generator=rng), torch.randn(n, FEATURES, generator=rng)
    subjects = tuple(f"sub-{i:04d}" for i in range(n))
    splits = Splits((Fold(subjects[:train], subjects[train : train + validation]),), subjects[train + validation :])
    return Cohort(
        name="tiny-cohort",
        subjects=subjects,
        modalities={"x": x, "y": y},
        kinds={"x": "vector", "y": "vector"},
        labels=(x[:, 0] * y[:, 0] > 0).long(),
        classes=("no", "yes"),
        fingerprint=hashlib.sha256(f"{seed} {train} {validation} {test}".encode()).hexdigest(),
        present=torch.ones(n, 2, dtype=torch.bool),
        splits=splits,
        provenance={"source": "tiny-cohort"},
    )
