from __future__ import annotations

import shlex

import pytest

from nas_fusion.analysis.advice import next_command
from nas_fusion.space import SearchSpace
from nas_fusion.words import Words
from tests.nas_fusion_tests.analysis_tests.builders import planted_comparison


@pytest.mark.parametrize(
    ("command", "options", "verb", "expected"),
    [
        (
            "nas-fusion search fusion-points --data scans --label group",
            {"--folds": "5"},
            None,
            "nas-fusion search fusion-points --data scans --label group --folds 5 --study folds-5",
        ),
        (
            "nas-fusion search fusion-points --folds=3 --study mine",
            {"--folds": "5"},
            None,
            "nas-fusion search fusion-points --folds 5 --study mine-folds-5",
        ),
        (
            "python -m nas_fusion compare fusion-points --samplers sfsa,beam --seed 2",
            {"--sampler": "beam", "--sampler-set": "width=2"},
            "search",
            "nas-fusion search fusion-points --seed 2 --sampler beam --sampler-set width=2 "
            "--study sampler-beam-sampler-set-width-2",
        ),
        (
            "/usr/bin/nas-fusion search fusion-points --sampler sfsa --data 'my scans'",
            {},
            "compare",
            "nas-fusion compare fusion-points --data 'my scans'",
        ),
        ("", {"--seed": "1"}, None, "nas-fusion compare choices --seed 1 --study seed-1"),
        ("nas-fusion search fusion-points --set preset=full --seed 1", {"--set": "preset=full"}, None, ""),
        ("nas-fusion search fusion-points --folds 5", {"--folds": "5"}, None, ""),
    ],
)
def test_the_next_command_changes_only_what_it_should(
    command: str, options: dict[str, str], verb: str | None, expected: str
) -> None:
    found = next_command(planted_comparison(command=command), options, verb=verb)
    assert found == expected
    assert not found or shlex.split(found)[0] == "nas-fusion"


@pytest.mark.parametrize(
    ("command", "options", "expected"),
    [
        ("compare huge", {}, "compare huge --samplers sfsa,beam"),
        ("compare huge --samplers sfsa,exhaustive", {"--seed": "1"}, "compare huge --samplers sfsa --seed 1 --study seed-1"),
        ("search huge --sampler random --trials 3", {}, "compare huge --trials 3 --samplers sfsa,beam"),
    ],
)
def test_no_command_asks_for_all_configurations_of_a_space_that_is_too_large(
    command: str, options: dict[str, str], expected: str
) -> None:
    huge = SearchSpace({f"p{i}": ["off", "on"] for i in range(40)})
    comparison = planted_comparison(command=f"nas-fusion {command}", space=huge, arms=(), landscape=None)
    assert next_command(comparison, options, verb="compare") == f"nas-fusion {expected}"


def test_nor_of_one_that_becomes_too_large() -> None:
    class Widened(SearchSpace):
        words = Words(wider=(("--set", "scope=full"),), wider_is_huge=True)

    space = Widened({"p": ["off", "on"]})
    comparison = planted_comparison(
        command="nas-fusion compare widened --samplers sfsa,beam,exhaustive", space=space, arms=(), landscape=None
    )
    found = next_command(comparison, dict(space.words.wider))
    assert found == "nas-fusion compare widened --samplers sfsa,beam --set scope=full --study set-scope-full"
