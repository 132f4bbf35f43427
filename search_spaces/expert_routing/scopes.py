"""What is searched: the parameters of a scope, their choices, and when they have no effect."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from search_spaces.expert_routing.network import FUSED, branch_names

SCOPES = ("branches", "full")
STATIC = "static"
ON, OFF = "on", "off"

_SPECIFIC = (STATIC, "e3k2")
_FUSED = (STATIC, "e2k2", "e3k2", "e4k2")
# Two experts of which two run are dense but for the noise: `e2dense` would be `e2k2` without noise once more.
_EVERY = (STATIC, "e2k1", "e2k2", *(f"e{experts}{k}" for experts in (3, 4, 6) for k in ("k1", "k2", "dense")))

_SWITCH = (ON, OFF)
CHOICES: Mapping[str, tuple[str, ...]] = {
    "granularity": ("node", "subject"),
    "noise": _SWITCH,
    "normalise": ("after", "before"),
    "router": ("per_branch", "shared"),
    "init": ("copy", "copy_noise"),
    "stage1": _SWITCH,
    "stage2": _SWITCH,
    "contrastive": _SWITCH,
    "distillation": _SWITCH,
    "disentanglement": _SWITCH,
    "balance": _SWITCH,
    "alpha": ("0.2", "0.4", "0.6", "0.8"),
    "beta": ("0.3", "0.5", "0.7", "0.9"),
    "stage3_trainable": ("all", "fusion_only"),
    "layers": ("1", "2", "3"),
    "expert": ("linear", "mlp"),
    "pooling": ("mean", "add", "max"),
    "threshold": ("0.02", "0.06", "0.12", "0.2", "0.3"),
}
"""Choices of every option that is a parameter in scope `full`: the paper's, and what its authors sweep."""


ALSO_LOOKED_AT = ("gating", "threshold_by")
"""Options that are never parameters but decide whether others have an effect."""


@dataclass(frozen=True)
class Composite:
    """How many experts a branch has, and how many of them run.

    Attributes:
        experts: At least 2.
        k: How many experts of the highest gates run for a token; `None` for all of them.
    """

    experts: int
    k: int | None


@cache
def composite(choice: str) -> Composite | None:
    """Return what a choice such as `e3k2` or `e4dense` means; `None` for `static`.

    Raises:
        ValueError: If it is no such choice.
    """
    if choice == STATIC:
        return None
    found = re.fullmatch(r"e(\d+)(?:k(\d+)|dense)", choice)
    if found is None:
        raise ValueError(f"`choice` must be {STATIC!r} or look like 'e3k2' or 'e3dense', but got {choice!r}.")
    experts, k = found.groups()
    return Composite(int(experts), None if k is None else int(k))


def check_branches(modalities: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the branches of some modalities if they can be names of parameters.

    Raises:
        ValueError: If there are fewer than two modalities, or names are not unique once they are names of parameters.
    """
    if len(modalities) < 2:
        raise ValueError(f"`modalities` must be at least two to fuse, but got {list(modalities)}.")
    branches = branch_names(modalities)
    if len({*branches, *CHOICES}) < len(branches) + len(CHOICES):
        raise ValueError(
            f"`modalities` must differ in lower case from each other, from {FUSED!r} and from the options "
            f"{', '.join(CHOICES)}, but got {list(modalities)}."
        )
    return branches


def parameters(
    scope: str, branches: Sequence[str], first: Mapping[str, str], *, always_top_1: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return the parameters of a scope with their choices, the first of which is the preset's.

    Args:
        scope: `branches` or `full`.
        branches: Names of the branches, `fused` last.
        first: Name to choice of every other option that can be a parameter; what is missing is none.
        always_top_1: Whether only the expert of the highest gate runs, whatever a choice's k.
    """
    is_full = scope == "full"
    mixtures = {branch: _EVERY if is_full else _FUSED if branch == FUSED else _SPECIFIC for branch in branches}
    if always_top_1:
        mixtures = {branch: tuple(dict.fromkeys(map(_top_1, choices))) for branch, choices in mixtures.items()}
    searched = [name for name in CHOICES if name in first and (is_full or name == "granularity")]
    return {**mixtures, **{name: tuple(dict.fromkeys((first[name], *CHOICES[name]))) for name in searched}}


def _top_1(choice: str) -> str:
    return re.sub(r"(k\d+|dense)$", "k1", choice) if choice != STATIC else choice


# --- when a parameter has no effect ---


def can_matter(option: str, choices: Mapping[str, str]) -> bool:
    """Return whether there are choices of the others with which an option has an effect, given those that are no parameters."""
    if option in ("noise", "normalise"):
        return choices["gating"] == "top_k"
    return option in CHOICES and (option != "threshold" or choices["threshold_by"] == "density")


def has_effect(parameter: str, choices: Mapping[str, str], branches: Sequence[str]) -> bool:
    """Return whether a parameter has any effect given all choices, those that are not searched and `gating` included.

    What has no effect: how mixtures are gated, where no branch has one; noise, where all experts run or the router has none;
    the order of selection and normalisation, where nothing is left out or the router has none; a shared router, where no two
    layers have equal mixtures; how experts start, without a stage 2 to start from; balance,
    where gates are constant or counted; coefficients of terms that are not there; terms of stages that are not there.
    """
    rule = _RULES.get(parameter)
    return rule is None or rule(choices, [mixture for branch in branches if (mixture := composite(choices[branch]))])


_Mixtures = Sequence[Composite]
_Choices = Mapping[str, str]


def _is_selective(choices: _Choices, mixtures: _Mixtures) -> bool:
    return choices["gating"] == "top_k" and any(mixture.k and mixture.k < mixture.experts for mixture in mixtures)


def _is_noisy(choices: _Choices, mixtures: _Mixtures) -> bool:
    return choices["gating"] == "top_k" and any(mixture.k for mixture in mixtures)


def _can_share(choices: _Choices, mixtures: _Mixtures) -> bool:
    return any(branches * int(choices["layers"]) > 1 for branches in Counter(mixtures).values())


def _can_balance(choices: _Choices, mixtures: _Mixtures) -> bool:
    """Return whether the balance loss has a gradient: the only gate of k = 1, normalised after, is the constant 1."""
    is_soft = choices["gating"] != "top_k" or choices["noise"] == ON or choices["normalise"] == "before"
    return any(is_soft or mixture.k != 1 for mixture in mixtures)


def _weighs(choices: _Choices, mixtures: _Mixtures) -> bool:
    return choices["disentanglement"] == ON or (choices["balance"] == ON and _can_balance(choices, mixtures))


def _aligns(choices: _Choices, mixtures: _Mixtures) -> bool:
    return choices["stage2"] == ON and (choices["contrastive"] == ON or choices["stage1"] == choices["distillation"] == ON)


_RULES: Mapping[str, Callable[[_Choices, _Mixtures], bool]] = {
    "granularity": lambda choices, mixtures: bool(mixtures),
    "noise": _is_noisy,
    "normalise": _is_selective,
    "router": _can_share,
    "init": lambda choices, mixtures: bool(mixtures) and choices["stage2"] == ON,
    "balance": _can_balance,
    "alpha": _weighs,
    "contrastive": lambda choices, mixtures: choices["stage2"] == ON,
    "distillation": lambda choices, mixtures: ON == choices["stage1"] == choices["stage2"],
    "beta": _aligns,
}
