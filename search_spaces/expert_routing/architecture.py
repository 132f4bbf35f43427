"""What a model of connectomes is made of: plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas_fusion.spelling import did_you_mean
from search_spaces.expert_routing.graphs import FORMS, GraphRule, Graphs
from search_spaces.expert_routing.measures import MEASURES
from search_spaces.expert_routing.transforms import FC_TRANSFORMS, SC_TRANSFORMS

if TYPE_CHECKING:
    from nas_fusion.cohorts import Modality

CHOICES: dict[str, tuple[str, ...]] = {
    "encoder": tuple(FORMS),
    "expert": ("linear", "mlp"),
    "pooling": ("mean", "add", "max"),
    "sc_transform": SC_TRANSFORMS,
    "fc_transform": FC_TRANSFORMS,
    "standardise": ("entry", "modality"),
}


@dataclass(frozen=True)
class ModelOptions:
    """What encoders, branches and graphs are made of; the defaults are the published ones where there are any.

    Attributes:
        encoder: `gcn`, `gin` or `graph_transformer`.
        encoder_layers: Layers of an encoder, at least 1.
        hidden: Features of a region after each of them, at least 1.
        projection: Features of a token in the branches, at least 1.
        anchor: Features of the anchor representation; `None` for as many as a branch has, which disentanglement needs.
        layers: Residual fusion layers of a branch, at least 1.
        expert: `linear` (the published one) or `mlp` (a hidden layer of twice the width in between).
        dropout: Probability in [0, 1) with which a feature is dropped in training.
        pooling: How the tokens of a branch become one representation: `mean`, `add` or `max`.
        threshold: A fraction of the pairs of regions in [0, 1] for `density`, a value for `absolute`.
        threshold_by: Which pairs are edges: the strongest (`density`), those that reach a value (`absolute`), or all (`none`).
        threshold_sign: Whether strong means large (`signed`) or far from zero (`absolute`).
        sc_transform: `raw`, `log1p` or `rank`, for modalities whose name begins with SC.
        fc_transform: `raw` or `fisher`, for all others.
        standardise: Whether each `entry` of the transformed connectivity is divided by its own standard deviation over the
            training subjects, or all of a `modality` by their root mean square, so that entries that vary more count more.
        measures: Names of graph measures that are added to a region's features, see `MEASURES`.
        output_scale: Whether a mixture's output is divided by the number of its experts, as in the code that the authors
            released. Not part of the method: it makes scale depend on the number of experts.
    """

    encoder: str = "gcn"
    encoder_layers: int = 4
    hidden: int = 128
    projection: int = 64
    anchor: int | None = None
    layers: int = 2
    expert: str = "linear"
    dropout: float = 0.5
    pooling: str = "mean"
    threshold: float = 0.12
    threshold_by: str = "density"
    threshold_sign: str = "signed"
    sc_transform: str = "raw"
    fc_transform: str = "raw"
    standardise: str = "entry"
    measures: tuple[str, ...] = ()
    output_scale: bool = False

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            _check_choice(name, getattr(self, name), known)
        for measure in self.measures:
            _check_choice("measures", measure, tuple(MEASURES))
        for name in ("encoder_layers", "hidden", "projection", "layers"):
            _check_count(name, getattr(self, name))
        if self.anchor is not None:
            _check_count("anchor", self.anchor)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), but got {self.dropout!r}.")
        self.rule()

    def rule(self) -> GraphRule:
        """Return which pairs of regions are edges."""
        return GraphRule(self.threshold, self.threshold_by, self.threshold_sign)

    def transform_of(self, modality: str) -> str:
        """Return how the connectivity of a modality is transformed: by its name, as structural or functional."""
        return self.sc_transform if modality.upper().startswith("SC") else self.fc_transform

    def graphs(self, modalities: Sequence[Modality]) -> Graphs:
        """Return the precomputation that serves a model of these modalities."""
        return Graphs(
            modalities=tuple((modality.name, modality.kind, self.transform_of(modality.name)) for modality in modalities),
            rule=self.rule(),
            form=FORMS[self.encoder],
            measures=self.measures,
        )


@dataclass(frozen=True)
class Mixture:
    """A mixture of experts in each fusion layer of a branch.

    Attributes:
        experts: How many, at least 1.
        k: How many of them a token reaches, in [1, experts]; `None` for all, weighted by a dense router.
        router: Name of a registered router; without `k` it is `dense` in any case.
        granularity: `token`, or `subject` for one gate a subject.
        noise: Whether `top_k` adds its noise in training.
        normalise: Whether `top_k` normalises its gates `after` or `before` the selection.
    """

    experts: int
    k: int | None = 2
    router: str = "top_k"
    granularity: str = "token"
    noise: bool = True
    normalise: str = "after"

    def __post_init__(self) -> None:
        _check_count("experts", self.experts)
        if self.k is not None and not 1 <= self.k <= self.experts:
            raise ValueError(f"`k` must be in [1, {self.experts}], the number of experts, but got {self.k!r}.")

    def router_options(self) -> tuple[str, dict[str, Any]]:
        """Return the name of the router and its options."""
        if self.k is None:
            return "dense", {"granularity": self.granularity}
        options: dict[str, Any] = {"granularity": self.granularity, "k": self.k}
        if self.router == "top_k":
            options |= {"noise": self.noise, "normalise": self.normalise}
        return self.router, options


def _check_choice(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"`{name}` must be one of {', '.join(known)}, but got {value!r}.{did_you_mean(value, known)}")


def _check_count(name: str, value: object) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"`{name}` must be a whole number of at least 1, but got {value!r}.")
