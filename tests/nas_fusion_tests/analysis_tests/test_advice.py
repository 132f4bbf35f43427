from __future__ import annotations

import shlex

import pytest

from nas_fusion.analysis.advice import next_command
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
    ],
)
def test_the_next_command_changes_only_what_it_should(
    command: str, options: dict[str, str], verb: str | None, expected: str
) -> None:
    found = next_command(planted_comparison(command=command), options, verb=verb)
    assert found == expected
    assert shlex.split(found)[0] == "nas-fusion"
