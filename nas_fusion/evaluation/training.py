"""Training of one stage on one fold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from nas_fusion.cohorts import Batch, Cohort
from nas_fusion.evaluation.batches import shuffled, sizes, training_batch
from nas_fusion.evaluation.device import Placement
from nas_fusion.evaluation.optimisation import build_optimiser, build_schedule
from nas_fusion.evaluation.prediction import cross_entropy_of, logits_of, predict
from nas_fusion.evaluation.stage import Stage, total


@dataclass(frozen=True)
class FoldData:
    """Who trains and who validates, as positions in a cohort.

    Attributes:
        cohort: Without test subjects, on the device if it fits.
        train: `(n,)`.
        validation: `(n,)`.
    """

    cohort: Cohort
    train: torch.Tensor
    validation: torch.Tensor


@dataclass(frozen=True)
class Trained:
    """What became of a stage.

    Attributes:
        state: State dict at the selected epoch, on the CPU.
        losses: Validation loss of each epoch that was run, in nats.
        epoch: The selected epoch, counted from 1; 0 if no epoch had a finite loss.
        logits: Of the validation subjects at the selected epoch `(n, classes)`, float64.
        samples: Subjects seen in training.
        micro_batches: Into how many parts each batch had to be divided to fit into memory.
        terms: Name to the mean of each term of the loss in each epoch, where the stage names terms.
        observed: Name to what was observed in each epoch, the mean over the validation subjects: a number or lists of them.
    """

    state: dict[str, torch.Tensor]
    losses: tuple[float, ...]
    epoch: int
    logits: torch.Tensor
    samples: int
    micro_batches: int = 1
    terms: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    observed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Validation loss at the selected epoch; not a number if none had a finite loss."""
        return self.losses[self.epoch - 1] if self.epoch else math.nan


OnEpoch = Callable[[int, float], None]


def train_stage(
    stage: Stage,
    build: Callable[[], nn.Module],
    data: FoldData,
    placement: Placement,
    *,
    seed: int,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train a stage on a fold and return its best epoch by validation loss.

    Where the memory of a device does not suffice, training begins again with batches divided into twice as many parts whose
    gradients are added up: the same steps, but batch normalisation sees the parts.

    Args:
        stage: Plan, loss and what is trained.
        build: Returns the model to start from, on any device, the same each time.
        data: The fold.
        placement: Device and precision.
        seed: Of the order of subjects and of augmentation.
        on_epoch: Is told each epoch, from 1, and its validation loss; may raise to end training.

    Raises:
        torch.OutOfMemoryError: If not even two subjects at a time fit into memory.
    """
    micro_batches = 1
    while True:
        try:
            with placement.repeatable(seed):
                training = _Training(stage, build(), data, placement, micro_batches)
                return training.run(seed, on_epoch or (lambda epoch, loss: None))
        except torch.OutOfMemoryError:
            if 2 * micro_batches >= min(stage.plan.batch_size, len(data.train)):
                raise
        torch.cuda.empty_cache()
        micro_batches *= 2


class _Training:
    """A model in training."""

    def __init__(self, stage: Stage, model: nn.Module, data: FoldData, placement: Placement, micro_batches: int) -> None:
        self.stage, self.data, self.placement, self.micro_batches = stage, data, placement, micro_batches
        self.model = placement.lay_out(model, data.cohort)
        self._prepare()
        parameters = list(freeze(self.model, stage))
        self.at_rest = frozen_modules(self.model)
        self.optimiser = build_optimiser(parameters, stage.plan) if parameters else None
        steps = len(sizes(len(data.train), stage.plan.batch_size))
        self.schedule = build_schedule(self.optimiser, stage.plan, steps) if self.optimiser else None
        self.labels = data.cohort.labels[data.validation.to(data.cohort.labels.device)].cpu()
        self.terms: dict[str, list[float]] = {}
        self.observed: dict[str, list[Any]] = {}

    def run(self, seed: int, on_epoch: OnEpoch) -> Trained:
        frozen = self._frozen()
        generator = torch.Generator().manual_seed(seed)
        plan, losses, best = self.stage.plan, list[float](), 0
        state, logits = self._state(), torch.full((len(self.labels), len(self.data.cohort.classes)), math.nan).double()
        for epoch in range(1, (plan.epochs if self.optimiser else 1) + 1):
            self._epoch(generator)
            found = self._validate()
            losses.append(cross_entropy_of(found, self.labels))
            if math.isfinite(losses[-1]) and (not best or losses[-1] < losses[best - 1]):
                best, state, logits = epoch, self._state(), found
            on_epoch(epoch, losses[-1])
            if not math.isfinite(losses[-1]) or (plan.patience and epoch - best >= plan.patience):
                break
        self._check_frozen(frozen)
        return Trained(
            state,
            tuple(losses),
            best,
            logits,
            len(losses) * len(self.data.train),
            self.micro_batches,
            terms={name: tuple(values) for name, values in self.terms.items()},
            observed={name: tuple(values) for name, values in self.observed.items()},
        )

    def _prepare(self) -> None:
        """Show the model all training subjects at once, where the stage asks for it."""
        if self.stage.prepare is not None:
            cohort = self.data.cohort
            with torch.no_grad():
                batch = cohort.batch(self.data.train.to(cohort.labels.device))
                self.stage.prepare(self.model, self.placement.move(batch))

    def _epoch(self, generator: torch.Generator) -> None:
        if self.optimiser is None or self.schedule is None:
            return
        self.model.train()
        for module in self.at_rest:
            module.eval()
        plan, sums = self.stage.augmentation, dict[str, torch.Tensor]()
        for index in shuffled(self.data.train, plan.batch_size, generator):
            batch = self.placement.move(training_batch(self.data.cohort, index, plan, generator))
            self.optimiser.zero_grad(set_to_none=True)
            for part, share in parts(batch, self.micro_batches):
                with self.placement.autocast():
                    found = self.stage.loss(self.model, part)
                loss = total(found)
                torch.autograd.backward(loss if share == 1 else loss * share)
                for name, term in {} if isinstance(found, torch.Tensor) else found.items():
                    sums[name] = sums.get(name, 0) + term.detach() * len(part.labels)
            self.optimiser.step()
            self.schedule.step()
        for name, summed in sums.items():
            self.terms.setdefault(name, []).append(float(summed) / len(self.data.train))

    def _validate(self) -> torch.Tensor:
        logits, observed = predict(
            self.model,
            self.data.cohort,
            self.data.validation,
            self.placement,
            observe=self.stage.observe or logits_of,
            batch_size=evaluation_batch_size(self.stage),
        )
        for name, values in observed.items():
            self.observed.setdefault(name, []).append(values.tolist())
        return logits

    def _state(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.model.state_dict().items()}

    def _frozen(self) -> dict[str, torch.Tensor]:
        """Return a copy of all that must not change: frozen parameters, and buffers of modules that hold nothing else."""
        frozen: dict[str, torch.Tensor] = {name: p for name, p in self.model.named_parameters() if not p.requires_grad}
        at_rest = {id(buffer) for module in self.at_rest for buffer in module.buffers()}
        frozen |= {name: buffer for name, buffer in self.model.named_buffers() if id(buffer) in at_rest}
        return {name: tensor.detach().clone() for name, tensor in frozen.items()}

    def _check_frozen(self, frozen: dict[str, torch.Tensor]) -> None:
        now = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        for name, before in frozen.items():
            assert torch.equal(now[name], before), f"The frozen {name} changed in stage {self.stage.name}."


def frozen_modules(model: nn.Module) -> list[nn.Module]:
    """Return the modules that have parameters, all of them frozen: in training they stay in evaluation mode."""
    with_parameters = ((module, list(module.parameters())) for module in model.modules())
    return [module for module, own in with_parameters if own and not any(p.requires_grad for p in own)]


def freeze(model: nn.Module, stage: Stage) -> Iterator[nn.Parameter]:
    """Freeze what a stage does not train, and yield what it trains.

    Raises:
        ValueError: If it trains nothing and has nothing else to do.
    """
    trains = [stage.trains is None or stage.trains(name) for name, _ in model.named_parameters()]
    if not any(trains) and stage.prepare is None:
        raise ValueError(f"`trains` must leave a parameter to train, but the stage {stage.name!r} trains none.")
    for parameter, trained in zip(model.parameters(), trains, strict=True):
        parameter.requires_grad_(trained)
        if trained:
            yield parameter


def evaluation_batch_size(stage: Stage) -> int:
    """Return how many subjects are predicted at a time: without gradients four training batches need less memory than one."""
    return 4 * stage.plan.batch_size


def parts(batch: Batch, n: int) -> Iterator[tuple[Batch, float]]:
    """Yield `n` parts of a batch of nearly equal size, each with at least two subjects, and their shares of it."""
    size = len(batch.labels)
    n = max(1, min(n, size // 2))
    if n == 1:
        yield batch, 1
        return
    for rows in torch.arange(size, device=batch.labels.device).tensor_split(n):
        inputs = {name: values[rows] for name, values in batch.inputs.items()}
        index = batch.index[rows.to(batch.index.device)]
        yield Batch(inputs, batch.present[rows], batch.labels[rows], index), len(rows) / size
