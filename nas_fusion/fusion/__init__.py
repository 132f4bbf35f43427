"""Fusion modules, streams and the network that connects them.

A fusion module lets the streams of a network exchange information at one point. To add one, derive from `FusionModule`,
register it with `register_module` (or name it in the entry-point group `nas_fusion.modules`) and run the conformance suite of
`nas_fusion.testing` on it.
"""

from nas_fusion.fusion.attention_bottleneck import AttentionBottleneck
from nas_fusion.fusion.backbone import Backbone, build_backbone, register_backbone
from nas_fusion.fusion.channel_exchange import ChannelExchange
from nas_fusion.fusion.channel_spatial import ChannelSpatial
from nas_fusion.fusion.concat_conv import ConcatConv
from nas_fusion.fusion.cost import ModuleCost, module_cost
from nas_fusion.fusion.cross_attention import CrossAttention
from nas_fusion.fusion.film import FiLM
from nas_fusion.fusion.gated import Gate, GatedFusion, GatedNetwork
from nas_fusion.fusion.low_rank_bilinear import LowRankBilinear
from nas_fusion.fusion.meeting import Meeting
from nas_fusion.fusion.mmtm import MMTM, MMTMAsPublished
from nas_fusion.fusion.module import FusionModule, build_module, register_module
from nas_fusion.fusion.network import FusionNetwork
from nas_fusion.fusion.se_gate import SEGate
from nas_fusion.fusion.stream import Passage, Stream, Tap
from nas_fusion.fusion.tapped import TappedModule, find_taps

__all__ = [
    "MMTM",
    "AttentionBottleneck",
    "Backbone",
    "ChannelExchange",
    "ChannelSpatial",
    "ConcatConv",
    "CrossAttention",
    "FiLM",
    "FusionModule",
    "FusionNetwork",
    "Gate",
    "GatedFusion",
    "GatedNetwork",
    "LowRankBilinear",
    "MMTMAsPublished",
    "Meeting",
    "ModuleCost",
    "Passage",
    "SEGate",
    "Stream",
    "Tap",
    "TappedModule",
    "build_backbone",
    "build_module",
    "find_taps",
    "module_cost",
    "register_backbone",
    "register_module",
]
