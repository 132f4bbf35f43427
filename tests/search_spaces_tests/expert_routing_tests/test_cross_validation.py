"""Ablations and references by cross-validation: every row with its expert entropy, stages shared within a fold."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from nas_fusion.analysis.cross_validation import CrossValidation, fold_table
from nas_fusion.study.cross_arms import ablation_arms, arms_of
from nas_fusion.study.cross_validation import cross_validate

from .tiny import narrow, tiny_cohort

FOLDS = 2
SOME = (
    "full model",
    "static model (no mixtures)",
    "mixtures in the uni-modal branches only",
    "mixture in the fused branch only",
    "without balance",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def ablations(store: Path) -> CrossValidation:
    """Some ablations of the paper, in two folds."""
    space, cohort = narrow(), tiny_cohort("SC", "FC", subjects=32)
    arms = [arm for arm in ablation_arms(space) if arm.name in SOME]
    return cross_validate(space, cohort, arms, folds=FOLDS, validation=0.25, artifacts=store, device="cpu")


def test_the_full_model_is_what_all_are_compared_with(ablations: CrossValidation) -> None:
    assert ablations.against == "full model" and ablations.failures == ()
    assert tuple(ablations.arms) == SOME
    assert Counter(score.arm for score in ablations.scores) == dict.fromkeys(ablations.arms, FOLDS)


def test_every_routed_row_has_its_expert_entropy(ablations: CrossValidation) -> None:
    layers = {score.arm: set(score.usage_entropy) for score in ablations.scores}
    assert layers.pop("static model (no mixtures)") == set()
    assert layers.pop("mixture in the fused branch only") == {"fused.0"}
    assert layers.pop("mixtures in the uni-modal branches only") == {"sc.0", "fc.0"}
    assert layers == {arm: {"sc.0", "fc.0", "fused.0"} for arm in ("full model", "without balance")}
    entropies = fold_table(ablations).query("metric == 'usage_entropy'")["value"]
    assert len(entropies) == FOLDS * (len(ablations.arms) - 1) and entropies.between(0, 1).all()


def test_stages_are_trained_once_a_fold_for_all_that_share_them(ablations: CrossValidation, store: Path) -> None:
    """Only the last stage is an arm's own: the first arm of a fold trains the three others for all of them."""
    details = {score.key: json.loads((store / f"{score.key}.json").read_text())["details"] for score in ablations.scores}
    shared = Counter[tuple[str, bool]]()
    for score in ablations.scores:
        for name, stage in details[score.key]["folds"][0]["stages"].items():
            shared[name, stage["shared"]] += 1
    for name in ("encoder:SC", "encoder:FC", "static"):
        assert (shared[name, False], shared[name, True]) == (FOLDS, FOLDS * (len(SOME) - 1))
    assert shared["routing", False] == FOLDS * len(SOME)


def test_modalities_alone_and_dense_mixtures_are_references() -> None:
    wanted = ["baseline", "logistic:all", "dense", "fused=e3k2"]
    cohort = tiny_cohort("SC", "FC", subjects=32)
    result = cross_validate(narrow(), cohort, wanted, folds=FOLDS, validation=0.25, device="cpu")
    assert list(result.arms) == ["A_0", "logistic:all", "dense", "fused=e3k2"] and result.failures == ()
    dense = [score for score in result.scores if score.arm == "dense"]
    assert all(set(score.gate_entropy) == {"sc.0", "fc.0", "fused.0"} for score in dense)


def test_arms_are_found_where_no_ablation_can_be_made() -> None:
    """The ablations switch terms off by name, which a weight of 0 leaves nothing to switch off of."""
    space, inputs = narrow(alpha=1.0), tiny_cohort("SC", "FC").inputs
    assert [arm.name for arm in arms_of(space, inputs, ["fused=e3k2", "alone:SC"])] == ["fused=e3k2", "alone:SC"]
