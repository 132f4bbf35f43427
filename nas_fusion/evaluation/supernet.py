"""The supernet: every candidate module behind a gate, weights and gates trained in turns on one fold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, cast, runtime_checkable

import torch
from torch import nn
from torch.optim import SGD

from nas_fusion.cohorts.drawing import SplitPlan, divide
from nas_fusion.evaluation.batches import shuffled, sizes, training_batch
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.optimisation import build_optimiser, build_schedule
from nas_fusion.evaluation.stage import Stage, total
from nas_fusion.evaluation.training import FoldData, freeze, parts

_MOMENTUM = 0.5  # of the architecture's steps, as the first of the betas in arXiv 1806.09055, section 3.1


@runtime_checkable
class Supernet(Protocol):
    """What the model of `SearchSpace.supernet` has beside its forward pass.

    Attributes:
        architecture: Parameter of the space to the logits of its choices `(choices,)`, in their order, off first; parameters of
            the model.
    """

    @property
    def architecture(self) -> Mapping[str, nn.Parameter]: ...

    def draw(self, temperature: float, generator: torch.Generator | None = None) -> None:
        """Set the temperature of the next forward passes in training mode and draw their noise, none without a generator."""


@dataclass(frozen=True)
class SupernetPlan:
    """How a supernet is trained: data that takes part in the ranking's key.

    Attributes:
        length: Epochs as a multiple of those of the space's training plan, above 0.
        warm_up: Share of the epochs in which only the weights learn, in [0, 1).
        held_out: Share of the training subjects on whom the architecture learns and the weights do not, in (0, 1).
        hot: Temperature of the gates as the architecture begins to learn, above 0.
        cold: Temperature at the end, above 0; it falls exponentially.
        gain: How far the architecture's steps together move a logit for each nat of slope, above 0.
        price: What an open point must save, in nats, to stay open: its weight in the architecture's loss, at least 0.
        entropy: Weight of the entropy of each point's choice in the architecture's loss at the end, at least 0; it grows
            linearly from 0, so that the gates decide.

    Raises:
        ValueError: If a field is out of its range.
    """

    length: float = 1.0
    warm_up: float = 0.4
    held_out: float = 0.3
    hot: float = 1.0
    cold: float = 0.2
    gain: float = 40.0
    price: float = 0.01
    entropy: float = 0.05

    def __post_init__(self) -> None:
        for name in ("length", "hot", "cold", "gain"):
            self._check(name, above=0)
        self._check("price", least=0)
        self._check("entropy", least=0)
        self._check("warm_up", least=0, below=1)
        self._check("held_out", above=0, below=1)

    def _check(self, name: str, *, above: float = -math.inf, least: float = -math.inf, below: float = math.inf) -> None:
        value = getattr(self, name)
        if type(value) not in (int, float) or not (above < value < below and value >= least):
            low = f"at least {least:g}" if above == -math.inf else f"above {above:g}"
            high = "" if below == math.inf else f" and below {below:g}"
            raise ValueError(f"`{name}` must be a finite number {low}{high}, but got {value!r}.")

    @classmethod
    def of(cls, sampler: object) -> SupernetPlan:
        """Return the plan that a sampler asks for by its `length`, the default for any other sampler."""
        length = getattr(sampler, "length", None)
        return cls() if length is None else cls(length=length)

    def epochs(self, stage: Stage) -> int:
        """Return the epochs of a supernet with a stage's plan, at least 2: one for the weights alone, one for both."""
        return max(2, round(self.length * stage.plan.epochs))

    def temperature(self, progress: float) -> float:
        """Return the temperature at a progress in [0, 1] of the part in which the architecture learns."""
        return float(self.hot * (self.cold / self.hot) ** min(1.0, max(0.0, progress)))


@dataclass(frozen=True)
class TrainedSupernet:
    """What became of a supernet on a fold.

    Attributes:
        probabilities: Parameter to the probability of each of its choices, in their order.
        epochs: Passes over the subjects from whom the weights learn.
        samples: Subjects seen by weights and architecture.
        parameters: Numbers in the supernet's parameters.
    """

    probabilities: Mapping[str, tuple[float, ...]]
    epochs: int
    samples: int
    parameters: int


def train_supernet(
    stage: Stage,
    build: Callable[[], nn.Module],
    data: FoldData,
    placement: Placement,
    *,
    plan: SupernetPlan,
    seed: int,
    on_epoch: Callable[[int, float], None] | None = None,
) -> TrainedSupernet:
    """Train a supernet on the training subjects of a fold; its validation subjects are not looked at.

    Weights learn by the stage's optimiser from one part of the training subjects, the architecture by gradient descent from the
    other, in turns, each with freshly drawn gates (first order: the weights are taken for constant while the architecture
    learns). Not by Adam, as in DARTS: it gives every logit steps of the same size, so that points without an effect drift as
    far as those with one, and chance decides; plain descent moves a logit in proportion to what its point saves.
    Where the memory of a device does not suffice, training begins again with batches divided into twice as many parts.

    Args:
        stage: The space's `supernet`.
        build: Returns the model to start from, on any device, the same each time.
        data: The fold.
        placement: Device and precision.
        plan: How it is trained.
        seed: Of who is held out, order, augmentation and noise.
        on_epoch: Is told each epoch, from 1, and the mean loss of the weights' steps in it; may raise to end training.

    Raises:
        FloatingPointError: If the loss is not finite.
        ValueError: If a class has too few subjects to be held out in part.
        TypeError: If the model is no supernet.
    """
    micro_batches = 1
    while True:
        try:
            with placement.repeatable(seed):
                training = _Training(stage, build(), data, placement, plan=plan, seed=seed, micro_batches=micro_batches)
                return training.run(on_epoch or (lambda epoch, loss: None))
        except torch.OutOfMemoryError:
            if 2 * micro_batches >= min(stage.plan.batch_size, len(data.train)):
                raise
        torch.cuda.empty_cache()
        micro_batches *= 2


class _Training:
    """A supernet in training."""

    def __init__(
        self,
        stage: Stage,
        model: nn.Module,
        data: FoldData,
        placement: Placement,
        *,
        plan: SupernetPlan,
        seed: int,
        micro_batches: int,
    ) -> None:
        if not isinstance(model, Supernet):
            raise TypeError(f"`supernet` must build a model with `architecture` and `draw`, but got {type(model).__name__}.")
        self.stage, self.data, self.placement, self.plan, self.micro_batches = stage, data, placement, plan, micro_batches
        self.model = placement.lay_out(model, data.cohort)
        self.supernet = cast(Supernet, self.model)
        self.learning, self.held_out = _divided(data, plan.held_out, seed)
        self.epochs = plan.epochs(stage)
        self.warm_up = min(max(1, round(plan.warm_up * self.epochs)) if plan.warm_up else 0, self.epochs - 1)
        self.steps = len(sizes(len(self.learning), stage.plan.batch_size))
        self.logits = list(self.supernet.architecture.values())
        kept = {id(logits) for logits in self.logits}
        weights = [parameter for parameter in freeze(self.model, stage) if id(parameter) not in kept]
        self.weights = build_optimiser(weights, stage.plan)
        self.schedule = build_schedule(self.weights, replace(stage.plan, epochs=self.epochs), self.steps)
        slowed = plan.gain * (1 - _MOMENTUM) / (self.steps * (self.epochs - self.warm_up))
        self.architecture = SGD(self.logits, lr=slowed, momentum=_MOMENTUM)
        self.generator = torch.Generator().manual_seed(seed)
        self.batches = _endless(self.held_out, stage.plan.batch_size, self.generator)
        self.samples = 0

    def run(self, on_epoch: Callable[[int, float], None]) -> TrainedSupernet:
        self.model.train()
        for epoch in range(self.epochs):
            losses = []
            for step, index in enumerate(shuffled(self.learning, self.stage.plan.batch_size, self.generator)):
                begun = (epoch + step / self.steps - self.warm_up) / (self.epochs - self.warm_up)
                losses.append(self._step(index, self.weights, begun))
                self.schedule.step()
                if epoch >= self.warm_up:
                    self._step(next(self.batches), self.architecture, begun)
            mean = float(torch.stack(losses).mean())
            if not math.isfinite(mean):
                raise FloatingPointError(f"The loss of the supernet is {mean} in epoch {epoch + 1}.")
            on_epoch(epoch + 1, mean)
        return TrainedSupernet(
            self._probabilities(), self.epochs, self.samples, sum(p.numel() for p in self.model.parameters())
        )

    def _step(self, index: torch.Tensor, optimiser: torch.optim.Optimizer, begun: float) -> torch.Tensor:
        """Take a step of the weights or the architecture; what else has gradients is left as it is."""
        self.supernet.draw(self.plan.temperature(begun), self.generator)
        batch = self.placement.move(training_batch(self.data.cohort, index, self.stage.plan, self.generator))
        self.model.zero_grad(set_to_none=True)
        summed = torch.zeros((), device=self.placement.device)
        for part, share in parts(batch, self.micro_batches):
            with self.placement.autocast():
                loss = total(self.stage.loss(self.model, part)) * share
            torch.autograd.backward(loss)
            summed += loss.detach()
        if optimiser is self.architecture:
            torch.autograd.backward(self._penalty(begun))
        optimiser.step()
        self.samples += len(index)
        return summed

    def _penalty(self, begun: float) -> torch.Tensor:
        """Return the price of what is open and the weighted entropy of what is undecided, summed over the points."""
        opened = torch.stack([1 - logits.softmax(0)[0] for logits in self.logits])
        entropy = torch.stack([-(logits.softmax(0) * logits.log_softmax(0)).sum() for logits in self.logits])
        return (self.plan.price * opened + self.plan.entropy * begun * entropy).sum()

    def _probabilities(self) -> dict[str, tuple[float, ...]]:
        found = {name: logits.detach().double().cpu().softmax(0) for name, logits in self.supernet.architecture.items()}
        if not all(bool(values.isfinite().all()) for values in found.values()):
            raise FloatingPointError("The logits of the supernet are not finite.")
        return {name: tuple(values.tolist()) for name, values in found.items()}


def _divided(data: FoldData, share: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the training subjects from whom the weights learn, and those from whom the architecture does, as positions."""
    cohort, train = data.cohort, data.train.tolist()
    labels = [cohort.classes[label] for label in cohort.labels[data.train.to(cohort.labels.device)].tolist()]
    groups = None if cohort.groups is None else [cohort.groups[i] for i in train]
    drawn = SplitPlan(validation=share, test=0.0, seed=seed % 2**32)
    (fold,) = divide([cohort.subjects[i] for i in train], labels, groups, plan=drawn).folds
    return cohort.positions(fold.train), cohort.positions(fold.validation)


def _endless(subjects: torch.Tensor, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    while True:
        yield from shuffled(subjects, batch_size, generator)
