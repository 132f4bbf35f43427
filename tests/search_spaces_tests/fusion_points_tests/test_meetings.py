from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_fusion.analysis.naming import points, short_points
from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.fusion import MMTM, Meeting
from search_spaces.fusion_points import FusionPointSpace
from search_spaces.fusion_points.meetings import Choice, choices_of, read_choice, split_choices

NAMES = ("T1w", "FLAIR", "T2w")
words = st.text("abcxyz0189_-", min_size=1, max_size=6)


def tables(*names: str, features: int = 5) -> Inputs:
    return Inputs(tuple(Modality(name, "vector", (features + i,)) for i, name in enumerate(names)), ("no", "yes"))


@given(words, st.lists(words, min_size=2, max_size=5, unique=True))
def test_choices_are_read_as_they_are_written(module: str, members: list[str]) -> None:
    choice = Choice(module, tuple(members))
    assert read_choice(str(choice)) == choice
    assert read_choice(str(choice).replace(",", " , ")) == choice
    assert split_choices(f"{choice},{module}, {choice}") == (str(choice), module, str(choice))


@given(st.integers(2, 6), st.sampled_from(["all", "pairs", "subsets"]))
def test_who_may_meet_is_counted(n: int, meet: str) -> None:
    joined = [f"m{i}" for i in range(n)]
    found = choices_of([Choice("mmtm")], meet, joined)
    sizes = {"all": {n}, "pairs": {2, n}, "subsets": set(range(2, n + 1))}[meet]
    expected = {frozenset(some) for size in sizes for some in combinations(joined, size)}
    assert {frozenset(choice.members or joined) for choice in found} == expected
    assert len(found) == len(expected) and found[0] == Choice("mmtm")


def test_choices_of_a_space() -> None:
    space = FusionPointSpace("layer1,layer4", ["mmtm", "film(T1w,T2w)"], meet="pairs", modalities=NAMES)
    pairs = ("mmtm(T1w,FLAIR)", "mmtm(T1w,T2w)", "mmtm(FLAIR,T2w)")
    assert dict(space.parameters) == dict.fromkeys(("layer1", "layer4"), ("none", "mmtm", *pairs, "film(T1w,T2w)"))
    assert space.options() == {
        "points": ["layer1", "layer4"],
        "modules": ["mmtm", "film(T1w,T2w)"],
        "preset": "small",
        "meet": "pairs",
        "modalities": list(NAMES),
    }
    assert FusionPointSpace(**space.options()).parameters == space.parameters


def test_only_members_hear_each_other() -> None:
    torch.manual_seed(0)
    space, inputs = FusionPointSpace(modules=["mmtm(T1w,T2w)"]), tables(*NAMES)
    model = space.build(space.complete({"layer2": "mmtm(T1w,T2w)"}), inputs).eval()
    (meeting,) = model.fusion.values()
    assert isinstance(meeting, Meeting) and isinstance(meeting.module, MMTM) and meeting.members == (0, 2)
    assert [name for name in model.fusion] == ["layer2-MMTM(0,2)"]
    with torch.no_grad():
        for parameter in meeting.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    data = {m.name: torch.randn(4, *m.shape, requires_grad=True) for m in inputs.modalities}
    for target, logits in model.by_stream(data).items():
        gradients = torch.autograd.grad(logits[:, 0].sum(), list(data.values()), retain_graph=True, allow_unused=True)
        heard = {name for name, g in zip(NAMES, gradients, strict=True) if g is not None and bool(g.abs().sum() > 0)}
        assert heard == ({"T1w", "T2w"} if target != "FLAIR" else {"FLAIR"})


def test_members_may_be_named_in_any_order_and_all_of_them_are_everyone() -> None:
    inputs = tables("T1w", "FLAIR")
    for choice in ("mmtm(FLAIR,T1w)", "mmtm"):
        space = FusionPointSpace(modules=[choice])
        assert list(space.build(space.complete({"layer1": choice}), inputs).fusion) == ["layer1-MMTM"]
    space = FusionPointSpace(modules=["mmtm(T2w,T1w)"])
    assert list(space.build(space.complete({"layer1": "mmtm(T2w,T1w)"}), tables(*NAMES)).fusion) == ["layer1-MMTM(0,2)"]


def test_a_meeting_costs_less_than_everybody() -> None:
    space, inputs = FusionPointSpace(points="layer1", meet="pairs", modalities=NAMES), tables(*NAMES)
    sizes = {}
    for choice in space.parameters["layer1"]:
        model = space.build(space.baseline.with_choices({"layer1": choice}), inputs)
        sizes[choice] = sum(parameter.numel() for parameter in model.fusion.parameters())
    hidden = 32
    expected = {n: (n * hidden + 1) * (n * hidden // 4) + n * hidden * (n * hidden // 4 + 1) for n in (2, 3)}
    assert sizes["none"] == 0 and sizes["mmtm"] == expected[3]
    assert {sizes[choice] for choice in space.parameters["layer1"][2:]} == {expected[2]}


def test_reports_name_who_meets() -> None:
    space = FusionPointSpace("layer1,layer4", meet="pairs", modalities=NAMES)
    configuration = space.complete({"layer1": "mmtm(T1w,T2w)", "layer4": "mmtm"})
    assert points(space, configuration) == "layer1:mmtm(T1w,T2w) + layer4:mmtm"
    assert short_points(space, configuration) == "1:T1w×T2w+4:all"
    both = FusionPointSpace("layer1", ["mmtm(T1w,T2w)", "film"])
    assert short_points(both, both.complete({"layer1": "mmtm(T1w,T2w)"})) == "layer1:mmtm T1w×T2w"
    plain = FusionPointSpace()
    assert short_points(plain, plain.complete({"layer1": "mmtm"})) == "1" and not plain.words.names_choices


def test_what_a_model_is_made_of() -> None:
    space = FusionPointSpace(modules=["mmtm(T1w,T2w)", "film"], backbones={"T2w": "resnet10"})
    configuration = space.complete({"layer1": "mmtm(T1w,T2w)", "layer2": "film", "layer3": "mmtm(T1w,T2w)"})
    assert space.uses(configuration) == {
        "spaces": ("fusion-points",),
        "modules": ("mmtm", "film"),
        "backbones": ("resnet18", "resnet10"),
    }
    assert space.uses(space.baseline)["modules"] == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modules": ["mmtm(T1w)"]}, r"`modules` must let at least two different modalities meet, but got 'mmtm\(T1w\)'"),
        ({"modules": ["mmtm(a,a)"]}, r"`modules` must let at least two different modalities meet, but got 'mmtm\(a,a\)'"),
        ({"modules": ["mmtm(a,)"]}, "`modules` must let at least two different modalities meet"),
        ({"modules": ["mmtm(a,b)", "mmtm(b,a)"]}, r"`modules` must name each meeting once, but got \['mmtm\(a,b\)', 'mmtm\(b"),
        ({"modules": ["mtmm(a,b)"]}, "`module` must be one of .*, but got 'mtmm'. Did you mean 'mmtm'"),
        ({"meet": "trios"}, "`meet` must be one of all, pairs, subsets, but got 'trios'"),
        ({"meet": "pairs"}, "`modalities` must be given where `meet` is 'pairs', but got none"),
        (
            {"meet": "subsets", "modalities": [f"m{i}" for i in range(9)]},
            "`meet` must be all or pairs for more than 8 modalities, but got 'subsets' of 9",
        ),
        (
            {"modules": ["mmtm(T1w,T2)"], "modalities": NAMES},
            "`modules` must name modalities among T1w, FLAIR, T2w, but got 'T2'. Did you mean 'T2w'",
        ),
    ],
)
def test_wrong_meetings_raise(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusionPointSpace(**options)


def test_modalities_that_the_cohort_lacks_raise() -> None:
    space = FusionPointSpace(modules=["mmtm(T1w,T2)"])
    with pytest.raises(ValueError, match="`modules` must name modalities among T1w, FLAIR, T2w, but got 'T2'"):
        space.stages(space.baseline, tables(*NAMES))
    other = FusionPointSpace(meet="pairs", modalities=NAMES)
    with pytest.raises(ValueError, match="`modalities` must be those of the cohort in its order, FLAIR, T1w, but got T1w, F"):
        other.references(tables("FLAIR", "T1w"))
