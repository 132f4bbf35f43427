"""Backbones: what the stream of a modality is made of, one family a file."""

from search_spaces.fusion_points.backbones.perceptron import Perceptron
from search_spaces.fusion_points.backbones.resnet import POINTS, RESNETS, ResNet10, ResNet18, ResNet34, ResNet50
from search_spaces.fusion_points.backbones.streams import BackboneOptions, all_points, build_stream

__all__ = [
    "POINTS",
    "RESNETS",
    "BackboneOptions",
    "Perceptron",
    "ResNet10",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "all_points",
    "build_stream",
]
