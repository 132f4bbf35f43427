"""The search space of expert routing: which branches of a model of connectomes have mixtures of experts, and how they route."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nas_fusion import Configuration, SearchSpace, Stage
from nas_fusion.spelling import did_you_mean
from search_spaces.expert_routing.ablations import ablations
from search_spaces.expert_routing.network import ConnectomeNetwork, Mixture, check_modalities
from search_spaces.expert_routing.options import as_text, changed, chosen, sort_options
from search_spaces.expert_routing.presets import PRESETS
from search_spaces.expert_routing.references import references
from search_spaces.expert_routing.scopes import (
    ALSO_LOOKED_AT,
    CHOICES,
    SCOPES,
    can_matter,
    check_branches,
    composite,
    has_effect,
    parameters,
)
from search_spaces.expert_routing.stages import Design, stages
from search_spaces.expert_routing.words import WORDS

if TYPE_CHECKING:
    from nas_fusion import Reference
    from nas_fusion.cohorts import Inputs
    from search_spaces.expert_routing.architecture import ModelOptions
    from search_spaces.expert_routing.method import Method


class ExpertRoutingSpace(SearchSpace):
    """One parameter a branch: a single expert (`static`), or a mixture such as `e3k2`, 3 experts of which 2 run.

    The space of `arXiv 2604.01667 <https://arxiv.org/abs/2604.01667>`_ (M3D-BFS) for two or more connectomes. Each modality has
    a branch of its own, in lower case; the branch `fused` sees the tokens of all. The baseline is the static model. Parameters
    without effect are off, so that equivalent configurations are one.

    Example:
        >>> space = ExpertRoutingSpace()
        >>> dict(space.parameters)["fused"]
        ('static', 'e2k2', 'e3k2', 'e4k2')
        >>> space.n_configurations
        31

    Args:
        scope: `branches` (the mixtures and their granularity) or `full` (all options that the paper names; far too many for
            exhaustive search).
        modalities: Names of the modalities, at least two.
        preset: `small` (trained in seconds), `as_published` (the paper's choices) or `as_released` (what the code that the
            authors released effectively trains: one expert a token, output divided by the number of experts).
        **options: Whatever differs from the preset: fields of `ModelOptions` (`encoder`, `hidden`, `threshold`, ...), of
            `Method` (`alpha`, `stage1`, `noise`, ...), and of `TrainingPlan` for all stages (`epochs`) or for one
            (`stage2_epochs`). Where an option is a parameter, it becomes the parameter's first choice.

    Raises:
        ValueError: If the scope, a modality, the preset or an option is unknown or out of its range.
    """

    name = "expert-routing"
    cohort = "simulated-connectomes"
    presets = ("small", "as_published")
    complete_only = True
    words = WORDS
    takes_plugins = MappingProxyType({"gating": "routers"})

    def __init__(
        self,
        scope: str = "branches",
        modalities: Sequence[str] | str = ("SC", "FC"),
        preset: str = "small",
        **options: Any,
    ) -> None:
        _check_word("scope", scope, SCOPES)
        _check_word("preset", preset, tuple(PRESETS))
        self.scope, self.preset = scope, preset
        self.modalities = _names("modalities", modalities)
        self.branches = check_branches(self.modalities)
        given, default = sort_options(options), PRESETS[preset]
        first, second, third = (changed(plan, own) for plan, own in zip(default.plans, given.plans, strict=True))
        model, method = changed(default.model, given.model), changed(default.method, given.method)
        self.design = Design(model, method, dict.fromkeys(self.branches), (first, second, third))
        _check_weights(scope, method)
        _check_anchor(model, method)
        self._options = dict(options)
        self._fixed = _as_choices(self.design)
        first_choices = {name: text for name, text in self._fixed.items() if can_matter(name, self._fixed)}
        super().__init__(parameters(scope, self.branches, first_choices, always_top_1=default.always_top_1))

    def options(self) -> dict[str, Any]:
        """Return what must be given to `load_space` to get this space again: JSON-compatible keyword arguments."""
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in self._options.items()}
        return {"scope": self.scope, "modalities": list(self.modalities), "preset": self.preset, **own}

    def meaning(self) -> dict[str, Any]:
        """Return what networks and method are made of, the preset's values included."""
        return {"model": asdict(self.design.model), "method": asdict(self.design.method)}

    def uses(self, configuration: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Return the plug-ins that the network of a configuration is made of: the space, and the routers of its mixtures."""
        mixtures = [mixture for mixture in self.design_of(configuration).mixtures.values() if mixture is not None]
        routers = tuple(dict.fromkeys(mixture.router_options()[0] for mixture in mixtures))
        return super().uses(configuration) | ({"routers": routers} if routers else {})

    def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
        """Return whether a parameter has any effect given the other choices of a configuration."""
        return has_effect(parameter, {**self._fixed, **configuration}, self.branches)

    def build(self, configuration: Mapping[str, str], inputs: Inputs) -> ConnectomeNetwork:
        """Return the freshly initialised network of a configuration, drawn from torch's global generator.

        Raises:
            ValueError: If it is not a configuration of this space, or the inputs are not the connectomes that it is for.
        """
        self.check_inputs(inputs)
        return self.design_of(configuration).network(inputs)

    def stages(self, configuration: Mapping[str, str], inputs: Inputs) -> list[Stage]:
        """Return the training stages of a configuration: each encoder alone, the static network, the routed one.

        Raises:
            ValueError: As `build`.
        """
        self.check_inputs(inputs)
        return stages(self.design_of(configuration), self.canonical(configuration), inputs)

    def references(self, inputs: Inputs) -> dict[str, Reference]:
        """Return the comparison arms: each modality alone, late fusion, logistic regressions, dense mixtures."""
        self.check_inputs(inputs)
        return references(self.design_of(self.baseline), self.baseline, inputs)

    def ablations(self) -> dict[str, tuple[ExpertRoutingSpace, Configuration]]:
        """Return what is trained for the ablations of the paper: title to a space of scope `full` and a configuration of it.

        It is the same space for all, so that stages are shared. What an option has switched off already is no ablation.
        """
        space = type(self)("full", self.modalities, self.preset, **self._options)
        top_1, trainable = PRESETS[self.preset].always_top_1, self.design.method.stage3_trainable
        found: dict[str, Configuration] = {}
        for title, choices in ablations(self.branches, always_top_1=top_1, trainable=trainable).items():
            configuration = space.canonical(space.complete(choices))
            if configuration not in found.values():
                found[title] = configuration
        return {title: (space, configuration) for title, configuration in found.items()}

    def design_of(self, configuration: Mapping[str, str]) -> Design:
        """Return what a configuration means: networks, terms of the losses, training plans.

        Raises:
            ValueError: If it is not a configuration of this space.
        """
        self.check(configuration)
        canonical = self.canonical(configuration)
        method = chosen(self.design.method, canonical)
        return replace(
            self.design,
            model=chosen(self.design.model, canonical),
            method=method,
            mixtures={branch: _mixture(canonical[branch], method) for branch in self.branches},
        )

    def check_inputs(self, inputs: Inputs) -> None:
        """Raise unless a cohort has the connectomes that this space is for, and something to tell apart.

        Raises:
            ValueError: If it does not.
        """
        if set(inputs.names) != set(self.modalities):
            raise ValueError(
                f"`modalities` must be those of the cohort, {', '.join(inputs.names)}, but got {', '.join(self.modalities)}."
            )
        check_modalities(inputs.modalities)
        if len(inputs.classes) < 2:
            raise ValueError(f"`inputs` must have at least two classes, but got {list(inputs.classes)}.")


def _check_weights(scope: str, method: Method) -> None:
    if scope == "full" and not (0 < method.alpha < 1 and method.beta > 0):
        raise ValueError(
            f"`alpha` must be in (0, 1) and `beta` above 0 in scope 'full', where terms are switched off by name, but got "
            f"{method.alpha} and {method.beta}."
        )


def _check_anchor(model: ModelOptions, method: Method) -> None:
    if method.disentanglement and model.anchor not in (None, model.projection):
        raise ValueError(
            f"`anchor` must be as wide as `projection` for disentanglement, {model.projection}, but got {model.anchor}."
        )


def _as_choices(design: Design) -> dict[str, str]:
    """Return the fields of a design that rules look at, as choices."""
    return {
        field.name: as_text(getattr(part, field.name))
        for part in (design.method, design.model)
        for field in fields(part)
        if field.name in (*CHOICES, *ALSO_LOOKED_AT)
    }


def _check_word(argument: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise ValueError(f"`{argument}` must be one of {', '.join(known)}, but got {word!r}.{did_you_mean(word, known)}")


def _names(argument: str, names: Sequence[str] | str) -> tuple[str, ...]:
    listed = names.split(",") if isinstance(names, str) else names if isinstance(names, Iterable) else ()
    found = tuple(name.strip() if isinstance(name, str) else name for name in listed)
    if not found or not all(isinstance(name, str) and name for name in found):
        raise ValueError(f"`{argument}` must be names, but got {names!r}.")
    return found


def _mixture(choice: str, method: Method) -> Mixture | None:
    found = composite(choice)
    if found is None:
        return None
    granularity = "token" if method.granularity == "node" else "subject"
    return Mixture(found.experts, found.k, method.gating, granularity, noise=method.noise, normalise=method.normalise)
