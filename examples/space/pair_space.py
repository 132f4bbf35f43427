"""A search space: which pairs of tables interact, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nas_fusion import SearchSpace, Stage, TrainingPlan

if TYPE_CHECKING:
    from nas_fusion.cohorts import Inputs


class PairSpace(SearchSpace):
    """One parameter a pair of modalities: no interaction, one of products, or one of both side by side.

    Each modality has an encoder and logits of its own, whose mean the baseline says. A pair that interacts adds logits of
    both embeddings together, which begin at zero: so a candidate starts from exactly its parent's loss.

    Args:
        modalities: Names of the modalities, all of them vectors, at least two.
        hidden: Width of an embedding, at least 1.
        epochs: Of a training.
        learning_rate: Of AdamW.

    Raises:
        ValueError: If there are fewer than two modalities, or a value is out of its range.
    """

    name = "pairs"
    inherit = "parent"
    cohort = "wine"

    def __init__(
        self,
        modalities: Sequence[str] = ("composition", "colour"),
        hidden: int = 8,
        epochs: int = 30,
        learning_rate: float = 0.01,
    ) -> None:
        if len(modalities) < 2 or len(set(modalities)) < len(modalities):
            raise ValueError(f"`modalities` must be at least two different names, but got {list(modalities)}.")
        if hidden < 1:
            raise ValueError(f"`hidden` must be at least 1, but got {hidden}.")
        super().__init__({f"{a}+{b}": ("none", "product", "concat") for a, b in combinations(modalities, 2)})
        self.modalities, self.hidden = tuple(modalities), hidden
        self.plan = TrainingPlan(epochs=epochs, learning_rate=learning_rate)

    def options(self) -> dict[str, Any]:
        """Return what must be given to `load_space` to get this space again."""
        plan = {"epochs": self.plan.epochs, "learning_rate": self.plan.learning_rate}
        return {"modalities": list(self.modalities), "hidden": self.hidden, **plan}

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> PairNetwork:
        """Return the freshly initialised network of a configuration.

        Raises:
            ValueError: If it is not a configuration of this space, or the modalities are not its own or no vectors.
        """
        self.check(configuration)
        if set(inputs.names) != set(self.modalities):
            raise ValueError(
                f"`modalities` must be those of the cohort, {list(inputs.names)}, but got {list(self.modalities)}."
            )
        for modality in inputs.modalities:
            if modality.kind != "vector":
                raise ValueError(f"`inputs` must be vectors, but {modality.name!r} is of kind {modality.kind!r}.")
        sizes = {modality.name: modality.shape[0] for modality in inputs.modalities}
        return PairNetwork(sizes, self.active(configuration), self.hidden, len(inputs.classes))

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        """Return the one training stage of a configuration: everything together."""
        canonical = self.canonical(configuration)
        return [Stage("joint", self.plan, partial(self.build, canonical, inputs), canonical)]


class PairNetwork(nn.Module):
    """Mean of the logits of each modality that a subject has, plus those of the pairs that interact.

    Args:
        sizes: Modality to number of features.
        pairs: `a+b` to `product` or `concat`.
        hidden: Width of an embedding.
        classes: Number of logits.
    """

    def __init__(self, sizes: Mapping[str, int], pairs: Mapping[str, str], hidden: int, classes: int) -> None:
        super().__init__()
        self.names = tuple(sizes)
        self.pairs = [(*_both(pair, self.names), how) for pair, how in pairs.items()]
        self.encoders = nn.ModuleList(nn.Sequential(nn.Linear(size, hidden), nn.ReLU()) for size in sizes.values())
        self.heads = nn.ModuleList(nn.Linear(hidden, classes) for _ in sizes)
        widths = {"product": hidden, "concat": 2 * hidden}
        self.together = nn.ModuleDict({f"{i}-{j}-{how}": _zero(nn.Linear(widths[how], classes)) for i, j, how in self.pairs})

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits `(batch, classes)`.

        Args:
            inputs: Modality to `(batch, features)`.
            present: Boolean `(batch, modalities)`, `None` where everybody has everything.
        """
        embeddings = [encoder(inputs[name]) for encoder, name in zip(self.encoders, self.names, strict=True)]
        everything = embeddings[0].new_ones(len(embeddings[0]), len(embeddings))
        there = everything if present is None else present.to(everything.dtype)
        alone = torch.stack([head(e) for head, e in zip(self.heads, embeddings, strict=True)], dim=1)
        logits = (alone * there[:, :, None]).sum(dim=1) / there.sum(dim=1, keepdim=True)
        for i, j, how in self.pairs:
            both = embeddings[i] * embeddings[j] if how == "product" else torch.cat([embeddings[i], embeddings[j]], dim=1)
            logits = logits + self.together[f"{i}-{j}-{how}"](both) * (there[:, i] * there[:, j])[:, None]
        return logits


def _both(pair: str, names: Sequence[str]) -> tuple[int, int]:
    """Return the positions of the two modalities of `a+b`."""
    first, second = (names.index(name) for name in pair.split("+"))
    return first, second


def _zero(layer: nn.Linear) -> nn.Linear:
    """Return a layer whose output is zero until it has been trained."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
