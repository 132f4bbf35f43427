"""Evidence on routing: which experts a trained model with mixtures used, for which subjects, regions and classes. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Regions:
    """The brain regions that tokens stand for, as far as the cohort knows them.

    Attributes:
        names: One a region.
        coordinates: `(regions, 3)` in mm, x to the right, y to the front, z upwards (MNI); `None` where not known.
        networks: Name of each region's network; empty where not known.
        edges: The strongest connections `(edges, 2)`, pairs of regions; empty where there is no structural connectome.
    """

    names: tuple[str, ...]
    coordinates: Array | None = None
    networks: tuple[str, ...] = ()
    edges: Whole = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    def __post_init__(self) -> None:
        n = len(self.names)
        if self.coordinates is not None and self.coordinates.shape != (n, 3):
            raise ValueError(f"`coordinates` must have shape ({n}, 3), but got {self.coordinates.shape}.")
        if self.networks and len(self.networks) != n:
            raise ValueError(f"`networks` must name one for each of {n} regions, but got {len(self.networks)}.")


@dataclass(frozen=True)
class LayerUse:
    """How one mixture routed the tokens of subjects that it was not trained on.

    Attributes:
        name: Of the layer, such as `fused.0`.
        gates: `(subjects, tokens, experts)`, at least 0, sum 1 over experts.
        subjects: Ids.
        labels: Class index of each subject.
        classes: Names of the classes.
        tokens: Names of the tokens.
        regions: Index of each token's region `(tokens,)`; -1 where a token stands for none.
        parts: Name of what each token is a part of, such as the modality `SC`; empty where all are of one kind.
        history: Share of each expert by epoch of training `(epochs, experts)`, on the same subjects; no rows where not logged.
        gate_history: Mean entropy of a token's gates by epoch `(epochs,)`, in nats.

    Raises:
        ValueError: If the gates are no gates, or something is not of their shape.
    """

    name: str
    gates: Array
    subjects: tuple[str, ...]
    labels: Whole
    classes: tuple[str, ...]
    tokens: tuple[str, ...]
    regions: Whole
    parts: tuple[str, ...] = ()
    history: Array = field(default_factory=lambda: np.zeros((0, 0)))
    gate_history: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if self.gates.ndim != 3 or not np.isfinite(self.gates).all() or (self.gates < 0).any():
            raise ValueError(f"`gates` must be finite numbers of at least 0, (subjects, tokens, experts), of {self.name!r}.")
        if np.abs(self.gates.sum(axis=2) - 1).max(initial=0.0) > 1e-3:
            raise ValueError(f"`gates` must sum to 1 over the experts, but those of {self.name!r} do not.")
        found = (len(self.subjects), len(self.labels), len(self.tokens), len(self.regions))
        if found != (*self.gates.shape[:1] * 2, *self.gates.shape[1:2] * 2):
            raise ValueError(
                f"`subjects`, `labels`, `tokens`, `regions` must fit gates of shape {self.gates.shape}, but there are {found}."
            )

    @property
    def n_experts(self) -> int:
        """The number of experts."""
        return int(self.gates.shape[2])

    @property
    def load(self) -> Array:
        """Share of each expert in all gates `(experts,)`, sum 1."""
        return np.asarray(self.gates.mean(axis=(0, 1)))

    @property
    def by_subject(self) -> Array:
        """Mean gates of each subject `(subjects, experts)`."""
        return np.asarray(self.gates.mean(axis=1))

    @property
    def by_token(self) -> Array:
        """Mean gates of each token `(tokens, experts)`."""
        return np.asarray(self.gates.mean(axis=0))

    @property
    def by_class(self) -> dict[str, Array]:
        """Mean gates of the subjects of each class that occurs: `(experts,)` each."""
        shares = self.by_subject
        present = [i for i in range(len(self.classes)) if (self.labels == i).any()]
        return {self.classes[i]: np.asarray(shares[self.labels == i].mean(axis=0)) for i in present}

    @property
    def usage_entropy(self) -> float:
        """Entropy of the experts' shares over that of even shares, in [0, 1]: 0 where one expert has everything."""
        return float(entropy(self.load) / np.log(self.n_experts)) if self.n_experts > 1 else 0.0

    @property
    def gate_entropy(self) -> float:
        """Mean entropy of a token's gates over that of even gates, in [0, 1]: 0 where each token has one expert."""
        return float(entropy(self.gates).mean() / np.log(self.n_experts)) if self.n_experts > 1 else 0.0


@dataclass(frozen=True)
class Adaptivity:
    """What a model loses where its gates are not each subject's own.

    Attributes:
        subjects: Ids, each once.
        own: Loss of each subject with its own gates `(subjects,)`, in nats; the mean where several trainings predicted it.
        replaced: Intervention (`mean`, `another`, `one_for_all`) to the losses under it, `(draws, subjects)`.
        folds: Over how many folds the subjects were validated, each by a model of its own.
    """

    subjects: tuple[str, ...]
    own: Array
    replaced: Mapping[str, Array]
    folds: int = 1


@dataclass(frozen=True)
class RoutingEvidence:
    """What a trained model's mixtures did with the validation subjects, which no weight was fitted to.

    Experts have no order that two trainings share, so the layers are those of one training, and only losses are pooled.

    Attributes:
        model: The configuration in words.
        key: Of its evaluation.
        selected: Whether it is what the search selected; else it is the best that it tried among models with mixtures.
        layers: In the order of the model.
        adaptivity: `None` where it was not tested.
        regions: What the cohort knows of the regions, `None` if nothing.
        fold: The fold of the training, counted from 0.
    """

    model: str
    key: str
    selected: bool
    layers: tuple[LayerUse, ...]
    adaptivity: Adaptivity | None = None
    regions: Regions | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("`layers` must hold at least one layer, but got none.")


def entropy(shares: Array) -> Array:
    """Return the entropy over the last axis, in nats; shares of 0 add nothing."""
    logs = np.log(np.where(shares > 0, shares, 1.0))
    return np.asarray(-(shares * logs).sum(axis=-1))
