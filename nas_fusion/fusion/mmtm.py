"""The multimodal transfer module: channel gates of each stream, computed from all streams."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule

GATES = ("sigmoid", "softmax")
INITS = ("identity", "default")


class MMTM(FusionModule):
    r"""Squeezes all streams into one joint vector, from which each stream's channels are gated.

    With :math:`S_i` the mean over space of stream i,

    .. math::
        Z = \mathrm{ReLU}(W [S_1, \dots, S_n] + b), \quad E_i = W_i Z + b_i, \quad \tilde X_i = g(E)_i \odot X_i,

    where :math:`Z` has `sum(channels) // ratio` entries (at least one) and the gate :math:`g` is :math:`2 \sigma(E_i)`, or
    :math:`n` times the softmax of :math:`E_1, \dots, E_n` across the n streams, channel by channel. Both gates are 1 where the
    excitations are 0, which the default initialisation makes them: a new module is the identity.

    References:
        - Vaezi Joze et al., MMTM: Multimodal Transfer Module for CNN Fusion, CVPR 2020, `arXiv 1911.08670
          <https://arxiv.org/abs/1911.08670>`_, section 3 (squeeze, excitation, the gate 2σ).
        - `arXiv 2505.02467 <https://arxiv.org/abs/2505.02467>`_, section III.C ("gating vectors via softmax"; the text leaves
          the axis open, across the modalities and scaled by n is our reading).

    Args:
        channels: Channels of each stream's feature map, at least two streams.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.
        ratio: How many times smaller the joint vector is than all channels together, at least 1.
        gate: `sigmoid` or `softmax`. The softmax compares the same channel of all streams, so it needs equal channels.
        init: `identity` (excitation starts at zero) or `default` (torch's, which changes a trained network when activated).

    Raises:
        ValueError: If an option is out of its range, or `gate` is `softmax` and the streams differ in their channels.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        spatial_dims: int = 3,
        ratio: float = 4,
        gate: str = "sigmoid",
        init: str = "identity",
    ) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        _check(self.channels, ratio=ratio, gate=gate, init=init)
        self.gate = gate
        joint = max(1, int(sum(self.channels) / ratio))
        self.squeeze = nn.Linear(sum(self.channels), joint)
        self.excitations = nn.ModuleList(nn.Linear(joint, width) for width in self.channels)
        if init == "identity":
            for parameter in self.excitations.parameters():
                nn.init.zeros_(parameter)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)`, its channels gated."""
        self.check(features)
        means = [feature.flatten(2).mean(2) if feature.ndim > 2 else feature for feature in features]
        joint = torch.relu(self.squeeze(torch.cat(means, dim=1)))
        gates = self._gates([excite(joint) for excite in self.excitations])
        return [
            feature * gate.to(feature.dtype).reshape(*gate.shape, *[1] * self.spatial_dims)
            for feature, gate in zip(features, gates, strict=True)
        ]

    def _gates(self, excitations: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        if self.gate == "sigmoid":
            return [2 * torch.sigmoid(excitation) for excitation in excitations]
        return (len(excitations) * torch.softmax(torch.stack(excitations), dim=0)).unbind(0)


class MMTMAsPublished(MMTM):
    """MMTM as the text of arXiv 2505.02467, section III.C, describes it: softmax gates, torch's default initialisation.

    It is *not* the identity when it is fresh: activating it disturbs inherited weights. It is here for comparison.

    Args:
        channels: Channels of each stream's feature map, at least two streams, equal.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.
        ratio: How many times smaller the joint vector is than all channels together, at least 1.

    Raises:
        ValueError: If an option is out of its range, or the streams differ in their channels.
    """

    def __init__(self, channels: Sequence[int], *, spatial_dims: int = 3, ratio: float = 4) -> None:
        super().__init__(channels, spatial_dims=spatial_dims, ratio=ratio, gate="softmax", init="default")


def _check(channels: Sequence[int], *, ratio: float, gate: str, init: str) -> None:
    if not ratio >= 1:
        raise ValueError(f"`ratio` must be at least 1, but got {ratio!r}.")
    if gate not in GATES:
        raise ValueError(f"`gate` must be one of {', '.join(GATES)}, but got {gate!r}.")
    if init not in INITS:
        raise ValueError(f"`init` must be one of {', '.join(INITS)}, but got {init!r}.")
    if gate == "softmax" and len(set(channels)) > 1:
        raise ValueError(f"`channels` must be equal for the gate 'softmax', which compares streams, but got {list(channels)}.")
