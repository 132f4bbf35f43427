"""Spaces with several choices a parameter, some of which may be without effect, as searches of experts have them."""

from __future__ import annotations

from collections.abc import Mapping

from nas_fusion.space import SearchSpace

BRANCHES = ("sc", "fc", "fused")
_FULL = {
    **{branch: ["static", *(f"e{e}{k}" for e in (2, 3, 4, 6) for k in ("k1", "k2", "d"))] for branch in BRANCHES},
    "granularity": ["node", "subject"],
    "noise": ["on", "off"],
    "normalise": ["after", "before"],
    "shared_router": ["no", "yes"],
    "initialisation": ["copy", "copy_noise"],
    "balance": ["on", "off"],
    "layers": ["2", "1", "3"],
    "expert": ["linear", "mlp"],
    "pooling": ["mean", "add", "max"],
    "stage1": ["on", "off"],
    "stage2": ["on", "off"],
    "contrastive": ["on", "off"],
    "distillation": ["on", "off"],
    "disentanglement": ["on", "off"],
    "alpha": ["0.4", "0.2", "0.6", "0.8"],
    "beta": ["0.5", "0.3", "0.7", "0.9"],
    "trainable": ["all", "fusion_only"],
    "threshold": ["0.12", "0.02", "0.05", "0.2", "0.3"],
    "sc_transform": ["log1p", "raw", "rank"],
    "fc_transform": ["fisher", "raw"],
    "encoder": ["gcn", "gin", "graph_transformer"],
}
_OF_ROUTERS = ("granularity", "noise", "normalise", "shared_router", "initialisation", "balance")


class Branches(SearchSpace):
    """Three branches, each static or routed; where all are static, nothing is routed by nodes or by subjects."""

    def __init__(self) -> None:
        experts = {"sc": ["static", "e3k2"], "fc": ["static", "e3k2"], "fused": ["static", "e2k2", "e3k2", "e4k2"]}
        super().__init__({**experts, "granularity": ["node", "subject"]})

    def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
        return parameter != "granularity" or any(configuration[branch] != "static" for branch in BRANCHES)


class Full(SearchSpace):
    """Far too many configurations to list."""

    def __init__(self) -> None:
        super().__init__(_FULL)

    def is_active(self, parameter: str, configuration: Mapping[str, str]) -> bool:
        if parameter in _OF_ROUTERS:
            return any(configuration[branch] != "static" for branch in BRANCHES)
        if parameter == "distillation":
            return configuration["stage1"] == "on" and configuration["stage2"] == "on"
        if parameter in ("contrastive", "beta"):
            return configuration["stage2"] == "on"
        return parameter != "alpha" or (configuration["balance"], configuration["disentanglement"]) == ("on", "on")
