from __future__ import annotations

import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from nas_fusion import distributions
from nas_fusion.distributions import Claim
from tests.nas_fusion_tests.installed import write_distribution


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_claim_says_whose_it_is(folder: Path) -> None:
    write_distribution(folder, "my-modules", "1.2", "[nas_fusion.modules]\ngate = my_modules:Gate\n[other]\nx = y:z\n")
    [gate] = distributions.claims("modules")["gate"]
    assert gate == Claim("modules", "gate", "my_modules:Gate", "my-modules", "1.2")
    assert gate.origin == "my-modules 1.2"


def test_ours_are_those_that_importlib_finds() -> None:
    for kind in ("modules", "samplers", "spaces", "cohorts"):
        expected = {point.name: point.value for point in entry_points(group=f"nas_fusion.{kind}")}
        assert {name: claims[0].target for name, claims in distributions.claims(kind).items()} == expected


def test_a_name_that_several_claim_is_of_the_first_in_the_alphabet_and_ours_stay_ours(tmp_path: Path, folder: Path) -> None:
    for name in ("Zebra", "apes", "a.b"):
        write_distribution(folder, name, "1.0", "[nas_fusion.modules]\nsum = m:Sum\nmmtm = m:Mine\n")
    assert [claim.distribution for claim in distributions.claims("modules")["sum"]] == ["a.b", "apes", "Zebra"]
    assert [claim.distribution for claim in distributions.claims("modules")["mmtm"]] == ["nas-fusion", "a.b", "apes", "Zebra"]


def test_of_a_distribution_that_is_there_twice_the_first_on_the_path_counts(folder: Path) -> None:
    for version, sub in (("2.0", "new"), ("1.0", "old")):
        write_distribution(folder / sub, "my-modules", version, "[nas_fusion.modules]\ngate = m:Gate\n")
    found = [claim for claim in distributions._claims((str(folder / "new"), str(folder / "old")))]
    assert [claim.version for claim in found] == ["2.0"]


def test_entry_points_that_cannot_be_read_break_no_other_distribution(folder: Path) -> None:
    write_distribution(folder, "scrawl", "0.1", "[nas_fusion.modules]\nthis is nonsense\n")
    write_distribution(folder, "my-modules", "1.2", "[nas_fusion.modules]\ngate = my_modules:Gate\n")
    with pytest.raises(TypeError):
        entry_points(group="nas_fusion.modules")
    assert distributions.claims("modules")["gate"][0].version == "1.2"
    [lost] = distributions.unreadable("modules")
    assert (lost.origin, lost.name) == ("scrawl 0.1", "?")
    assert lost.error == "its entry points cannot be read (TypeError)"
    assert distributions.unreadable("routers") == []


def test_a_distribution_without_metadata_is_listed_without_a_name(folder: Path) -> None:
    write_distribution(folder, "bare", "0", "[nas_fusion.modules]\nbare = m:Bare\n")
    os.unlink(folder / "bare-0.dist-info" / "METADATA")
    [bare] = distributions.claims("modules")["bare"]
    assert bare.origin == "(without a name) (without a version)"
