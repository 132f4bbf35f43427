"""Which models a cross-validation compares, by name."""

from __future__ import annotations

import pytest

from nas_fusion import SearchSpace
from nas_fusion.study.cross_arms import CrossArm, ablation_arms, arms_of, configuration_arm, distinct, reference_arms
from tests.nas_fusion_tests.study_tests.cross_toys import ToySpace, hint_cohort

SPACE, INPUTS = ToySpace(), hint_cohort(6).inputs


def names(*wanted: object) -> list[str]:
    return [arm.name for arm in arms_of(SPACE, INPUTS, wanted or None)]  # type: ignore[arg-type]


def test_by_default_the_baseline_and_all_references() -> None:
    assert names() == ["A_0", "hinted", "both"]


def test_every_kind_of_arm_by_name() -> None:
    wanted = ("baseline", "both", "without experts", "model=memory", {"routed": "yes"})
    assert names(*wanted) == ["A_0", "both", "without experts", "model=memory", "routed=yes"]


def test_configurations() -> None:
    arm = configuration_arm(SPACE, " routed = yes , model=memory")
    assert arm == CrossArm(
        "model=memory,routed=yes",
        "model + routed",
        SPACE,
        SPACE.complete({"model": "memory", "routed": "yes"}),
        is_chosen=True,
    )
    assert configuration_arm(SPACE, "model=hint").name == "A_0"  # everything is off


def test_references_and_ablations() -> None:
    (arm,) = reference_arms(SPACE, INPUTS, ["hinted"])
    assert (arm.reference, arm.title, arm.configuration, arm.is_chosen) == ("hinted", "believes hints", None, False)
    full, without = ablation_arms(SPACE)
    assert (full.name, full.configuration) == ("full model", SPACE.complete({"routed": "yes"}))
    assert without.configuration == SPACE.baseline and not without.is_chosen


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("modle=memory", r"`arm` must name parameters of the space \(model, routed\), but got 'modle'"),
        ("model=remember", "`arm` must choose 'model' from hint, memory, but got 'remember'"),
        ("model=", "`arm` must have the form PARAMETER=CHOICE,..., each parameter once, but got 'model='"),
        ("model=memory,model=hint", "`arm` must have the form PARAMETER=CHOICE,..., each parameter once"),
        (
            "hintd",
            "`arms` must be choices such as model=memory, or one of baseline, hinted, both, full model, without experts, but",
        ),
    ],
)
def test_wrong_names(wanted: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arms_of(SPACE, INPUTS, [wanted])


def test_unknown_references_and_missing_ablations() -> None:
    with pytest.raises(ValueError, match="`reference` must be one of hinted, both, but got 'late'"):
        reference_arms(SPACE, INPUTS, ["late"])
    with pytest.raises(ValueError, match="`ablations` must be asked of a space that has some, but 'choices' has none"):
        ablation_arms(SearchSpace({"a": ["off", "on"]}))


def test_arms_are_different_and_at_least_one() -> None:
    with pytest.raises(ValueError, match="`arms` must be different, but 'A_0' is there 2 times"):
        arms_of(SPACE, INPUTS, ["baseline", "model=hint"])
    with pytest.raises(ValueError, match="`arms` must be at least one, but got none"):
        distinct([])
