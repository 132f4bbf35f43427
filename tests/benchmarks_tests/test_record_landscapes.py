"""Recording of landscapes: what is written is what was trained, and what is known is not trained again."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.record_landscapes import MADE, Recording, command, main, note, parse, record, recordings, write
from nas_fusion import SearchSpace, load_space

ASKED = ["--cohort-seeds", "0", "--training-seeds", "0", "1", "--shape", "8", "--train", "24", "--validation", "12"]
ASKED += ["--epochs", "1", "--points", "layer1,layer3"]
SPACE = SearchSpace({"a": ["none", "mmtm"], "b": ["none", "mmtm"]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("landscapes")
    main([*ASKED, "--store", str(out / "store"), "--out", str(out)])
    return out


def rows(seed: int, *losses: float) -> list[dict[str, object]]:
    return [
        {**configuration, "seed": seed, "fold": 0, "loss": loss, "epochs": 10}
        for configuration, loss in zip(SPACE.configurations(), losses, strict=True)
    ]


@pytest.mark.slow
def test_records_every_configuration_by_index_and_seed(folder: Path) -> None:
    table = pd.read_csv(folder / "discordance_2points_seed0.csv", keep_default_na=False)
    assert list(table.columns) == ["layer1", "layer3", "seed", "fold", "loss", "epochs"]
    assert list(zip(table["layer1"], table["layer3"], table["seed"], strict=True)) == [
        (first, second, seed) for second in ("none", "mmtm") for first in ("none", "mmtm") for seed in (0, 1)
    ]
    assert table["loss"].between(0.3, 1.5).all() and table["loss"].nunique() == 8
    assert (table["epochs"] == 1).all() and (table["fold"] == 0).all()


@pytest.mark.slow
def test_what_is_stored_is_answered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = parse([*ASKED, "--store", str(folder / "store")])
    asked = recordings(options, load_space("fusion-points", points=options.points))
    table = pd.read_csv(folder / "discordance_2points_seed0.csv", keep_default_na=False)
    assert record(asked[1]) == table[table["seed"] == 1].to_dict("records")
    assert capsys.readouterr().err.count("(known)") == 4


@pytest.mark.slow
def test_weights_are_kept_of_the_baseline_alone(folder: Path) -> None:
    assert len(list((folder / "store").glob("*fold0.safetensors*"))) == 2  # one a training seed
    assert len(list((folder / "store").glob("*predictions.safetensors*"))) == 8


def test_a_table_keeps_other_seeds_and_replaces_the_same(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write(rows(1, 0.8, 0.6, 0.7, 0.5), SPACE, path)
    write(rows(0, 0.4, 0.3, 0.2, 0.1), SPACE, path)
    write(rows(1, 0.9, 0.6, 0.7, 0.5), SPACE, path)
    table = pd.read_csv(path, keep_default_na=False)
    assert list(table["loss"]) == [0.4, 0.9, 0.3, 0.6, 0.2, 0.7, 0.1, 0.5]
    with pytest.raises(ValueError, match="`path` must have the columns"):
        write([{"a": "none", "seed": 0, "fold": 0, "loss": 1.0, "epochs": 1}], SPACE, path)


def test_page_says_what_a_table_holds(tmp_path: Path) -> None:
    write(rows(0, 0.6, 0.5, 0.8, 0.4) + rows(1, 0.8, 0.4, 0.9, 0.6), SPACE, tmp_path / "null_seed3.csv")
    for seed in (1, 0):
        note(Recording("null_seed3", {"task": "null", "seed": 3, "shape": 24}, {}, {}, seed, ""), SPACE, "made so", tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| [null_seed3](null_seed3.csv) | 2 | mmtm | 24³ | 0 1 | 0.700 | 0.450 | a |" in text
    assert text.count("- `made so`") == 1
    assert json.loads((tmp_path / MADE).read_text())["null_seed3"]["training_seeds"] == [0, 1]


def test_names_and_commands_say_what_differs() -> None:
    options = parse(["--cohort-seeds", "0", "2", "--training-seeds", "5", "--modules", "mmtm,concat_conv", "--processes", "2"])
    asked = recordings(options, load_space("fusion-points", modules=options.modules))
    assert [each.name for each in asked] == ["discordance_mmtm+concat_conv_seed0", "discordance_mmtm+concat_conv_seed2"]
    assert asked[0].cohort == {"task": "discordance", "seed": 0} and asked[0].space == {"modules": "mmtm,concat_conv"}
    assert command(options) == (
        "python -m benchmarks.record_landscapes "
        "--task discordance --cohort-seeds 0 2 --training-seeds 5 --modules mmtm,concat_conv"
    )
