"""Spaces that could be made before streams had other backbones and choices named who meets keep their options and keys."""

from __future__ import annotations

from typing import Any

import pytest

from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.evaluation.recipes import RecipeBook
from search_spaces.fusion_points import FusionPointSpace

T1W, FLAIR, T2W = (Modality(name, "image", (1, 16, 16, 16)) for name in ("T1w", "FLAIR", "T2w"))
CLASSES = ("control", "patient")
STAGES = ["layer1", "layer2", "layer3", "layer4"]
# options, cohort, a configuration; options that are kept, keys of the configuration, late fusion and the supernet then
CASES: list[tuple[dict[str, Any], Inputs, dict[str, str], dict[str, Any], tuple[str, str, str]]] = [
    (
        {},
        Inputs((T1W, FLAIR), CLASSES),
        {"layer2": "mmtm"},
        {"points": STAGES, "modules": ["mmtm"], "preset": "small"},
        ("a2b9f4178d1d0144c03d611c5413051c", "45a19fc091680ce970ba944496c75abc", "7ec65c58d8561003d1e08e17bb42aa05"),
    ),
    (
        {"modules": ["mmtm", "concat_conv"], "points": ["layer4", "layer2"]},
        Inputs((T1W, FLAIR, T2W), CLASSES),
        {"layer4": "concat_conv"},
        {"points": ["layer2", "layer4"], "modules": ["mmtm", "concat_conv"], "preset": "small"},
        ("c63c693b7c781af433b69828739b3072", "ff8b474f71f63e0f60e127144c9ac2e4", "30a30607d096366ffb076848469c6aee"),
    ),
    (
        {"points": "layer2_block1,layer2", "backbone": "resnet34", "ratio": 8, "gate": "sigmoid"},
        Inputs((T1W, Modality("clinical", "vector", (5,))), CLASSES),
        {"layer2_block1": "mmtm"},
        {
            **{"points": ["layer2_block1", "layer2"], "modules": ["mmtm"], "preset": "small"},
            **{"backbone": "resnet34", "ratio": 8, "gate": "sigmoid"},
        },
        ("ed2159e4b4c7ee59dfc583ea3be4d94b", "c77f96c68684e016a9b71ee6f4c4f4d6", "e713c8bc983aae4960b2830682cfa0f4"),
    ),
    (
        {"preset": "paper", "width": 0.25, "epochs": 3, "flips": [0, 2], "hidden": 16},
        Inputs((T1W, FLAIR), CLASSES),
        {"layer1": "mmtm", "layer3": "mmtm"},
        {
            **{"points": STAGES, "modules": ["mmtm"], "preset": "paper"},
            **{"width": 0.25, "epochs": 3, "flips": [0, 2], "hidden": 16},
        },
        ("79be0bafe9a298e47190f9f759a03722", "96ae9e8d790c88ac7527ba114e53783a", "7a9e6e11e28ca506abe5658687f0cdfc"),
    ),
    (
        {"modules": "concat_conv", "backbone": "resnet10", "stem_kernel": 5},
        Inputs((Modality("SC", "matrix", (20, 20)), Modality("FC", "covariance", (20, 20))), ("a", "b")),
        {"layer1": "concat_conv"},
        {"points": STAGES, "modules": ["concat_conv"], "preset": "small", "backbone": "resnet10", "stem_kernel": 5},
        ("3852550f6026bad5a2fbfe68d93c6347", "590060177c57d43df12e5758df188732", "05ef4429c94eb14c43e4416b405bc79d"),
    ),
]


@pytest.mark.parametrize(("options", "inputs", "active", "kept", "keys"), CASES)
def test_options_and_keys_are_what_they_were(
    options: dict[str, Any], inputs: Inputs, active: dict[str, str], kept: dict[str, Any], keys: tuple[str, str, str]
) -> None:
    space = FusionPointSpace(**options)
    book = RecipeBook(space, inputs, inherit="parent", overrides={}, facts={"seed": 0})
    found = (
        book.of(space.complete(active), [space.baseline]).key,
        book.of_reference("late_fusion").key,
        book.of_supernet({"a": 1}).key,
    )
    assert space.options() == kept
    assert found == keys


def test_what_is_said_by_default_is_not_kept() -> None:
    space = FusionPointSpace(meet="all", modalities=None, backbones={}, pretrained={}, backbone=None)
    assert space.options() == FusionPointSpace().options() and space.meaning() == {}


def test_the_order_of_a_table_is_part_of_the_keys() -> None:
    table = {"a": {"T1w": "layer1", "FLAIR": "layer1"}, "b": {"T1w": "layer1", "T2w": "layer1"}}
    inputs, found = Inputs((T1W, FLAIR, T2W), CLASSES), {}
    for order in ("ab", "ba"):
        space = FusionPointSpace(points={point: table[point] for point in order})
        both = space.complete({"a": "mmtm", "b": "mmtm"})
        assert space.build(both, inputs).points == tuple(order)
        found[order] = RecipeBook(space, inputs, inherit="none", overrides={}, facts={"seed": 0}).of(both).key
    assert found["ab"] != found["ba"]
