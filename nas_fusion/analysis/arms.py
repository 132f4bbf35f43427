"""Arms: what is compared with what. Plain data that tables, figures, diagnosis and report read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_fusion.analysis.landscape import Landscape
from nas_fusion.analysis.routing import RoutingEvidence
from nas_fusion.analysis.traps import Escape
from nas_fusion.record import Evaluation, Predictions
from nas_fusion.space import Configuration, SearchSpace

BASELINE = "A_0"


@dataclass(frozen=True)
class Unfinished:
    """An evaluation that a search used though it ended without a value: it counts as not better.

    Attributes:
        trial: Number of its trial.
        configuration: What was evaluated.
        parent: From where the search came to it, `None` for a root.
        reason: `pruned` (the search was shortened) or `not finite`.
        losses: Of the folds that were done, or of the training seeds where there is one fold.
        cost: `epochs` and `samples` that were trained until it ended.
    """

    trial: int
    configuration: Configuration
    parent: Configuration | None = None
    reason: str = "pruned"
    losses: tuple[float, ...] = ()
    cost: Mapping[str, float] = field(default_factory=dict)

    @property
    def was_trained(self) -> bool:
        """Whether anything was trained for it, rather than answered from the store."""
        return self.cost.get("epochs", 0.0) > 0


@dataclass(frozen=True)
class Arm:
    """A search, or a reference model, and what came of it.

    The baseline is an arm of its own beside the searches and references: its name is `BASELINE`, it is no search, its `best` is
    the space's baseline and its one evaluation is that of the baseline. Figures and diagnosis compare everything with it.

    Attributes:
        name: The sampler's name (`sfsa`) or the reference's (`late_fusion`).
        title: A few words for tables.
        value: Validation loss that the arm itself reached, in nats.
        validation: Predictions of the validation subjects.
        evaluations: Evaluations that the search used, in the order of their trials, baseline first; for a reference those that
            it consists of.
        is_search: Whether the arm is a search rather than a reference.
        study: The study's name, `None` for a reference.
        path: Accepted configurations in order, beginning with the baseline; empty for a reference.
        best: What was selected, `None` for a reference.
        parents: For each of `evaluations` its parent in the search tree (`None` for a root).
        trained: Trainings that this arm caused.
        reused: Evaluations that the store answered.
        in_vain: Evaluations speculated in vain: trained, but not used by the search.
        epochs_in_vain: What these were trained for, over all folds.
        test: Predictions of the test subjects, `None` as long as they are untouched.
        landscape_value: Loss of `best` on the common landscape, `None` without one.
        regret: `landscape_value` minus the landscape's optimum.
        share_of_exhaustive: Evaluations over the number of all configurations, the baseline included.
        ours: Whether the arm is an addition of ours, not one of the paper's.
        supernet: Cost of the supernet that ranked the candidates before the first was evaluated, such as `epochs` and
            `samples`; empty for searches without one.
        unfinished: Evaluations that the search used and that ended without a value, in the order of their trials.
        shortened: What shortened the search, a few words each, such as `racing at p = 0.1`; empty for a search in full.
    """

    name: str
    title: str
    value: float
    validation: Predictions
    evaluations: tuple[Evaluation, ...] = ()
    is_search: bool = True
    study: str | None = None
    path: tuple[Configuration, ...] = ()
    best: Configuration | None = None
    parents: tuple[Configuration | None, ...] = ()
    trained: int = 0
    reused: int = 0
    in_vain: int = 0
    epochs_in_vain: float = 0.0
    test: Predictions | None = None
    landscape_value: float | None = None
    regret: float | None = None
    share_of_exhaustive: float | None = None
    ours: bool = False
    supernet: Mapping[str, float] = field(default_factory=dict)
    unfinished: tuple[Unfinished, ...] = ()
    shortened: tuple[str, ...] = ()

    @property
    def n_evaluations(self) -> int:
        """How many evaluations the search used, those included that ended without a value."""
        return len(self.evaluations) + len(self.unfinished)

    @property
    def pruned(self) -> tuple[Unfinished, ...]:
        """What was ended early because the search was shortened."""
        return tuple(each for each in self.unfinished if each.reason == "pruned")

    @property
    def chosen(self) -> Evaluation | None:
        """The evaluation of `best`: where it was evaluated more than once, the one whose value the arm reached; no control."""
        found = [e for e in self.evaluations if e.configuration and e.configuration == self.best and not e.is_control]
        return min(found, key=lambda evaluation: abs(evaluation.value - self.value), default=None)


@dataclass(frozen=True)
class Comparison:
    """All arms of one `compare` (or the one arm of a `search`) on one cohort.

    Attributes:
        space: The search space.
        cohort: Name and provenance of the cohort: `name`, `subjects`, `classes`, `modalities`, `fingerprint`, `floors` (name to
            provable validation loss in nats, such as `late_fusion`; empty where none is known) and whatever else it records.
        arms: Searches first, then references.
        inherit: The rule of inheritance that the searches used.
        command: The command line that makes this comparison again.
        landscape: Every configuration's loss by one rule, `None` where it was not trained.
        landscape_inherit: That rule.
        trained_for_search: Trainings that served a search.
        trained_for_audit: Trainings that only served the comparison (references, configurations for the landscape).
        trained_in_vain: Trainings that workers speculated on and nothing used: how many depends on timing, no result does.
        epochs_in_vain: Epochs of these, over all folds.
        escapes: Searches replayed on the landscape where one of the arms was trapped: what others would have found and cost.
        routing: What mixtures of experts did with the validation subjects, `None` where no model has any.
        availability: Each subject to the modalities that it has; empty where everybody has everything.
        settings: Seed, folds, plan, device, versions: JSON-compatible, for the report's last section.
    """

    space: SearchSpace
    cohort: Mapping[str, Any]
    arms: tuple[Arm, ...]
    inherit: str
    command: str
    landscape: Landscape | None = None
    landscape_inherit: str | None = None
    trained_for_search: int = 0
    trained_for_audit: int = 0
    trained_in_vain: int = 0
    epochs_in_vain: float = 0.0
    escapes: tuple[Escape, ...] = ()
    routing: RoutingEvidence | None = None
    availability: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def said_in_vain(self) -> str:
        """What was speculated in vain, as the end of a list in a sentence; empty if nothing was."""
        if not self.trained_in_vain:
            return ""
        were = "was" if self.trained_in_vain == 1 else "were"
        return f", {self.trained_in_vain} {were} speculated in vain ({self.epochs_in_vain:.0f} epochs)"

    @property
    def searches(self) -> tuple[Arm, ...]:
        """The arms that are searches, in their order."""
        return tuple(arm for arm in self.arms if arm.is_search)

    @property
    def baseline(self) -> Arm | None:
        """The arm of the baseline A_0, or else a search that selected it; `None` where nothing predicted with it."""
        named = [arm for arm in self.arms if arm.name == BASELINE]
        selected = [arm for arm in self.arms if arm.best == self.space.baseline]
        return next(iter(named + selected), None)

    def arm(self, name: str) -> Arm:
        """Return the arm of a name.

        Raises:
            ValueError: If there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise ValueError(f"`name` must be one of {[arm.name for arm in self.arms]}, but got {name!r}.")
