"""The table of what modules cost: what it counts, and that its record is of the code as it is."""

from __future__ import annotations

import json

import pytest

from benchmarks.module_costs import KNOWN, RECORDS, Place, Setting, baseline, kept_bytes, measure, page, places, short, table
from nas_fusion import build_module, plugins


def test_every_shipped_module_is_known() -> None:
    shipped = {p.name for p in plugins.available("modules") if p.distribution == "nas-fusion"}
    assert set(KNOWN) == shipped


@pytest.mark.parametrize(
    ("setting", "channels", "edges"),
    [(Setting("small", 24, 2), (8, 16, 32, 64), (6, 3, 2, 1)), (Setting("paper", 96, 3), (64, 128, 256, 512), (48, 24, 12, 6))],
)
def test_points_are_those_of_the_network(setting: Setting, channels: tuple[int, ...], edges: tuple[int, ...]) -> None:
    expected = [
        Place(f"layer{i + 1}", [c] * setting.streams, [(e, e, e)] * setting.streams)
        for i, (c, e) in enumerate(zip(channels, edges, strict=True))
    ]
    assert places(*baseline(setting)) == expected


def test_kept_memory_is_what_is_concatenated() -> None:
    module = build_module("concat_conv", [8, 8])
    assert kept_bytes(module, Place("layer1", [8, 8], [(6, 6, 6)] * 2)) == 4 * 16 * 6**3


@pytest.mark.parametrize("name", ["cross_attention", "attention_bottleneck"])
def test_attention_keeps_little_of_large_maps(name: str) -> None:
    module = build_module(name, [64, 64])
    kept = [kept_bytes(module, Place("layer1", [64, 64], [(edge,) * 3] * 2)) for edge in (24, 48, 96)]
    assert max(kept) < 2**20
    assert kept[2] < 1.1 * kept[0]


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (999, "999"), (1024, "1.02 k"), (3623878656, "3.62 G"), (5e6, "5 M")])
def test_numbers_are_short(number: float, text: str) -> None:
    assert short(number) == text


def test_record_is_of_the_code_as_it_is() -> None:
    record = json.loads((RECORDS / "module_costs.json").read_text())
    assert record["known"] == list(KNOWN)
    first = record["settings"][0]
    assert first == measure(Setting("small", 24, 2), list(KNOWN))
    assert (RECORDS / "module_costs.md").read_text() == page(record)


def test_table_has_a_row_a_module_and_a_column_a_point() -> None:
    result = measure(Setting("small", 24, 2), ["mmtm", "se_gate"])
    lines = table(result).splitlines()
    assert lines[0] == "| module | layer1 (8 channels, 6×6×6) | layer2 (16 channels, 3×3×3) | " + (
        "layer3 (32 channels, 2×2×2) | layer4 (64 channels, 1×1×1) |"
    )
    assert lines[2].startswith("| mmtm | 148 · 256 · ")
    assert len(lines) == 4
