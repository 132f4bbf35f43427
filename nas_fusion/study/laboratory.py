"""A laboratory: the space, the cohort and the worker that a study's specification names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_fusion.analysis.naming import points
from nas_fusion.samplers import load_sampler
from nas_fusion.study.made_of import find_again, made_of
from nas_fusion.study.ranking import check_rankable
from nas_fusion.study.restricted import RestrictedSpace
from nas_fusion.study.shortening import pruner_of
from nas_fusion.study.spec import JOINT, StudySpec

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from nas_fusion.cohorts import Cohort, Splits
    from nas_fusion.evaluation import EvaluationWorker, Store
    from nas_fusion.space import Configuration, SearchSpace


class Laboratory:
    """What a process works with.

    Args:
        spec: The specification of its studies; they may differ in the sampler, and in the module (see `within`).
        space: The search space.
        cohort: The cohort with its test subjects, which the worker never sees.
        allow_local_code: Whether code of files that its studies name may run; what runs already needs no permission.
    """

    def __init__(self, spec: StudySpec, space: SearchSpace, cohort: Cohort, *, allow_local_code: bool = False) -> None:
        self.spec, self.space, self.cohort = made_of(spec, space), space, cohort
        self.allow_local_code = allow_local_code
        self._last: Laboratory | None = None

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        cohort: Cohort,
        *,
        inherit: str | None = None,
        plan: Mapping[str, Any] | None = None,
        artifacts: str | Path = "",
        **settings: Any,
    ) -> Laboratory:
        """Return the laboratory of a space and a cohort that are at hand.

        Args:
            space: The search space.
            cohort: The cohort.
            inherit: Where weights come from, `None` for the space's rule.
            plan: Overrides of the training plan, such as `{"epochs": 5}`.
            artifacts: Folder or URL of the store, this process's memory by default.
            **settings: Other fields of `StudySpec`.

        Raises:
            ValueError: If the cohort has no splits and `split` is not given, or a setting is out of its range.
        """
        if "split" not in settings:
            settings["split"] = split_digest(cohort.splits)
        spec = StudySpec(
            space=space.name,
            space_options=space.options(),
            fingerprint=cohort.fingerprint,
            inherit=inherit or space.inherit,
            plan=dict(plan or {}),
            artifacts=str(artifacts),
            **{"source": cohort.name, **settings},
        )
        return cls(spec, space, cohort)

    def within(self, module: str) -> Laboratory:
        """Return the laboratory of a study of a comparison of modules, see `StudySpec.module`: with the same store.

        Only the last one is kept: each has a worker of its own, with the cohort on its device.

        Args:
            module: The choice that the study keeps to; empty or `joint` for all.

        Raises:
            ValueError: If a parameter does not offer it, or this laboratory is that of another.
        """
        if module == self.spec.module or {module, self.spec.module} <= {"", JOINT}:
            return self
        if self._last is None or self._last.spec.module != module:
            if self.spec.module not in ("", JOINT):
                raise ValueError(f"`module` must be {self.spec.module!r} in its own laboratory, but got {module!r}.")
            spec, restricted = self.spec.replace(module=module), RestrictedSpace(self.space, module)
            self._last = Laboratory(spec, restricted, self.cohort, allow_local_code=self.allow_local_code)
            self._last.__dict__["store"] = self.store
        return self._last

    @cached_property
    def store(self) -> Store:
        """Weights, predictions and records by key."""
        from nas_fusion.evaluation import Store

        return Store.open(self.spec.artifacts) if self.spec.artifacts else Store()

    @cached_property
    def worker(self) -> EvaluationWorker:
        """The worker, on its device."""
        from nas_fusion.evaluation import EvaluationWorker

        spec = self.spec
        return EvaluationWorker(
            self.space,
            self.cohort,
            store=self.store,
            plan=spec.plan,
            inherit=spec.inherit,
            seed=spec.seed,
            seeds=spec.seeds,
            device=spec.device,
        )

    @cached_property
    def groups(self) -> dict[str, str] | None:
        """Subject to its group (participant, site), `None` where there are none."""
        groups = self.cohort.groups
        return None if groups is None else dict(zip(self.cohort.subjects, groups, strict=True))

    def label(self, configuration: Configuration) -> str:
        """Return a configuration in a few words."""
        return points(self.space, configuration)

    @property
    def n_folds(self) -> int:
        """Number of folds, each a training of its own."""
        return 0 if self.cohort.splits is None else len(self.cohort.splits.folds)

    def epochs(self, configuration: Configuration) -> int:
        """Return the largest number of epochs in which a fold of a configuration is trained."""
        plans = [replace(stage.plan, **self.spec.plan) for stage in self.space.stages(configuration, self.cohort.inputs)]
        return sum(plan.epochs for plan in plans)

    def sampler(self, spec: StudySpec) -> BaseSampler:
        """Return the sampler of a specification on this space.

        Raises:
            ValueError: If there is none of that name, an option is wrong, or it needs a supernet that the space does not have.
        """
        find_again(spec, kinds=("samplers",), allow_local_code=self.allow_local_code)
        sampler = load_sampler(
            spec.sampler, self.space, seed=spec.seed, inherit=spec.inherit, n_trials=spec.trials, **spec.sampler_options
        )
        check_rankable(sampler, self.space)
        return sampler

    def pruner(self, spec: StudySpec) -> BasePruner:
        """Return the pruner of a specification: none, unless it is shortened."""
        return pruner_of(spec, self)


def prepare(spec: StudySpec, *, allow_local_code: bool = False) -> Laboratory:
    """Return the laboratory of a study that exists.

    Args:
        spec: Its specification.
        allow_local_code: Whether code of files that it names may run.

    Raises:
        ValueError: If the data are not what the study was made with any more, or something that it names is not installed.
    """
    from nas_fusion.cohorts import load_cohort
    from nas_fusion.space import load_space

    find_again(spec, allow_local_code=allow_local_code)
    cohort = load_cohort(spec.source, **spec.source_options)
    for name, found, made_with in (
        ("fingerprint", cohort.fingerprint, spec.fingerprint),
        ("split", split_digest(cohort.splits), spec.split),
    ):
        if found != made_with:
            raise ValueError(
                f"`data` must be what the study was made with, but the {name} of {spec.source} "
                f"is now {found[:12]}, not {made_with[:12]}."
            )
    space = load_space(spec.space, **spec.space_options)
    space = RestrictedSpace(space, spec.module) if spec.module not in ("", JOINT) else space
    return Laboratory(spec, space, cohort, allow_local_code=allow_local_code)


def split_digest(splits: Splits | None) -> str:
    """Return a digest of which subjects train, validate and test."""
    if splits is None:
        raise ValueError("`splits` must be drawn before a cohort is searched, but there are none.")
    text = json.dumps([[[fold.train, fold.validation] for fold in splits.folds], splits.test])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
