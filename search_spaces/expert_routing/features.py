"""Node features of a connectome: each region's own connectivity, standardised by the training subjects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.expert_routing.tangent import geometric_mean, project, whitening_of
from search_spaces.expert_routing.transforms import transform

if TYPE_CHECKING:
    from nas_fusion.cohorts import Modality
    from search_spaces.expert_routing.architecture import ModelOptions


class RegionFeatures(nn.Module):
    """The rows of a connectome as features of its regions.

    A `matrix` is transformed; a `covariance` is projected to the tangent space at the geometric mean of the training subjects.
    Graph measures may follow. Each entry is then standardised by its mean and standard deviation over the training subjects
    (or the root mean square of all these deviations of the connectivity); an entry that does not vary among them becomes 0.
    All that comes from training subjects is buffers, which `prepare` fills: before, nothing is shifted, scaled or whitened.

    Args:
        modality: Name, kind and shape `(regions, regions)`.
        options: Transform and measures.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    whitening: torch.Tensor

    def __init__(self, modality: Modality, options: ModelOptions) -> None:
        super().__init__()
        self.name, self.kind = modality.name, modality.kind
        self.transform = options.transform_of(modality.name)
        self.graphs = options.graphs([modality])
        self.by_entry = options.standardise == "entry"
        regions = modality.shape[0]
        self.width = regions + len(options.measures)
        self.register_buffer("mean", torch.zeros(regions, self.width))
        self.register_buffer("scale", torch.ones(regions, self.width))
        if self.kind == "covariance":
            self.register_buffer("whitening", torch.eye(regions, dtype=torch.float64))

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the features `(batch, regions, width)`; `inputs` hold the connectomes and what `Graphs` has precomputed."""
        return (self._describe(inputs) - self.mean) * self.scale

    def graph(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the graphs `(batch, regions, regions)`, computed where they are not precomputed."""
        return self._complete(inputs, f"{self.name}:graph")[f"{self.name}:graph"]

    @torch.no_grad()
    def prepare(self, inputs: Mapping[str, torch.Tensor]) -> None:
        """Set all buffers from the training subjects, at least one."""
        if self.kind == "covariance":
            self.whitening.copy_(whitening_of(geometric_mean(inputs[self.name])))
        values = self._describe(inputs).double()
        spread = values.std(0, correction=0)
        constant = spread <= 1e-6 * values.abs().amax(0)
        self.mean.copy_(values.mean(0))
        if not self.by_entry:
            rows = spread[:, : len(spread)]
            rows.fill_(rows.square().mean().sqrt())
        self.scale.copy_(torch.where(constant, 0, 1 / spread.masked_fill(constant, 1)))

    def _describe(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        found = inputs[self.name]
        if self.kind == "covariance":
            found = project(found, self.whitening)
        elif self.transform != "raw":
            key = f"{self.name}:features"
            found = inputs[key] if key in inputs else transform(found, self.transform)
        if self.graphs.measures:
            key = f"{self.name}:measures"
            found = torch.cat([found, self._complete(inputs, key)[key]], dim=2)
        return found

    def _complete(self, inputs: Mapping[str, torch.Tensor], key: str) -> Mapping[str, torch.Tensor]:
        return inputs if key in inputs else self.graphs(inputs)
