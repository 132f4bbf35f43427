"""Stages: what a search space asks the worker to train. The worker knows stages, not methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from nas_fusion.cohorts import Batch
from nas_fusion.space import Configuration

PARENT = "parent"
State = Mapping[str, torch.Tensor]
Terms = Mapping[str, torch.Tensor]
Observation = tuple[torch.Tensor, Terms]


@dataclass(frozen=True)
class TrainingPlan:
    """How long and with what a stage is trained: data, no code, so that it takes part in an evaluation's key.

    Attributes:
        epochs: Passes over the training subjects, at least 1.
        inherited_epochs: Passes where weights are inherited, `None` for the same as `epochs`.
        batch_size: Subjects a step.
        learning_rate: Peak learning rate, at least 0.
        weight_decay: At least 0; decoupled for `adamw`.
        optimiser: `adamw`, `adam` or `sgd`.
        schedule: `one_cycle` (20 % warm-up), `cosine`, `step` (0.8 every 50 epochs) or `constant`.
        patience: Epochs without a better validation loss after which training ends, `None` for never.
        flips: Spatial axes (0 = first) that are flipped at random, the same way in all modalities of a subject.
        modality_dropout: Probability that a training subject's modality counts as absent in a step, in [0, 1); at least one
            that it has is kept.
        inherited_learning_rate: Peak learning rate where weights are inherited, `None` for the same as `learning_rate`: a small
            one does without the restart of the learning rate.

    Raises:
        ValueError: If a field is out of its range.
    """

    epochs: int = 10
    inherited_epochs: int | None = None
    batch_size: int = 16
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    optimiser: str = "adamw"
    schedule: str = "one_cycle"
    patience: int | None = None
    flips: tuple[int, ...] = ()
    modality_dropout: float = 0.0
    inherited_learning_rate: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("inherited_epochs", 1), ("patience", 1)):
            value = getattr(self, name)
            if type(value) is not int and not (value is None and name in ("inherited_epochs", "patience")):
                raise ValueError(f"`{name}` must be a whole number, but got {value!r}.")
            if value is not None and value < least:
                raise ValueError(f"`{name}` must be at least {least}, but got {value}.")
        rates = {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}
        if self.inherited_learning_rate is not None:
            rates["inherited_learning_rate"] = self.inherited_learning_rate
        for name, number in rates.items():
            if type(number) not in (int, float) or not math.isfinite(number) or number < 0:
                raise ValueError(f"`{name}` must be a finite number of at least 0, but got {number!r}.")
        dropped = self.modality_dropout
        if type(dropped) not in (int, float) or not 0 <= dropped < 1:
            raise ValueError(f"`modality_dropout` must be a number in [0, 1), but got {dropped!r}.")
        if not isinstance(self.flips, tuple) or not all(type(axis) is int for axis in self.flips):
            raise ValueError(f"`flips` must be a tuple of axes, but got {self.flips!r}.")
        for name, allowed in (
            ("optimiser", ("adamw", "adam", "sgd")),
            ("schedule", ("one_cycle", "cosine", "step", "constant")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"`{name}` must be one of {', '.join(allowed)}, but got {getattr(self, name)!r}.")


def cross_entropy(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the mean cross-entropy, in nats, of a model's logits for a batch."""
    return nn.functional.cross_entropy(model(batch.inputs, batch.present).float(), batch.labels)


def total(loss: torch.Tensor | Terms) -> torch.Tensor:
    """Return what a loss minimises: itself, or the sum of its terms."""
    return loss if isinstance(loss, torch.Tensor) else torch.stack(list(loss.values())).sum()


@dataclass(frozen=True)
class Stage:
    """One training phase.

    Attributes:
        name: Unique among the stages of a configuration.
        plan: How it is trained.
        model: Builds the freshly initialised model from torch's global generator. `model(inputs, present)` returns logits.
        loss: `(model, batch)` to the scalar that is minimised, or to named terms whose sum is; their means are kept for each
            epoch. Selection is always by the task's validation cross-entropy.
        trains: Whether the parameter of a name is trained; `None` for all. What is frozen is asserted not to change, and a
            module whose parameters are all frozen stays in evaluation mode.
        start: From the states of the earlier stages (name to state dict), and under `parent` the weights that are inherited if
            there are any, to the tensors this stage starts from, by name; `None` to start fresh. Inherited weights go before
            tensors of the same name.
        depends_on: The part of the configuration that matters here: configurations that agree in it share the stage's result.
        inherits: Whether it takes the parent's weights where there is a parent; `None` for only if it has no `start`. A stage
            that does not is shared by candidates of all parents.
        prepare: Is shown all training subjects once, after the start weights are loaded and before the first epoch, without
            gradients: sets buffers such as means, or fits a model that needs no epochs. With it a stage may train no parameter:
            it is then validated once.
        precompute: From the modalities of some subjects (name to tensor `(batch, ...)`) to tensors that are added to what the
            model gets, each subject by itself: done once instead of in each epoch. Hashable, equal where it computes the same;
            without these tensors the model must return the same.
        spans: For how many stages of a configuration it stands, so that an override of `epochs` counts as often: a model that
            is compared with configurations of three stages trains as long as they do.
        observe: `(model, batch)` to the logits and to named tensors `(batch, ...)` whose means over the validation subjects are
            kept for each epoch.
        needs: Name of the one modality that the model looks at, `None` for any. Subjects who lack it neither train nor
            validate, nothing is predicted of them, and it never drops out.
    """

    name: str
    plan: TrainingPlan
    model: Callable[[], nn.Module]
    depends_on: Configuration
    loss: Callable[[nn.Module, Batch], torch.Tensor | Terms] = cross_entropy
    trains: Callable[[str], bool] | None = None
    start: Callable[[Mapping[str, State]], State] | None = None
    inherits: bool | None = None
    prepare: Callable[[nn.Module, Batch], None] | None = None
    precompute: Callable[[Mapping[str, torch.Tensor]], Mapping[str, torch.Tensor]] | None = None
    observe: Callable[[nn.Module, Batch], Observation] | None = None
    spans: int = 1
    needs: str | None = None

    @property
    def augmentation(self) -> TrainingPlan:
        """The plan by which training batches are changed: a modality that is needed does not drop out."""
        return self.plan if self.needs is None else replace(self.plan, modality_dropout=0.0)

    @property
    def takes_over(self) -> bool:
        """Whether it takes the parent's weights where there is a parent."""
        return self.start is None if self.inherits is None else self.inherits


@dataclass(frozen=True)
class Reference:
    """A model that configurations are compared with but that is none itself.

    It is either trained (`stages`) or the mean of the probabilities of its `members`.

    Attributes:
        title: A few words for tables, such as `T1w alone`.
        stages: Training stages, empty for an ensemble.
        members: Names of other references, or configurations, whose probabilities are averaged.
        ours: Whether it is an addition of ours rather than an arm of the paper; tables say so.
    """

    title: str
    stages: tuple[Stage, ...] = ()
    members: tuple[str | Configuration, ...] = ()
    ours: bool = field(default=False, kw_only=True)
