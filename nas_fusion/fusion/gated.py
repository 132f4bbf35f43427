"""Gates: every candidate module of a point at once, each as open as it is probable."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from nas_fusion.fusion.joins import Taps
from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.network import FusionNetwork
from nas_fusion.fusion.stream import Stream


class Gate(nn.Module):
    r"""A relaxed choice: how open each of several choices is.

    .. math:: g = \mathrm{softmax}((\alpha + G) / \tau)

    with the logits :math:`\alpha`, independent standard Gumbel noise :math:`G` and the temperature :math:`\tau`: a sample of
    the concrete distribution, which falls on one choice as :math:`\tau \to 0`. In evaluation mode
    :math:`g = \mathrm{softmax}(\alpha)`, the probability of each choice. All choices begin as equally probable.

    References:
        - Maddison et al., The Concrete Distribution, ICLR 2017, `arXiv 1611.00712 <https://arxiv.org/abs/1611.00712>`_, eq. 10.
        - Jang et al., Categorical Reparameterization with Gumbel-Softmax, ICLR 2017, `arXiv 1611.01144
          <https://arxiv.org/abs/1611.01144>`_, eq. 2.

    Args:
        choices: How many, at least 2.
    """

    def __init__(self, choices: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(choices))
        self.temperature = 1.0
        self.noise: torch.Tensor | None = None

    def draw(self, temperature: float, generator: torch.Generator | None = None) -> None:
        """Set the temperature of the following forward passes in training mode, and draw the noise that they share.

        Args:
            temperature: Above 0.
            generator: Source of the noise, on the CPU; `None` for none.

        Raises:
            ValueError: If the temperature is not a finite number above 0.
        """
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(f"`temperature` must be a finite number above 0, but got {temperature!r}.")
        self.temperature = temperature
        self.noise = None
        if generator is not None:
            exponential = torch.empty(len(self.logits)).exponential_(generator=generator)
            self.noise = -exponential.clamp_min(torch.finfo(torch.float32).tiny).log()

    def forward(self) -> torch.Tensor:
        """Return how open each choice is: `(choices,)`, at least 0, sum 1."""
        if not self.training:
            return self.logits.softmax(0)
        logits = self.logits if self.noise is None else self.logits + self.noise.to(self.logits)
        return (logits / self.temperature).softmax(0)


class GatedFusion(FusionModule):
    r"""Interpolates between the identity and what each candidate module makes of the features.

    .. math:: \tilde X = X + \sum_{k \ge 1} g_k (M_k(X) - X)

    with a `Gate` on the choices, the first of which means off: the identity. Where the candidates begin as the identity, so
    does this.

    References:
        - Xie et al., SNAS, ICLR 2019, `arXiv 1812.09926 <https://arxiv.org/abs/1812.09926>`_, section 2.2: such gates on the
          choices of a network.
        - Liu et al., DARTS, ICLR 2019, `arXiv 1806.09055 <https://arxiv.org/abs/1806.09055>`_, section 2.2: without noise.

    Args:
        candidates: Name of a choice to its module, at least one, all built for the same streams.

    Raises:
        ValueError: If there is no candidate, or they were built for different streams.
    """

    def __init__(self, candidates: Mapping[str, FusionModule]) -> None:
        built_for = {(module.channels, module.spatial_dims) for module in candidates.values()}
        if len(built_for) != 1:
            raise ValueError(f"`candidates` must be modules for the same streams, at least one, but got {sorted(built_for)}.")
        channels, spatial_dims = built_for.pop()
        super().__init__(channels, spatial_dims=spatial_dims)
        self.choices = tuple(candidates)
        self.candidates = nn.ModuleList(candidates.values())
        self.gate = Gate(1 + len(candidates))

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)`, moved towards what the open candidates return."""
        self.check(features)
        fused = list(features)
        for weight, candidate in zip(self.gate()[1:], self.candidates, strict=True):
            moved = zip(fused, candidate(features), features, strict=True)
            fused = [current + weight.to(x.dtype) * (y - x) for current, y, x in moved]
        return fused

    def penalty(self) -> torch.Tensor | None:
        """Return the candidates' penalties, each as much as its gate is open; they do not move the gates."""
        found = [candidate.penalty() for candidate in self.candidates if isinstance(candidate, FusionModule)]
        weights = self.gate()[1:].detach()
        terms = [weight * term for weight, term in zip(weights, found, strict=True) if term is not None]
        return torch.stack(terms).sum() if terms else None


class GatedNetwork(FusionNetwork):
    """A network with gated candidates at its points: the supernet of all configurations of a space of fusion points.

    Its streams have the names that they have in every `FusionNetwork`, so that weights of A_0 are inherited by name.

    Args:
        streams: As of `FusionNetwork`.
        gated: Point to its gated candidates.
        taps: As of `FusionNetwork`.

    Raises:
        ValueError: As `FusionNetwork`.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        gated: Mapping[str, GatedFusion],
        *,
        taps: Mapping[str, Taps] | None = None,
    ) -> None:
        super().__init__(streams, gated, taps=taps)
        self._gates = {point: module.gate for point, module in gated.items()}

    @property
    def architecture(self) -> Mapping[str, nn.Parameter]:
        """Point to the logits of its choices, off first."""
        return {point: gate.logits for point, gate in self._gates.items()}

    def draw(self, temperature: float, generator: torch.Generator | None = None) -> None:
        """Set the temperature of every gate and draw its noise, see `Gate.draw`."""
        for gate in self._gates.values():
            gate.draw(temperature, generator)
