from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_fusion import plugins
from nas_fusion.cohorts import Cohort, check_source, load_cohort, modalities_table, parts_table
from nas_fusion.cohorts.options import ModalityOption, SourceOptions


@pytest.fixture
def plugin() -> Iterator[str]:
    """A plug-in's cohort without splits, which has the option `n`."""

    def make(*, n: int = 20) -> Cohort:
        return Cohort(
            name="toy",
            subjects=tuple(f"s{i:02d}" for i in range(n)),
            modalities={"x": torch.arange(2.0 * n).reshape(n, 2)},
            kinds={"x": "vector"},
            labels=torch.arange(n) % 2,
            classes=("a", "b"),
            fingerprint=str(n),
            present=torch.ones(n, 1, dtype=torch.bool),
        )

    plugins.register("cohorts", "toy-cohort")(make)
    yield "toy-cohort"
    del plugins._registered["cohorts"]["toy-cohort"]


def test_a_plugins_cohort_gets_splits(plugin: str) -> None:
    cohort = load_cohort(plugin, n=40)
    assert len(cohort) == 40 and cohort.splits is not None and len(cohort.splits.test) == 8
    folded = load_cohort(plugin, folds=3, test=0, split_seed=1).splits
    assert folded is not None and len(folded.folds) == 3 and folded.test == ()
    assert check_source(plugin) == []


def test_a_name_goes_before_a_path(plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / plugin).mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_cohort(plugin).name == "toy"


@pytest.mark.parametrize(
    ("source", "options", "match"),
    [
        ("toy-cohort", {"shape": 3}, r"`shape` must be an option of the cohort 'toy-cohort' \(n, folds, .*\), but is none"),
        (
            "no-such-cohort",
            {},
            "`source` must be an existing file or folder or one of .*toy-cohort.*, but got 'no-such-cohort'",
        ),
        (__file__, {}, r"`source` must be a BIDS folder, .* manifest .csv or .tsv, or an .npz of connectomes, but got .*\.py"),
        (".", {"shap": 3}, r"`shap` must be an option of a cohort from files .* Did you mean 'shape'\?"),
        (".", {"shape": 2}, r"`shape` must be one or more whole numbers from 4 to 1024, but got \(2,\)"),
        (".", {"shape": "a"}, "`shape` must be one or more whole numbers from 4 to 1024, but got 'a'"),
        (".", {"missing": "skip"}, "`missing` must be one of error, drop, keep, but got 'skip'"),
        (".", {"resample": "yes"}, "`resample` must be true or false, but got 'yes'"),
        (".", {"modalities": "T1w,T1w"}, "`modalities` must be different names separated by commas, but got 'T1w,T1w'"),
        (".", {"modalities": "x=a,x=b"}, "`modalities` must be different names, but got x, x"),
        (".", {"modalities": "x=a+"}, r"`modalities` must be of the form NAME or NAME=COLUMN\+COLUMN, but got 'x=a\+'"),
        (".", {"folds": 0}, "`folds` must be a whole number of at least 1, but got 0"),
    ],
)
def test_wrong_options_are_one_clear_sentence(plugin: str, source: str, options: dict[str, Any], match: str) -> None:
    for function in (load_cohort, check_source):
        with pytest.raises(ValueError, match=match):
            function(source, **options)


def test_options_may_come_from_a_command_line_or_from_python() -> None:
    typed = SourceOptions.of(
        {"modalities": "T1w, FLAIR", "shape": 32, "acq": "iso08", "run": 1, "session": ["a", "b"], "label": None}
    )
    meant = SourceOptions(modalities=("T1w", "FLAIR"), shape=(32,), acq=("iso08",), run=("1",), session=("a", "b"))
    assert typed == meant
    assert SourceOptions.of({"shape": "32,40,36"}).shape == SourceOptions.of({"shape": [32, 40, 36]}).shape == (32, 40, 36)


def test_features_are_found_by_pattern_in_the_order_asked_for() -> None:
    option = ModalityOption.parse("genes=g_2+g_*")
    assert option.among(["g_1", "age", "g_2", "g_3"]) == ["g_2", "g_1", "g_3"]


def test_tables_for_people(manifest: Callable[..., Path]) -> None:
    cohort = load_cohort(manifest(), modalities="T1w,clinical=age+score", group="none", folds=2)
    assert modalities_table(cohort).to_dict("records") == [
        {"modality": "T1w", "kind": "image", "shape": "1 x 8 x 8 x 8", "subjects": 10, "megabytes": 0.0},
        {"modality": "clinical", "kind": "vector", "shape": "2", "subjects": 10, "megabytes": 0.0},
    ]
    assert parts_table(cohort).to_dict("list") == {
        "part": ["all", "fold 1: train", "fold 1: validation", "fold 2: train", "fold 2: validation", "test"],
        "subjects": [10, 4, 4, 4, 4, 2],
        "a": [5, 2, 2, 2, 2, 1],
        "b": [5, 2, 2, 2, 2, 1],
    }
