"""Halving: who is ended at which rung."""

from __future__ import annotations

import pytest

from nas_fusion import BeamSampler, SFSASampler
from nas_fusion.pruners import HalvingPruner
from tests.nas_fusion_tests.pruners_tests.races import points, race, switches
from tests.nas_fusion_tests.pruners_tests.test_racing import GREEDY, N, table


def test_who_is_not_in_the_better_half_at_a_rung_is_ended() -> None:
    # In the order of a round each is compared with those before it: 1 goes on alone, then the better of two, then of three.
    found, study = race(SFSASampler(switches(3)), HalvingPruner(), table(GREEDY))
    assert found == {"": "whole", "1": "whole", "2": 1, "3": "whole", "13": "whole", "23": "whole", "123": "whole"}
    assert [points(c) for c in study.sampler.path(study)] == ["", "3", "23"]  # type: ignore[attr-defined]


def crossing(*losses: list[float]) -> dict[str, list[float]]:
    return {"": [9.0] * len(losses[0]), **{str(i): each for i, each in enumerate(losses, start=1)}}


def test_rungs_are_after_one_two_four_steps() -> None:
    # Means after 1, 2, 3, 4 folds; the leader is the first.
    folds = crossing([0.5] * 8, [0.4, 0.9, 0.9, 0.9] + [0.9] * 4, [0.4, 0.5, 0.5, 0.9] + [0.9] * 4, [0.3] * 8)
    found, _ = race(SFSASampler(switches(4)), HalvingPruner(), lambda c, _: folds.get(points(c), [9.0] * 8))
    assert [found[name] for name in "1234"] == ["whole", 2, 4, "whole"]


def test_another_reduction_and_first_rung() -> None:
    folds = crossing([0.5] * 9, [0.6] * 9)
    for pruner, expected in (
        (HalvingPruner(3), 1),
        (HalvingPruner(first=2), 2),
        (HalvingPruner(3, first=3), 3),
        (HalvingPruner(3, first=3, n_steps=9), 3),
        (HalvingPruner(2, first=8, n_steps=9), 8),
    ):
        assert race(SFSASampler(switches(2)), pruner, lambda c, _: folds.get(points(c), [9.0] * 9))[0]["2"] == expected


def test_with_four_there_is_room_for_two() -> None:
    # At its first rung the fourth needs to be second of four only.
    folds = crossing([0.5] * 4, [0.9] * 4, [0.9] * 4, [0.6] * 4)
    found, _ = race(SFSASampler(switches(4)), HalvingPruner(), lambda c, _: folds.get(points(c), [9.0] * 4))
    assert [found[name] for name in "1234"] == ["whole", 1, 1, 2]  # at its second rung only the first has come as far


def test_the_survivors_of_a_beam_go_on() -> None:
    found, _ = race(BeamSampler(switches(3), width=2), HalvingPruner(), table({**GREEDY, "": 0.9}))
    assert [found[name] for name in "123"] == ["whole", "whole", "whole"]


def test_after_the_last_step_nobody_is_ended() -> None:
    folds = crossing([0.5, 0.5], [0.4, 0.9])
    run = lambda pruner: race(SFSASampler(switches(2)), pruner, lambda c, _: folds.get(points(c), [9.0, 9.0]))[0]["2"]  # noqa: E731
    assert run(HalvingPruner()) == 2 and run(HalvingPruner(n_steps=2)) == "whole"


def test_controls_and_maximised_values() -> None:
    sampler = SFSASampler(switches(2), inherit="parent", control=True, speculate=False)
    assert race(sampler, HalvingPruner(), table({"": 0.9, "1": 0.6, "2": 0.7}))[0]["*"] == "whole"
    base = table(GREEDY)
    found, _ = race(SFSASampler(switches(3)), HalvingPruner(), lambda c, k: [-x for x in base(c, k)], direction="maximize")
    assert found["2"] == 1 and found["3"] == "whole" and N == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 1}, "`reduction` must be at least 2, but got 1"),
        ({"first": 0}, "`first` must be at least 1, but got 0"),
        ({"n_steps": 1}, "`halving` must have more than 1 fold or epoch to end anything early, but got 1"),
    ],
)
def test_options_out_of_range(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HalvingPruner(**options)
