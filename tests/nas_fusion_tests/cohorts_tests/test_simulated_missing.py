"""Absent modalities, the clinical table and the fourth sequence of the simulated MRI cohort, in memory and as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from nas_fusion.cohorts import check_source, load_cohort
from nas_fusion.cohorts.scanner import draw_traits, generator
from nas_fusion.cohorts.simulated_clinical import COLUMNS, SHIFT
from nas_fusion.cohorts.simulated_mri import simulated_mri, write_files
from nas_fusion.cohorts.simulated_options import Options
from nas_fusion.cohorts.simulated_presence import patterns, present
from nas_fusion.cohorts.simulated_subjects import clinical_table
from nas_fusion.cohorts.simulated_tasks import make_task

MIXED = ("T1w", "PDw", "clinical")
SMALL = {"shape": 8, "train": 24, "validation": 8, "test": 8}
DEFAULT_FINGERPRINT = "cbf72754255bd35d15eaa3b7685c237f5077e24271db8b006aa044869c46488b"


def bits(n: int, aged: float = 0.3) -> np.ndarray:
    return np.array([draw_traits(generator(0, i)).bits for i in range(n)]) < [aged, 0.5]


def test_what_there_was_before_has_the_fingerprint_that_it_had() -> None:
    assert simulated_mri(shape=10, train=12, validation=4, test=4).fingerprint == DEFAULT_FINGERPRINT
    assert "missing" not in simulated_mri(**SMALL).provenance


@given(st.integers(2, 5), st.floats(0.01, 0.99))
def test_patterns_have_the_share_of_absent_cells_that_is_asked_for(m: int, part: float) -> None:
    missing = part * (1 - 1 / m)
    found = patterns([str(i) for i in range(m)], missing)
    assert len(found) == 2**m - 1 and all(chance >= 0 for chance in found.values())
    assert sum(found.values()) == pytest.approx(1)
    assert sum(chance * (m - len(pattern)) for pattern, chance in found.items()) / m == pytest.approx(missing)


@pytest.mark.parametrize(("modalities", "missing"), [(("T1w", "FLAIR"), 0.3), (MIXED, 0.5)])
def test_subjects_lack_as_much_as_asked_and_keep_one(modalities: tuple[str, ...], missing: float) -> None:
    there = present(Options(modalities=modalities, missing=missing, train=3000))
    assert bool(there.any(1).all())
    n = there.numel()
    assert float((~there).double().mean()) == pytest.approx(missing, abs=4 * (0.25 / n) ** 0.5)
    expected = patterns(modalities, missing)
    for pattern, chance in expected.items():
        having = torch.tensor([name in pattern for name in modalities])
        share = float((there == having).all(1).double().mean())
        assert share == pytest.approx(chance, abs=4 * (0.25 / len(there)) ** 0.5)
    assert abs(np.corrcoef(there[:, 0].numpy(), bits(len(there))[:, 0])[0, 1]) < 4 / len(there) ** 0.5


def test_absence_changes_nothing_that_is_there() -> None:
    whole, some = (simulated_mri(**SMALL, modalities=("T1w", "PDw"), missing=missing) for missing in (0.0, 0.4))
    assert torch.equal(whole.labels, some.labels) and whole.lacking == () and some.lacking == ("T1w", "PDw")
    for column, (name, values) in enumerate(some.modalities.items()):
        there = some.present[:, column]
        assert torch.equal(values[there], whole.modalities[name][there])
        assert bool((values[~there] == 0).all()) and 0 < int(there.sum()) < len(there)
    more = simulated_mri(**{**SMALL, "test": 20}, modalities=("T1w", "PDw"), missing=0.4)
    assert torch.equal(more.present[: len(some)], some.present)
    first = some.subjects[0]
    assert some.availability[first] == tuple(
        n for n, there in zip(("T1w", "PDw"), some.present[0].tolist(), strict=True) if there
    )


def test_the_table_is_standardised_by_development_subjects_who_have_it() -> None:
    cohort = simulated_mri(**SMALL, modalities=("clinical", "T1w"), missing=0.3)
    assert cohort.inputs.names == ("clinical", "T1w") and cohort.kinds == {"clinical": "vector", "T1w": "image"}
    table, there = cohort.modalities["clinical"], cohort.present[:, 0]
    assert table.shape == (40, 6) and table.dtype == torch.float32 and bool((table[~there] == 0).all())
    known = table[:32][there[:32]].double()
    assert known.mean(0).tolist() == pytest.approx([0] * 6, abs=1e-6)
    assert known.std(0, unbiased=False).tolist() == pytest.approx([1] * 6, abs=1e-6)
    assert cohort.provenance["features"] == list(COLUMNS)


def test_columns_read_out_one_bit_each_or_none() -> None:
    options = Options(modalities=("clinical",), train=1500, validation=1, test=0)
    table, found = clinical_table(options, make_task("discordance", flip=0.05)).numpy(), bits(1501)
    for column, name in enumerate(COLUMNS):
        for bit in range(2):
            area = roc_auc_score(found[:, bit], table[:, column])
            expected = 0.856 if {"reaction_time": 0, "walking_time": 1}.get(name) == bit else 0.5  # normal CDF of 1.5 / sqrt 2
            assert area == pytest.approx(expected, abs=0.065)
    apart = table[found[:, 0], 0].mean() - table[~found[:, 0], 0].mean()
    assert apart == pytest.approx(SHIFT, abs=0.25)


def test_subjects_do_not_depend_on_what_else_is_asked_for() -> None:
    task = make_task("discordance", flip=0.05)
    few = clinical_table(Options(modalities=("clinical",), train=3, validation=1, test=0), task)
    many = clinical_table(Options(modalities=("T1w", "clinical"), train=9, validation=1, test=4, task="discordance"), task)
    assert torch.equal(few, many[:4])


def test_files_of_a_cohort_with_absent_scans_and_numbers_are_the_cohort(tmp_path: Path) -> None:
    options = {**SMALL, "modalities": MIXED, "missing": 0.4}
    embedded, root = simulated_mri(**options), write_files(tmp_path / "files", **options)  # type: ignore[arg-type]
    scans = {path.name for path in root.glob("sub-*/anat/*.nii.gz")}
    expected = {
        f"{subject}_{name}.nii.gz" for subject, has in embedded.availability.items() for name in has if name != "clinical"
    }
    assert scans == expected and not (root / "clinical.json").exists()
    table = pd.read_csv(root / "participants.tsv", sep="\t", keep_default_na=False)
    assert list(table.columns) == ["participant_id", "group", "split", *COLUMNS]
    assert ((table["sodium"] != "n/a") == embedded.present[:, 2].numpy()).all()
    assert json.loads((root / "participants.json").read_text())["reaction_time"]["Description"].startswith("Reads out ageing")
    reading = {"modalities": ("T1w", "PDw", f"clinical={'+'.join(COLUMNS)}"), "label": "group", "missing": "keep"}
    assert check_source(root, **reading) == []
    cohort = load_cohort(root, **reading)
    assert cohort.subjects == embedded.subjects and cohort.splits == embedded.splits and cohort.kinds == embedded.kinds
    assert torch.equal(cohort.present, embedded.present) and torch.equal(cohort.labels, embedded.labels)
    assert torch.equal(cohort.modalities["clinical"], embedded.modalities["clinical"])
    for name in ("T1w", "PDw"):
        torch.testing.assert_close(cohort.modalities[name], embedded.modalities[name], rtol=0, atol=1e-6)


def test_a_subject_without_any_modality_is_a_problem_that_is_named(tmp_path: Path) -> None:
    root = write_files(tmp_path / "files", **SMALL)
    for path in (root / "sub-00003" / "anat").iterdir():
        path.unlink()
    options = {"modalities": ("T1w", "FLAIR"), "label": "group", "missing": "keep"}
    (problem,) = check_source(root, **options)
    assert problem.rule == "no modality" and problem.subject == "sub-00003"
    assert str(problem) == "Every subject must have at least one modality, but sub-00003 has none."
