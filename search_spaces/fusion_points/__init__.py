"""Fusion points of multi-stream networks: where the streams of several modalities exchange information."""

from search_spaces.fusion_points.presets import PRESETS, Preset
from search_spaces.fusion_points.space import FusionPointSpace

__all__ = ["PRESETS", "FusionPointSpace", "Preset"]
