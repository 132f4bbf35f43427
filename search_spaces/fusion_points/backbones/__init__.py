"""Backbones: what the stream of a modality is made of, one family a file."""

from search_spaces.fusion_points.backbones.densenet import DenseNet121
from search_spaces.fusion_points.backbones.efficientnet import EfficientNetB0
from search_spaces.fusion_points.backbones.graph import Graph
from search_spaces.fusion_points.backbones.perceptron import Perceptron
from search_spaces.fusion_points.backbones.resnet import POINTS, RESNETS, ResNet10, ResNet18, ResNet34, ResNet50
from search_spaces.fusion_points.backbones.swin import Swin
from search_spaces.fusion_points.backbones.vit import ViT

__all__ = [
    "POINTS",
    "RESNETS",
    "DenseNet121",
    "EfficientNetB0",
    "Graph",
    "Perceptron",
    "ResNet10",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "Swin",
    "ViT",
]
