from __future__ import annotations

from nas_fusion.analysis import synergy_landscape
from nas_fusion.analysis.ways_out import ways_out
from nas_fusion.study.outcome import _escapes
from nas_fusion.study.spec import StudySpec
from tests.nas_fusion_tests.analysis_tests.builders import beam, exhaustive, one_search, planted_comparison, sfsa

SPEC = StudySpec(space="choices", source="simulated-mri", fingerprint="1f2e3d", split="0", inherit="parent")
LANDSCAPE = synergy_landscape()


def test_where_an_arm_was_trapped_other_searches_are_replayed() -> None:
    found = {(escape.sampler, *escape.options.values()): escape for escape in _escapes(planted_comparison(), SPEC)}
    assert found["beam", 2].evaluations == 13 and found["beam", 2].finds
    assert found["backward",].evaluations == 11 and found["backward",].finds
    assert found["sfsa",].evaluations == 8 and not found["sfsa",].finds
    assert found["surrogate",].finds and found["floating", "forward"].finds
    assert not [name for name in found if name[0] == "exhaustive"]


def test_a_beam_that_was_run_and_one_that_is_replayed_cost_the_same() -> None:
    comparison = planted_comparison(arms=(sfsa(LANDSCAPE), beam(LANDSCAPE), exhaustive(LANDSCAPE)))
    escapes = tuple(escape for escape in _escapes(comparison, SPEC) if escape.options == {"width": 2})
    run, replayed = ways_out(planted_comparison(arms=comparison.arms, escapes=escapes), comparison.arms[0])
    assert (run.replayed, replayed.replayed) == (False, True)
    assert (run.evaluations, run.epochs, run.new, run.new_epochs) == (13, 130.0, 5, 50.0)
    assert (replayed.evaluations, replayed.epochs, replayed.new, replayed.new_epochs) == (13, 130.0, 5, 50.0)


def test_nothing_is_replayed_where_nobody_was_trapped_or_nothing_is_known() -> None:
    assert _escapes(planted_comparison(arms=(beam(LANDSCAPE), exhaustive(LANDSCAPE))), SPEC) == ()
    assert _escapes(one_search(), SPEC) == ()
