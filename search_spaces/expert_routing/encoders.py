"""Graph encoders: from a connectome to one token a region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.expert_routing.dropout import Dropout, ReLUDropout
from search_spaces.expert_routing.features import RegionFeatures
from search_spaces.expert_routing.layers import TokenNorm
from search_spaces.expert_routing.linear import TokenLinear

if TYPE_CHECKING:
    from nas_fusion.cohorts import Modality
    from search_spaces.expert_routing.architecture import ModelOptions


class GCNLayer(nn.Module):
    """Graph convolution `A X W`, batch normalisation, ReLU, dropout (Kipf and Welling 2017, arXiv 1609.02907, equation 2).

    There is no bias, which the normalisation would remove, and no residual connection.

    Args:
        features: Features of a region before.
        out: Features after.
        dropout: Probability in [0, 1).
    """

    def __init__(self, features: int, out: int, dropout: float) -> None:
        super().__init__()
        self.linear = TokenLinear(features, out)
        self.norm = TokenNorm(out)
        self.dropout = ReLUDropout(dropout)

    def forward(self, tokens: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        """Return tokens `(batch, regions, out)`.

        Args:
            tokens: `(batch, regions, features)`.
            graph: Normalised adjacency `(batch, regions, regions)`.
        """
        if self.linear.in_features <= self.linear.out_features:
            tokens = self.linear(graph @ tokens)
        else:
            tokens = graph @ self.linear(tokens)
        found: torch.Tensor = self.dropout(self.norm(tokens))
        return found


class GINLayer(nn.Module):
    """Graph isomorphism layer `MLP((1 + e) x + sum of the neighbours' x)` (Xu et al. 2019, arXiv 1810.00826, equation 4.1).

    `e` is learned and starts at 0; batch normalisation, ReLU and dropout follow.

    Args:
        features: Features of a region before.
        out: Features after.
        dropout: Probability in [0, 1).
    """

    def __init__(self, features: int, out: int, dropout: float) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(()))
        self.mlp = nn.Sequential(TokenLinear(features, out), TokenNorm(out), nn.ReLU(), TokenLinear(out, out))
        self.norm = TokenNorm(out)
        self.dropout = ReLUDropout(dropout)

    def forward(self, tokens: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        """Return tokens `(batch, regions, out)`.

        Args:
            tokens: `(batch, regions, features)`.
            graph: Binary adjacency without self-loops `(batch, regions, regions)`.
        """
        gathered = torch.baddbmm((1 + self.epsilon) * tokens, graph, tokens)
        found: torch.Tensor = self.dropout(self.norm(self.mlp(gathered)))
        return found


class GraphTransformerLayer(nn.Module):
    """Attention of each region to itself and its neighbours, then a feed-forward layer, each with residual and batch norm.

    After Dwivedi and Bresson 2021 (arXiv 2012.09699, section 2); positions need no encoding since regions are the same in all
    subjects. The first layer maps the features to the width of the tokens.

    Args:
        features: Features of a region before.
        out: Features after.
        dropout: Probability in [0, 1).
    """

    def __init__(self, features: int, out: int, dropout: float) -> None:
        super().__init__()
        self.heads = next(heads for heads in (4, 2, 1) if out % heads == 0)
        self.embed = nn.Identity() if features == out else nn.Linear(features, out)
        self.queries_keys_values = nn.Linear(out, 3 * out)
        self.mix = nn.Linear(out, out, bias=False)
        self.feed_forward = nn.Sequential(nn.Linear(out, 2 * out), nn.ReLU(), nn.Linear(2 * out, out, bias=False))
        self.norms = nn.ModuleList([TokenNorm(out), TokenNorm(out)])
        self.dropout = Dropout(dropout)

    def forward(self, tokens: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        """Return tokens `(batch, regions, out)`.

        Args:
            tokens: `(batch, regions, features)`.
            graph: Binary adjacency without self-loops `(batch, regions, regions)`.
        """
        tokens = self.embed(tokens)
        tokens = self.norms[0](tokens + self.dropout(self.mix(self._attend(tokens, graph))))
        found: torch.Tensor = self.norms[1](tokens + self.dropout(self.feed_forward(tokens)))
        return found

    def _attend(self, tokens: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        parts = self.queries_keys_values(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        itself = torch.eye(graph.shape[-1], dtype=torch.bool, device=graph.device)
        seen = ((graph != 0) | itself).unsqueeze(1)
        queries, keys, values = parts.unbind(0)
        attended = nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
        return attended.transpose(1, 2).flatten(2)


LAYERS: dict[str, Callable[[int, int, float], nn.Module]] = {
    "gcn": GCNLayer,
    "gin": GINLayer,
    "graph_transformer": GraphTransformerLayer,
}


class GraphEncoder(nn.Module):
    """From the connectomes of one modality to one token a region.

    Args:
        modality: Name, kind and shape `(regions, regions)`.
        options: Kind, number and width of the layers, features and graph.
    """

    def __init__(self, modality: Modality, options: ModelOptions) -> None:
        super().__init__()
        self.features = RegionFeatures(modality, options)
        widths = [self.features.width, *[options.hidden] * options.encoder_layers]
        layer = LAYERS[options.encoder]
        self.layers = nn.ModuleList(layer(a, b, options.dropout) for a, b in pairwise(widths))

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return tokens `(batch, regions, hidden)`; `inputs` hold the connectomes and what `Graphs` has precomputed."""
        tokens, graph = self.features(inputs), self.features.graph(inputs)
        for layer in self.layers:
            tokens = layer(tokens, graph)
        return tokens
