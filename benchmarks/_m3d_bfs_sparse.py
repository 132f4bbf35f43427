"""The routed network of M3D-BFS and its third loss once more, with sparse graphs in PyTorch Geometric.

Written from the paper (arXiv 2604.01667; gates: arXiv 1701.06538, section 2.1 and appendix A) as one would with that library,
with nothing of `search_spaces.expert_routing` in it: to check our numbers, and to compare the speed of a training step. The
nodes of all subjects lie along one axis, and a vector tells whose they are. What can be known before training (standardised
features, normalised weights of the edges) is in the data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import Batch, Data
from torch_geometric.nn import BatchNorm, GCNConv, global_mean_pool
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import dense_to_sparse, to_torch_csr_tensor

BRANCHES = ("sc", "fc", "fused")
_RENAMED = (  # a tensor of ours to the same tensor here
    (r"^encoders\.(\w+)\.layers\.(\d+)\.linear\.", r"encoders.\1.convolutions.\2.lin."),
    (r"^encoders\.(\w+)\.layers\.(\d+)\.norm\.", r"encoders.\1.norms.\2.module."),
    (r"^(specific|shared)\.(\w+)\.0\.", r"\1.\2.linear."),
    (r"^(specific|shared)\.(\w+)\.1\.", r"\1.\2.norm.module."),
    (r"\.experts\.(\d+)\.0\.", r".experts.\1.before.module."),
    (r"\.experts\.(\d+)\.2\.", r".experts.\1.linear."),
    (r"\.experts\.(\d+)\.3\.", r".experts.\1.after.module."),
    (r"\.router\.", "."),
    (r"^anchor\.0\.", "anchor."),
)
_NOT_HERE = ("temperature", "features.mean", "features.scale")


@dataclass(frozen=True)
class Sizes:
    """Widths and depths of the network, the paper's by default."""

    regions: int = 90
    hidden: int = 128
    encoder_layers: int = 4
    projection: int = 64
    layers: int = 2
    experts: int = 3
    k: int = 2
    dropout: float = 0.5
    noise: bool = True


class Encoder(nn.Module):
    """Graph convolutions, each with batch normalisation, ReLU and dropout."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        widths = [sizes.regions] + [sizes.hidden] * (sizes.encoder_layers - 1)
        options = {"bias": False, "normalize": False, "add_self_loops": False}
        self.convolutions = nn.ModuleList(GCNConv(width, sizes.hidden, **options) for width in widths)
        self.norms = nn.ModuleList(BatchNorm(sizes.hidden) for _ in widths)
        self.dropout = sizes.dropout

    def forward(self, graphs: Any) -> torch.Tensor:
        """Return nodes `(nodes of all subjects, hidden)`."""
        x = graphs.x
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            edges = (graphs.adj_t,) if "adj_t" in graphs else (graphs.edge_index, graphs.edge_weight)
            x = F.dropout(norm(convolution(x, *edges)).relu(), self.dropout, self.training)
        return x


class Projection(nn.Module):
    """A linear map with batch normalisation and ReLU."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.linear = nn.Linear(sizes.hidden, sizes.projection, bias=False)
        self.norm = BatchNorm(sizes.projection)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return nodes `(nodes, projection)`."""
        found: torch.Tensor = self.norm(self.linear(x)).relu()
        return found


class Expert(nn.Module):
    """Batch normalisation, ReLU, dropout, linear, batch normalisation."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.before, self.after = BatchNorm(sizes.projection), BatchNorm(sizes.projection)
        self.linear = nn.Linear(sizes.projection, sizes.projection, bias=False)
        self.dropout = sizes.dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return nodes `(nodes, projection)`."""
        found: torch.Tensor = self.after(self.linear(F.dropout(self.before(x).relu(), self.dropout, self.training)))
        return found


class FusionLayer(nn.Module):
    """Experts with noisy top-k gates, every expert over all nodes so that its batch statistics are those of all."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.experts = nn.ModuleList(Expert(sizes) for _ in range(sizes.experts))
        self.gate = nn.Linear(sizes.projection, sizes.experts, bias=False)
        self.noise = nn.Linear(sizes.projection, sizes.experts, bias=False) if sizes.noise else None
        self.k = sizes.k

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return nodes after the residual connection, and the squared variations of importance and load."""
        clean = noisy = self.gate(x)
        if self.noise is not None and self.training:
            deviation = F.softplus(self.noise(x)) + 1e-2
            noisy = clean + torch.randn_like(clean) * deviation
        best = noisy.topk(self.k + 1, dim=1)
        kept = best.indices[:, : self.k]
        gates = torch.zeros_like(noisy).scatter(1, kept, best.values[:, : self.k].softmax(1))
        if noisy is clean:
            load = (gates > 0).sum(0).float()
        else:
            kth, following = best.values[:, self.k - 1 : self.k], best.values[:, self.k : self.k + 1]
            to_beat = torch.where(noisy > following, following, kth)
            load = torch.special.ndtr((clean - to_beat) / deviation).sum(0)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=2)
        spread = torch.stack([used.var(correction=0) / used.mean() ** 2 for used in (gates.sum(0), load)]).sum()
        return x + (outputs * gates.unsqueeze(1)).sum(2), spread


class SparseM3DBFS(nn.Module):
    """The network of the third stage on sparse graphs."""

    def __init__(self, sizes: Sizes, classes: int = 2) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({name: Encoder(sizes) for name in ("SC", "FC")})
        self.specific = nn.ModuleDict({name: Projection(sizes) for name in ("SC", "FC")})
        self.shared = nn.ModuleDict({name: Projection(sizes) for name in ("SC", "FC")})
        self.branches = nn.ModuleDict(
            {name: nn.ModuleList(FusionLayer(sizes) for _ in range(sizes.layers)) for name in BRANCHES}
        )
        self.anchor = nn.Linear(len(BRANCHES) * sizes.projection, sizes.projection)
        self.classifier = nn.Linear(sizes.projection, classes)

    def forward(self, graphs: Mapping[str, Any]) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Return logits `(subjects, classes)`, pooled branches, anchor, and the mixtures' squared variations, summed."""
        encoded = {name: self.encoders[name](graphs[name]) for name in ("SC", "FC")}
        whose = [graphs[name].batch for name in ("SC", "FC")]
        shared = torch.cat([self.shared[name](x) for name, x in encoded.items()])
        starts = [self.specific[name](x) for name, x in encoded.items()]
        pooled, spread = [], encoded["SC"].new_zeros(())
        for name, x, subjects in zip(BRANCHES, (*starts, shared), (*whose, torch.cat(whose)), strict=True):
            for layer in cast(nn.ModuleList, self.branches[name]):
                x, own = layer(x)
                spread = spread + own
            pooled.append(global_mean_pool(x, subjects))
        anchor = self.anchor(torch.cat(pooled, dim=1)).relu()
        return self.classifier(anchor), pooled, anchor, spread

    def loss(self, graphs: Mapping[str, Any], labels: torch.Tensor, alpha: float) -> torch.Tensor:
        """Return cross-entropy + alpha 0.01 balance + (1 - alpha) disentanglement."""
        logits, pooled, anchor, spread = self(graphs)
        apart = anchor.new_zeros(())
        for i, branch in enumerate(pooled):
            others = [anchor, *(other for j, other in enumerate(pooled) if j != i)]
            similarities = torch.stack([F.cosine_similarity(branch, other) for other in others], dim=1)
            apart = apart + F.cross_entropy(similarities / 0.1, torch.zeros(len(labels), dtype=torch.int64))
        return F.cross_entropy(logits, labels) + alpha * 0.01 * spread + (1 - alpha) * apart

    def take(self, state: Mapping[str, torch.Tensor]) -> None:
        """Load the weights of our network of the same sizes.

        Raises:
            RuntimeError: If a tensor is missing on either side or has another shape.
        """
        self.load_state_dict({theirs(name): tensor for name, tensor in state.items() if not name.endswith(_NOT_HERE)})


def theirs(name: str) -> str:
    """Return what a tensor of ours is called here."""
    for pattern, new in _RENAMED:
        name = re.sub(pattern, new, name)
    return name


def graphs_of(features: torch.Tensor, edges: torch.Tensor, *, form: str = "edges") -> Any:
    """Return a batch of sparse graphs.

    Args:
        features: Of nodes `(subjects, regions, features)`.
        edges: 0 or 1 `(subjects, regions, regions)`, symmetric, no loops.
        form: `edges` for lists of edges, `csr` for one sparse matrix in compressed rows.
    """
    graphs = []
    for x, adjacency in zip(features, edges, strict=True):
        index, weights = gcn_norm(dense_to_sparse(adjacency)[0], num_nodes=len(x))
        graphs.append(Data(x=x, edge_index=index, edge_weight=weights))
    batch = Batch.from_data_list(graphs)
    if form == "csr":
        batch.adj_t = to_torch_csr_tensor(batch.edge_index, batch.edge_weight, size=(batch.num_nodes, batch.num_nodes)).detach()
    return batch
