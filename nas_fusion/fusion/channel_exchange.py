"""Channel exchange: a channel that its stream does not need is replaced by the other streams' one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nas_fusion.fusion.module import FusionModule
from nas_fusion.fusion.options import check_at_least
from nas_fusion.fusion.spatial import resampled


class ChannelExchange(FusionModule):
    r"""Scales each channel, and replaces those whose scale fell below a threshold by the mean of the other streams' channels.

    With a scale :math:`\gamma_{i,c}` a stream and channel, each 1 in a new module,

    .. math::
        \tilde X_{i,c} = \begin{cases}
        \frac{1}{n - 1} \sum_{j \ne i} \gamma_{j,c} X_{j,c} & \text{where } \gamma_{i,c} < \theta \text{ and } c \in C_i \\
        \gamma_{i,c} X_{i,c} & \text{elsewhere.} \end{cases}

    The channels are divided into n equal parts in turn and stream i is given others' only in its own part :math:`C_i`, so that
    no channel is lost in all streams. `penalty`, the sum of :math:`|\gamma|` over those parts times `sparsity`, is what closes
    channels. A new module exchanges nothing: it is the identity. The loss does not move the scale of a channel that is
    exchanged, while penalty and weight decay hold it near 0: so it stays exchanged.

    With optimisers such as Adam a scale falls by about the learning rate a step at most: from 1 to 0.02 takes 1000 steps at
    1e-3. In a training that is shorter nothing is ever exchanged, unless `threshold` is higher (a channel is then exchanged as
    soon as its scale is so small).

    An absent modality (a stream of zeros) does not count in the mean; where all others are absent the mean is zero. Another
    resolution is brought to that of stream i by area averaging.

    Reference: Wang et al., Deep Multimodal Fusion by Channel Exchanging, NeurIPS 2020, `arXiv 2011.05005
    <https://arxiv.org/abs/2011.05005>`_, section 3 (exchange by comparing scaling factors, an L1 norm on them in the loss, and
    the division into parts). There the scales are those of batch normalisation inside streams that share their convolutions,
    at many layers; here they are the module's own, at one point of streams that share nothing, since a module that normalised
    would not be the identity. The defaults of `threshold` and `sparsity` are those of the authors' published settings for
    semantic segmentation.

    Args:
        channels: Channels of each stream's feature map, at least two streams, equal, at least as many as streams.
        spatial_dims: Number of spatial axes, 0 (vectors) to 3.
        threshold: The scale :math:`\theta` below which a channel is exchanged, in (0, 1).
        sparsity: Weight of the penalty, at least 0.

    Raises:
        ValueError: If an option is out of its range, the streams differ in their channels or have fewer than there are streams.
    """

    def __init__(
        self, channels: Sequence[int], *, spatial_dims: int = 3, threshold: float = 0.02, sparsity: float = 2e-4
    ) -> None:
        super().__init__(channels, spatial_dims=spatial_dims)
        check_at_least(0, sparsity=sparsity)
        if not 0 < threshold < 1:
            raise ValueError(f"`threshold` must be in (0, 1), but got {threshold!r}.")
        if len(set(self.channels)) > 1 or self.channels[0] < len(self.channels):
            rule = f"equal and at least {len(self.channels)} for an exchange among {len(self.channels)} streams"
            raise ValueError(f"`channels` must be {rule}, but got {list(self.channels)}.")
        self.threshold, self.sparsity = threshold, sparsity
        self.scales = nn.Parameter(torch.ones(len(self.channels), self.channels[0]))
        part = torch.arange(self.channels[0]) * len(self.channels) // self.channels[0]
        self.register_buffer("parts", part == torch.arange(len(self.channels))[:, None], persistent=False)

    def exchanged(self) -> torch.Tensor:
        """Return which channels of each stream are others': boolean `(streams, channels)`."""
        return self.get_buffer("parts") & (self.scales.detach() < self.threshold)

    def penalty(self) -> torch.Tensor:
        """Return the weighted L1 norm of the scales that may fall."""
        return self.sparsity * (self.scales.abs() * self.get_buffer("parts")).sum()

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return each stream's features `(batch, channels[i], *spatial_i)`, scaled, some channels those of others."""
        self.check(features)
        shape = (1, -1, *[1] * self.spatial_dims)
        scaled = [x * scale.to(x.dtype).reshape(shape) for x, scale in zip(features, self.scales, strict=True)]
        shown = [(x != 0).flatten(1).any(1).reshape(-1, 1, *shape[2:]) for x in features]
        fused = []
        for i, (own, exchanged) in enumerate(zip(scaled, self.exchanged(), strict=True)):
            size = tuple(own.shape[2:])
            others = torch.stack([resampled(x, size).to(own.dtype) for j, x in enumerate(scaled) if j != i]).sum(0)
            present = torch.stack([mask for j, mask in enumerate(shown) if j != i]).sum(0).clamp_min(1)
            fused.append(torch.where(exchanged.reshape(shape), others / present.to(own.dtype), own))
        return fused
