"""Recipes: all that decides the numbers of an evaluation, and the key that is the digest of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas_fusion.cohorts import Inputs
from nas_fusion.evaluation.batches import check_flips
from nas_fusion.evaluation.keys import digest, seed_of
from nas_fusion.evaluation.stage import Reference, Stage, TrainingPlan
from nas_fusion.ingredients import ingredients, local_code_of
from nas_fusion.space import Configuration, SearchSpace

_LATER = ("modality_dropout", "inherited_learning_rate")  # fields that came later: at their defaults keys are what they were


@dataclass(frozen=True)
class Recipe:
    """How a model is made.

    Attributes:
        key: Digest of everything else, of the cohort and the seed.
        stages: Training stages with their final plans; none for an ensemble.
        configuration: What is trained, `None` for a reference.
        reference: The reference's name, `None` for a configuration.
        lineage: Configurations whose weights are inherited one after the other, the root first.
        parent: Recipe of the last of the lineage.
        members: Recipes whose probabilities are averaged; only for an ensemble.
    """

    key: str
    stages: tuple[Stage, ...]
    configuration: Configuration | None = None
    reference: str | None = None
    lineage: tuple[Configuration, ...] = ()
    parent: Recipe | None = None
    members: tuple[Recipe, ...] = ()

    def family(self) -> Iterator[Recipe]:
        """Yield this recipe and every one that it needs: ancestors and members."""
        yield self
        for needed in (*((self.parent,) if self.parent else ()), *self.members):
            yield from needed.family()

    def models(self) -> Iterator[Recipe]:
        """Yield the recipes of the models that it consists of: itself, or the members of an ensemble."""
        if not self.members:
            yield self
        for member in self.members:
            yield from member.models()


class RecipeBook:
    """Recipes of a search space on a cohort.

    Args:
        space: The search space.
        inputs: What the cohort's subjects look like.
        inherit: `parent`, `baseline` or `none`: the lineage of configurations that none was written for.
        overrides: Fields of every stage's training plan.
        facts: JSON-compatible: what else decides the numbers. Holds at least `seed`.
        seeds: How many times each fold is trained, with a training seed of its own each time.
        lacking: Names of the modalities that some subjects lack: stages that need one leave these subjects out.

    Raises:
        ValueError: If `overrides` names no field of a plan, a value is not allowed, or the space's models need modalities that
            somebody lacks.
    """

    def __init__(
        self,
        space: SearchSpace,
        inputs: Inputs,
        *,
        inherit: str,
        overrides: Mapping[str, Any],
        facts: Mapping[str, Any],
        seeds: int = 1,
        lacking: Collection[str] = (),
    ) -> None:
        if lacking and space.complete_only:
            raise ValueError(
                f"`cohort` must have every modality of each subject for {space.name}, but some lack {', '.join(lacking)}."
            )
        self._lacking = frozenset(lacking)
        self._space, self._inputs, self._inherit = space, inputs, inherit
        self._overrides = _checked(overrides)
        options = {name: value for name, value in space.options().items() if name not in ("inherit", *space.files)}
        meaning = space.meaning()
        code = local_code_of(ingredients(space.all_uses()))  # changed code, other numbers
        more = {"meaning": meaning, "local_code": {f"{row['kind']}.{row['name']}": row["sha256"] for row in code}}
        self._facts = {**facts, "space": space.name, "options": options} | {name: fact for name, fact in more.items() if fact}
        self._several = (
            {} if seeds == 1 else {"seeds": seeds}
        )  # one seed leaves the keys as they were before there were several
        self._references = space.references(inputs)

    # --- recipes ---

    def of(self, configuration: Mapping[str, str], lineage: Sequence[Mapping[str, str]] = ()) -> Recipe:
        """Return the recipe of a configuration that inherits along a lineage.

        Raises:
            ValueError: If it, or one of the lineage, is no configuration of the space.
        """
        self._space.check(configuration)
        chosen = self._space.canonical(configuration)
        parent = self.of(lineage[-1], lineage[:-1]) if lineage else None
        stages = self._planned(self._space.stages(chosen, self._inputs), inherits=parent is not None)
        what = {"configuration": dict(chosen), "parent": None if parent is None else parent.key}
        ancestors = () if parent is None or parent.configuration is None else (*parent.lineage, parent.configuration)
        return Recipe(self._key(what, stages), stages, configuration=chosen, lineage=ancestors, parent=parent)

    def of_reference(self, name: str) -> Recipe:
        """Return the recipe of one of the space's references.

        Raises:
            ValueError: If there is none of that name.
        """
        reference = self._reference(name)
        if reference.stages:
            stages = self._planned(reference.stages, inherits=False)
            return Recipe(self._key({"reference": name}, stages), stages, reference=name)
        members = tuple(
            self.of_reference(member) if isinstance(member, str) else self.of(member, self.lineage(member))
            for member in reference.members
        )
        if not members:
            raise ValueError(f"`references` must have stages or members, but {name!r} has neither.")
        key = self._key({"reference": name, "members": [member.key for member in members]}, ())
        return Recipe(key, (), reference=name, members=members)

    def of_supernet(self, how: Mapping[str, Any]) -> Recipe:
        """Return the recipe of the space's supernet, which starts from the baseline's weights unless nothing is inherited.

        Args:
            how: JSON-compatible: how it is trained beyond its stage's plan.

        Raises:
            TypeError: If the space has none.
        """
        stage = self._space.supernet(self._inputs)
        parent = None if self._inherit == "none" else self.of(self._space.baseline)
        stages = self._planned([stage], inherits=parent is not None)
        what = {"supernet": dict(how), "parent": None if parent is None else parent.key}
        lineage = () if parent is None or parent.configuration is None else (parent.configuration,)
        return Recipe(self._key(what, stages), stages, reference="supernet", lineage=lineage, parent=parent)

    def lineage(self, configuration: Mapping[str, str]) -> tuple[Configuration, ...]:
        """Return the lineage of a configuration that no sampler wrote one for: the baseline, or none."""
        baseline = self._space.canonical(self._space.baseline)
        is_root = self._inherit == "none" or self._space.canonical(configuration) == baseline
        return () if is_root else (baseline,)

    def _reference(self, name: str) -> Reference:
        if name not in self._references:
            known = ", ".join(self._references) or "(this space has none)"
            raise ValueError(f"`name` must be one of the references {known}, but got {name!r}.")
        return self._references[name]

    def _planned(self, stages: Sequence[Stage], *, inherits: bool) -> tuple[Stage, ...]:
        planned = tuple(replace(stage, plan=self._plan(stage, inherits=inherits)) for stage in stages)
        if not planned or len({stage.name for stage in planned}) < len(planned):
            raise ValueError(f"`stages` must be at least one with unique names, but got {[stage.name for stage in planned]}.")
        for stage in planned:
            check_flips(stage.plan.flips, self._inputs)
            if stage.plan.modality_dropout and self._space.complete_only:
                raise ValueError(
                    f"`modality_dropout` must be 0 for {self._space.name}, whose models need every modality, but got "
                    f"{stage.plan.modality_dropout!r}."
                )
        return planned

    def _plan(self, stage: Stage, *, inherits: bool) -> TrainingPlan:
        """Return the plan of a stage with the number of epochs that it really trains."""
        plan = replace(stage.plan, **self._overrides)
        if "epochs" in self._overrides:
            plan = replace(plan, epochs=stage.spans * plan.epochs)
        epochs, rate = plan.epochs, plan.learning_rate
        if inherits and stage.takes_over:
            epochs = plan.inherited_epochs or epochs
            rate = rate if plan.inherited_learning_rate is None else plan.inherited_learning_rate
        return replace(plan, epochs=epochs, learning_rate=rate, inherited_epochs=None, inherited_learning_rate=None)

    # --- digests and seeds ---

    def _key(self, what: Mapping[str, Any], stages: Sequence[Stage]) -> str:
        return digest({**self._facts, **self._several, **what, "stages": [self._facts_of(stage) for stage in stages]})

    def stage_key(self, recipe: Recipe, number: int, fold: int, seed: int = 0) -> str:
        """Return the key of what a stage leaves for the next ones: equal for all recipes that share it."""
        stage = recipe.stages[number]
        origin: Any = recipe.parent.key if recipe.parent is not None and stage.takes_over else None
        if stage.start is not None:
            earlier = [self.stage_key(recipe, before, fold, seed) for before in range(number)]
            origin = earlier if origin is None else [origin, *earlier]
        what = {"stage": self._facts_of(stage), "fold": fold, "origin": origin, "reference": _reference_of(recipe, stage)}
        return digest({**self._facts, **what, **({"training_seed": seed} if seed else {})})

    def _facts_of(self, stage: Stage) -> dict[str, Any]:
        """Return what of a stage decides numbers; who is left out, only where somebody is."""
        return _facts_of(stage) | ({"needs": stage.needs} if stage.needs in self._lacking else {})

    def initial_seed(self, recipe: Recipe, stage: Stage, seed: int = 0) -> int:
        """Return the seed of a stage's initialisation: of (seed, configuration, lineage, number of the training seed)."""
        lineage = [dict(ancestor) for ancestor in recipe.lineage] if stage.takes_over else []
        what = (_reference_of(recipe, stage), stage.name, dict(stage.depends_on), lineage)
        return seed_of("initial", self._facts["seed"], *what, *_number(seed))

    def order_seed(self, recipe: Recipe, stage: Stage, fold: int, seed: int = 0) -> int:
        """Return the seed of order and augmentation: of (seed, parent, fold, number of the training seed).

        A round's candidates see the same batches.
        """
        parent = dict(recipe.lineage[-1]) if recipe.lineage and stage.takes_over else None
        return seed_of("order", self._facts["seed"], stage.name, parent, fold, *_number(seed))


def _reference_of(recipe: Recipe, stage: Stage) -> str | None:
    """Return the name of the reference that a stage is of; the stages before the last are shared with whoever has the same."""
    return recipe.reference if stage is recipe.stages[-1] else None


def _number(seed: int) -> tuple[int, ...]:
    """Return what the number of a training seed adds to what seeds derive from: nothing for the first."""
    return (seed,) if seed else ()


def _facts_of(stage: Stage) -> dict[str, Any]:
    plan = dataclasses.asdict(stage.plan)
    for name in _LATER:
        if plan[name] == getattr(TrainingPlan, name):
            del plan[name]
    return {"name": stage.name, "plan": plan, "depends_on": dict(stage.depends_on)}


def _checked(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides with the types of a plan's fields (JSON has no tuples), checked as far as one alone can be."""
    fields = [field.name for field in dataclasses.fields(TrainingPlan)]
    for name in overrides:
        if name not in fields:
            raise ValueError(f"`plan` must override fields among {', '.join(fields)}, but got {name!r}.")
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in overrides.items()}
    TrainingPlan(**values)
    return values
