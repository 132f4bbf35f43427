from __future__ import annotations

from nas_fusion import Configuration
from search_spaces.expert_routing import ExpertRoutingSpace

FULL = {"sc": "e3k2", "fc": "e3k2", "fused": "e3k2"}


def active(space: ExpertRoutingSpace) -> dict[str, dict[str, str]]:
    return {title: full.active(configuration) for title, (full, configuration) in space.ablations().items()}


def test_ablations_of_the_paper() -> None:
    assert active(ExpertRoutingSpace()) == {
        "full model": FULL,
        "static model (no mixtures)": {},
        "mixtures in the uni-modal branches only": {"sc": "e3k2", "fc": "e3k2"},
        "mixture in the fused branch only": {"fused": "e3k2"},
        "without stage 1 (encoders alone)": {**FULL, "stage1": "off"},
        "without stage 2 (static model)": {**FULL, "stage2": "off"},
        "without disentanglement": {**FULL, "disentanglement": "off"},
        "without contrastive alignment": {**FULL, "contrastive": "off"},
        "without distillation": {**FULL, "distillation": "off"},
        "without balance": {**FULL, "balance": "off"},
        "encoders and projections frozen in stage 3": {**FULL, "stage3_trainable": "fusion_only"},
    }


def test_they_are_of_one_space_with_the_same_options() -> None:
    given = ExpertRoutingSpace(modalities=("SC", "FC", "MS"), preset="as_released", epochs=3, hidden=8)
    spaces = {id(space): space for space, _ in given.ablations().values()}
    (space,) = spaces.values()
    assert (space.scope, space.modalities, space.preset) == ("full", ("SC", "FC", "MS"), "as_released")
    assert (space.design.plans, space.design.model) == (given.design.plans, given.design.model)
    assert active(given)["full model"] == dict.fromkeys(("sc", "fc", "ms", "fused"), "e3k1")
    assert active(given)["mixtures in the uni-modal branches only"] == dict.fromkeys(("sc", "fc", "ms"), "e3k1")


def test_configurations_are_canonical_and_different() -> None:
    found = ExpertRoutingSpace().ablations()
    configurations = [configuration for _, configuration in found.values()]
    assert len(set(configurations)) == len(configurations)
    assert all(space.canonical(configuration) == configuration for space, configuration in found.values())


def test_what_is_off_already_is_no_ablation() -> None:
    titles = list(ExpertRoutingSpace(stage1="off", balance="off").ablations())
    assert "without stage 1 (encoders alone)" not in titles and "without balance" not in titles
    assert "without distillation" not in titles  # has no effect without stage 1
    frozen = ExpertRoutingSpace(stage3_trainable="fusion_only").ablations()
    assert "encoders and projections frozen in stage 3" not in frozen
    space, configuration = frozen["everything trained in stage 3"]
    assert configuration == Configuration({**space.baseline, **FULL, "stage3_trainable": "all"})
