"""The ablations of arXiv 2604.01667: the full model without one part at a time."""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces.expert_routing.network import FUSED
from search_spaces.expert_routing.scopes import OFF

_WITHOUT = {
    "without stage 1 (encoders alone)": {"stage1": OFF},
    "without stage 2 (static model)": {"stage2": OFF},
    "without disentanglement": {"disentanglement": OFF},
    "without contrastive alignment": {"contrastive": OFF},
    "without distillation": {"distillation": OFF},
    "without balance": {"balance": OFF},
}


def ablations(branches: Sequence[str], *, always_top_1: bool = False, trainable: str = "all") -> dict[str, dict[str, str]]:
    """Return title to choices, all others off, in a space of scope `full`.

    The full model has mixtures of 3 experts in every branch, of which 2 run.

    Args:
        branches: Names of the branches.
        always_top_1: Whether 1 expert runs instead.
        trainable: What stage 3 trains in the full model: `all` or `fusion_only`. The ablation trains the other.
    """
    full = dict.fromkeys(branches, "e3k1" if always_top_1 else "e3k2")
    other = "fusion_only" if trainable == "all" else "all"
    title = "encoders and projections frozen in stage 3" if trainable == "all" else "everything trained in stage 3"
    return {
        "full model": full,
        "static model (no mixtures)": {},
        "mixtures in the uni-modal branches only": {branch: full[branch] for branch in branches if branch != FUSED},
        "mixture in the fused branch only": {FUSED: full[FUSED]},
        **{name: {**full, **change} for name, change in _WITHOUT.items()},
        title: {**full, "stage3_trainable": other},
    }
