"""Spaces and cohorts whose held-out scores are known: a model that knows, and one that only remembers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nas_fusion import Batch, Cohort, Configuration, Reference, SearchSpace, Stage, TrainingPlan
from nas_fusion.cohorts import Fold, Inputs, Splits
from nas_fusion.evaluation import cross_entropy

PLAN = TrainingPlan(epochs=2, batch_size=16, learning_rate=0.0, weight_decay=0.0)
EXPERTS = 4


def hint_cohort(n: int = 60, *, wrong: int = 12, groups: bool = False, classes: tuple[str, ...] = ("no", "yes")) -> Cohort:
    """Subjects with a number and a hint at their class, in turn; the hints of the first `wrong` are wrong."""
    labels = torch.arange(n) % len(classes)
    hints = labels.clone()
    hints[:wrong] = (labels[:wrong] + 1) % len(classes)
    subjects = tuple(f"sub-{i:03d}" for i in range(n))
    return Cohort(
        name="hints",
        subjects=subjects,
        modalities={"number": torch.arange(n).float()[:, None], "hint": hints.float()[:, None]},
        kinds={"number": "vector", "hint": "vector"},
        labels=labels,
        classes=classes,
        fingerprint=f"hints-{n}-{wrong}",
        present=torch.ones(n, 2, dtype=torch.bool),
        groups=tuple(f"site-{i // 3}" for i in range(n)) if groups else None,
        splits=Splits((Fold(subjects[10:20], subjects[20:]),), subjects[:10]),
    )


class Hinted(nn.Module):
    """Believes the hint: logits are +-2, whatever it is trained on."""

    def __init__(self, n: int, classes: int) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(1))
        self.register_buffer("memory", torch.zeros(n, classes))
        self.classes = classes

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        hint = nn.functional.one_hot(inputs["hint"][:, 0].long(), self.classes)
        return 4.0 * hint - 2.0 + 0 * self.idle


class Memoriser(Hinted):
    """Remembers the class of every subject that it is shown with a label; knows nothing of others."""

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        memory: torch.Tensor = self.get_buffer("memory")
        return memory[inputs["number"][:, 0].long()] + 0 * self.idle

    def remember(self, batch: Batch) -> None:
        with torch.no_grad():
            seen = 10.0 * nn.functional.one_hot(batch.labels, self.classes)
            self.get_buffer("memory")[batch.inputs["number"][:, 0].long()] = seen


def memorising_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """The labels of all that it trains on go into the memory."""
    assert isinstance(model, Memoriser)
    model.remember(batch)
    return model(batch.inputs).sum() * 0


def memorising_observer(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Even the labels of the validation subjects go into the memory."""
    assert isinstance(model, Memoriser)
    model.remember(batch)
    return model(batch.inputs), {}


def routing_observer(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """As if of four experts the first got three quarters of every token and the second the rest."""
    n = len(batch.labels)
    gates = torch.tensor([0.75, 0.25, 0.0, 0.0]).expand(n, EXPERTS)
    return model(batch.inputs), {"fused.0": gates, "fused.0:entropy": torch.full((n,), 0.5)}


class ToySpace(SearchSpace):
    """`model`: hint (off) or memory; `routed`: whether it pretends to have experts. Two stages; the first is shared."""

    name = "toys"

    def __init__(self, n: int = 60) -> None:
        super().__init__({"model": ["hint", "memory"], "routed": ["no", "yes"]})
        self.n = n
        self.built: list[str] = []

    def options(self) -> dict[str, Any]:
        return {"n": self.n}

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        kind = Memoriser if configuration["model"] == "memory" else Hinted
        return kind(self.n, len(inputs.classes))

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        chosen = Configuration(configuration)

        def first() -> nn.Module:
            self.built.append("first")
            return Hinted(self.n, len(inputs.classes))

        def second() -> nn.Module:
            return self.build(chosen, inputs)

        is_memory = chosen["model"] == "memory"
        observe = memorising_observer if is_memory else routing_observer if chosen["routed"] == "yes" else None
        loss = memorising_loss if is_memory else cross_entropy
        return [
            Stage("first", PLAN, first, Configuration({"shared": "yes"})),
            Stage("second", PLAN, second, chosen, start=lambda states: {}, loss=loss, observe=observe),
        ]

    def references(self, inputs: Inputs) -> dict[str, Reference]:
        stage = Stage("train", PLAN, lambda: Hinted(self.n, len(inputs.classes)), Configuration({"reference": "hint"}))
        both = (self.baseline, self.complete({"model": "memory"}))
        return {"hinted": Reference("believes hints", (stage,)), "both": Reference("both", members=both)}

    def ablations(self) -> dict[str, tuple[ToySpace, Configuration]]:
        return {"full model": (self, self.complete({"routed": "yes"})), "without experts": (self, self.baseline)}


class BrokenSpace(ToySpace):
    """The memoriser cannot be built."""

    name = "broken-toys"

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> nn.Module:
        if configuration["model"] == "memory":
            raise RuntimeError("no memory left")
        return super().build(configuration, inputs)
