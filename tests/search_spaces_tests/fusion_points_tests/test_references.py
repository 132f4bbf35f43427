from __future__ import annotations

import torch

from nas_fusion.cohorts import Inputs, Modality
from search_spaces.fusion_points import FusionPointSpace

CLASSES = ("control", "patient")


def volumes(*shapes: tuple[int, ...]) -> Inputs:
    return Inputs(tuple(Modality(name, "image", s) for name, s in zip(("T1w", "FLAIR", "T2w"), shapes, strict=False)), CLASSES)


PAIR = volumes((1, 16, 16, 16), (1, 16, 16, 16))


def test_arms_of_a_pair_of_volumes() -> None:
    space = FusionPointSpace(modules=("mmtm", "concat_conv"))
    arms = space.references(PAIR)
    assert list(arms) == ["alone:T1w", "alone:FLAIR", "late_fusion", "all_active", "ensemble_of_placements", "early_fusion"]
    assert [name for name, arm in arms.items() if arm.ours] == ["early_fusion"]
    assert [arm.title for arm in arms.values()][:2] == ["T1w alone", "FLAIR alone"]
    assert arms["late_fusion"].members == ("alone:T1w", "alone:FLAIR")
    assert arms["all_active"].members == (space.complete(dict.fromkeys(space.parameters, "mmtm")),)
    assert arms["ensemble_of_placements"].members == tuple(space.complete({p: "mmtm"}) for p in space.parameters)


def test_a_modality_alone_is_its_stream() -> None:
    space = FusionPointSpace()
    (stage,) = space.references(PAIR)["alone:FLAIR"].stages
    torch.manual_seed(0)
    model = stage.model().eval()
    network = space.build(space.baseline, PAIR)
    shared = network.state_dict().keys() & model.state_dict().keys()
    assert shared == model.state_dict().keys()
    data = {name: torch.randn(2, 1, 16, 16, 16) for name in PAIR.names}
    logits = model(data, torch.ones(2, 2, dtype=torch.bool))
    assert torch.equal(logits, model.streams["FLAIR"](data["FLAIR"]))  # type: ignore[index, operator]
    assert torch.equal(logits, model({"FLAIR": data["FLAIR"]}))
    assert stage.plan == space.plan


def test_early_fusion_stacks_channels() -> None:
    inputs = volumes((2, 16, 16, 16), (1, 16, 16, 16), (1, 16, 16, 16))
    (stage,) = FusionPointSpace().references(inputs)["early_fusion"].stages
    torch.manual_seed(0)
    model = stage.model().eval()
    data = {m.name: torch.randn(2, *m.shape) for m in inputs.modalities}
    expected = model.stream(torch.cat(list(data.values()), dim=1))  # type: ignore[operator]
    assert torch.equal(model(data), expected)
    present = torch.tensor([[True, True, True], [True, False, True]])
    masked = model(data, present)
    torch.testing.assert_close(masked[0], expected[0])
    data["FLAIR"][1] = 0
    assert torch.equal(model(data), masked)


def test_early_fusion_of_tables_puts_them_one_after_the_other() -> None:
    inputs = Inputs((Modality("a", "vector", (4,)), Modality("b", "vector", (3,))), CLASSES)
    (stage,) = FusionPointSpace().references(inputs)["early_fusion"].stages
    torch.manual_seed(0)
    model = stage.model().eval()
    data = {m.name: torch.randn(2, *m.shape) for m in inputs.modalities}
    assert torch.equal(model(data), model.stream(torch.cat([data["a"], data["b"]], dim=1)))  # type: ignore[operator]
    masked = model(data, torch.tensor([[True, True], [False, True]]))
    data["a"][1] = 0
    assert torch.equal(model(data), masked)


def test_early_fusion_needs_images_of_one_shape_or_tables() -> None:
    others = [
        volumes((1, 16, 16, 16), (1, 12, 12, 12)),
        Inputs((Modality("a", "image", (1, 8)), Modality("b", "vector", (8,))), CLASSES),
        Inputs((Modality("a", "image", (1, 8, 8)), Modality("b", "matrix", (8, 8))), CLASSES),
    ]
    for inputs in others:
        assert "early_fusion" not in FusionPointSpace().references(inputs)
