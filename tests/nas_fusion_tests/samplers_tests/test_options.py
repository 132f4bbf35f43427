"""Options of samplers by name."""

from __future__ import annotations

import pytest

from nas_fusion.samplers.options import options_of, taken_by

NOISE = {"accept", "level", "tolerance", "control", "speculate"}


@pytest.mark.parametrize("sampler", ["sfsa", "beam", "backward", "floating"])
def test_options_that_a_constructor_hands_on_are_known(sampler: str) -> None:
    assert options_of(sampler) >= NOISE | {"patience", "forced", "groups", "start", "max_retries"}


def test_what_is_said_of_the_whole_study_and_optunas_samplers_have_none() -> None:
    assert "width" in options_of("beam") and "width" not in options_of("sfsa")
    assert not options_of("exhaustive") & NOISE and options_of("tpe") == frozenset()
    for sampler in ("sfsa", "surrogate", "exhaustive"):
        assert not options_of(sampler) & {"self", "space", "seed", "inherit", "n_trials"}


def test_each_sampler_gets_what_it_takes() -> None:
    options, samplers = {"accept": "paired", "width": 3, "max_retries": 1}, ("sfsa", "beam", "exhaustive", "tpe")
    assert taken_by("beam", options, samplers) == options
    assert taken_by("sfsa", options, samplers) == {"accept": "paired", "max_retries": 1}
    assert taken_by("exhaustive", options, samplers) == {"max_retries": 1} and taken_by("tpe", options, samplers) == {}
    with pytest.raises(ValueError, match=r"`sampler_options` must give options of sfsa \(accept, .*\), but got 'width'"):
        taken_by("sfsa", options, ("sfsa",))
    with pytest.raises(ValueError, match=r"`--sampler-set` must give options of tpe, grid \(none\), but got 'accept'"):
        taken_by("tpe", options, ("tpe", "grid"), called="--sampler-set")
