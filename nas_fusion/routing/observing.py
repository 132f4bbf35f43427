"""Looking at the routing inside a model, and replacing it, while the model stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from nas_fusion.routing.mixture import MixtureOfExperts
from nas_fusion.routing.router import Routing


@contextmanager
def routings(model: nn.Module) -> Iterator[dict[str, Routing]]:
    """Collect the routing of every mixture inside a model.

    Within the context every forward pass leaves its routings in the dictionary, in place of those of the pass before. They are
    part of the autograd graph, where there is one.

    Args:
        model: Any module that has a `MixtureOfExperts` somewhere inside, or is one (under the name "").

    Yields:
        Name of the mixture in `model.named_modules()` to its last routing; empty until the first forward pass.

    Raises:
        ValueError: If the model has no mixture.

    Example:
        >>> with routings(model) as found:
        ...     logits = model(tokens)
        >>> found["layer.0"].usage
    """
    mixtures = _mixtures(model)
    if not mixtures:
        raise ValueError(f"`model` must have a MixtureOfExperts inside, but got {type(model).__name__} without one.")
    found: dict[str, Routing] = {}
    with ExitStack() as hooks:
        for name, mixture in mixtures.items():
            hooks.enter_context(mixture.register_forward_hook(_collector(found, name)))
        yield found


@contextmanager
def replaced_gates(model: nn.Module, gates: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Let some mixtures of a model use given gates instead of their routers', as if the routers had returned them.

    Args:
        model: A module with mixtures inside.
        gates: Name of a mixture in `model.named_modules()` to its gates, `(batch, tokens, experts)`, or with 1 in place of
            batch or tokens for the same gates in all of them. The other mixtures ask their routers.

    Raises:
        ValueError: If a name is not that of a mixture; in the forward pass, if gates have another shape.
    """
    mixtures = _mixtures(model)
    unknown = sorted(set(gates) - set(mixtures))
    if unknown:
        raise ValueError(f"`gates` must be for mixtures of the model, {', '.join(mixtures) or '(none)'}, but got {unknown}.")
    with ExitStack() as hooks:
        for name, given in gates.items():
            hooks.enter_context(mixtures[name].register_forward_pre_hook(_replacer(given), with_kwargs=True))
        yield


def _mixtures(model: nn.Module) -> dict[str, MixtureOfExperts]:
    return {name: module for name, module in model.named_modules() if isinstance(module, MixtureOfExperts)}


def _collector(found: dict[str, Routing], name: str) -> Any:
    def collect(module: nn.Module, args: tuple[Any, ...], output: tuple[torch.Tensor, Routing]) -> None:
        found[name] = output[1]

    return collect


def _replacer(gates: torch.Tensor) -> Any:
    def replace(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args[:1], {**kwargs, "gates": gates}

    return replace
