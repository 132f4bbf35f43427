"""What options become: a space for the modalities of the cohort."""

from __future__ import annotations

from nas_fusion import load_space
from nas_fusion.cli.request import _for_modalities


def test_a_space_for_modalities_by_name_is_built_for_those_of_the_cohort() -> None:
    space = load_space("expert-routing", preset="small")
    assert _for_modalities(space, {"preset": "small"}, ("FC", "SC")) is space
    wider = _for_modalities(space, {"preset": "small"}, ("SC", "FC", "MSN"))
    assert list(wider.parameters) == ["sc", "fc", "msn", "fused", "granularity"]
    assert wider.options() == {**space.options(), "modalities": ["SC", "FC", "MSN"]}


def test_modalities_that_were_typed_and_spaces_without_any_stay() -> None:
    typed = load_space("expert-routing", modalities="SC,FC")
    assert _for_modalities(typed, {"modalities": "SC,FC"}, ("SC", "FC", "MSN")) is typed
    images = load_space("fusion-points")
    assert _for_modalities(images, {}, ("T1w", "FLAIR")) is images
