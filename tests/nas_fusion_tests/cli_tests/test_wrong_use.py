"""Wrong inputs: each ends with exit code 2 and one sentence that says what is wrong and what is expected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import optuna
import pandas as pd
import pytest

from tests.nas_fusion_tests.cli_tests.conftest import ONE, Run


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("serach tiny", "No such command 'serach'. Did you mean 'search'"),
        ("search", "Missing argument"),
        ("search tiny --nonsense", "No such option"),
        ("search tyny", "`space` must be one of .*got 'tyny'. Did you mean 'tiny'"),
        ("search broken", "The space 'broken' .* cannot be loaded: AttributeError"),
        ("search homeless", "`--data` must name .* no embedded cohort"),
        ("search tiny --sampler sfas", "`sampler` must be one of .*got 'sfas'"),
        ("search tiny --sampler tpe", "`--trials` must be given for the sampler 'tpe'"),
        ("search tiny --sampler beam --sampler-set width=0", "`width` must"),
        ("search tiny --sampler-set wight=3", "`--sampler-set` must give options of sfsa .*got 'wight'"),
        ("search tiny --data nowhere/cohort", "nowhere/cohort"),
        ("search tiny --data simulated-mir", "but got 'simulated-mir'. Did you mean 'simulated-mri'?"),
        ("search tiny --set points", "`--set` must have the form KEY=VALUE, but got 'points'"),
        ("search tiny --set =3", "`--set` must have the form KEY=VALUE"),
        ("search tiny --set pionts=3", "`--set` must give options of the space 'tiny' .*got 'pionts'"),
        ("search tiny --set points=3 --set points=4", "`--set` must give each key once"),
        ("search fusion-points --set preset=tiny", "`preset` must be one of small, paper"),
        ("search fusion-points --set ratoi=4", "ratoi"),
        ("search fusion-points --module mtmm", "'mtmm'"),
        ("search fusion-points --module mmtm,mmtm", "`--module` must be different names"),
        ("search expert-routing --module mmtm", "`--module` must go with a space .*'expert-routing' has none"),
        ("search tiny --cohort-set tarin=3", "`tarin` must be an option of the cohort"),
        ("search fusion-points --cohort-set train=x", "`train` must be a whole number in .*got 'x'"),
        ("search fusion-points --cohort-set shape=4", "`shape` must be a whole number in"),
        ("search tiny --modalities x", "`--modalities` must be at least 2 different names"),
        ("search fusion-points --modalities T1w,T3w", "`modalities` must be different ones of .*T3w"),
        ("search tiny --inherit mother", "`inherit` must be one of parent, baseline, none, but got 'mother'"),
        ("search tiny --epochs 0", "`--epochs` must be at least 1, but got 0"),
        ("search tiny --epochs many", "--epochs"),
        ("search tiny --workers 0", "`--workers` must be at least 1"),
        ("search tiny --trials 0", "`--trials` must be at least 1"),
        ("search tiny --seed -1", "`--seed` must be at least 0"),
        ("search tiny --seed 4294967296", "`--seed` must be at most 4294967295, but got 4294967296"),
        ("search tiny --workers 100000", "`--workers` must be at most 1024, but got 100000"),
        ("search tiny --epochs 99999999999999999999", "`--epochs` must be at most 1000000"),
        ("search tiny --data=", "`--data` must not be empty"),
        ("search tiny --study=", "`--study` must not be empty"),
        (f"search tiny --study {'x' * 201}", "`--study` must have at most 200 bytes, but has 201"),
        ("search tiny --folds 2 --cohort-set folds=3", "`--folds` must be given once"),
        ("search tiny --artifacts=", "`--artifacts` must not be empty"),
        (
            "search tiny --artifacts /proc/nowhere/a",
            "`--artifacts` must be a folder or a URL, but /proc/nowhere/a cannot be made",
        ),
        ("search fusion-points --set modules=3", "`modules` must be at least one name, each once, but got 3"),
        ("search tiny --folds 0", "`--folds` must be at least 1"),
        ("search tiny --folds 60", "folds"),
        ("search tiny --device tpu", "`device` must be auto, cpu, cuda or cuda:INDEX, but got 'tpu'"),
        ("search tiny --device cuda:99", "`device` must be one that this machine has"),
        ("search tiny --storage nonsense", "`storage` must be one of sqlite:///FILE"),
        ("search tiny --storage sqlite:////proc/nowhere/s.db", "/proc/nowhere cannot be made"),
        ("search tiny --storage mongodb://x/y", "`storage` must be one of .* is not: "),
        ("search tiny --out file", "`--out` must be a folder, but file is a file"),
        ("search tiny --artifacts file", "`--artifacts` must be a folder or a URL, but file is a file"),
        ("compare tiny --samplers sfsa,,beam", "`--samplers` must be different names"),
        ("compare tiny --samplers sfsa,grdi", "`sampler` must be one of .*got 'grdi'"),
        ("list nonsense", "`kind` must be one of"),
        ("cohort check nowhere", "nowhere"),
        ("cohort make nonsense --out x", "`cohort` must be one of"),
        ("cohort make tiny-cohort --out x", "`name` must be a cohort that can be written as files"),
        ("cohort make simulated-mri --out file", "`--out` must be a folder"),
        ("report", "there is no file"),
        ("evaluate --study x", "there is no file"),
        ("worker --storage sqlite:///none.db --study x", "there is no file none.db"),
        ("dashboard --port 99999", "--port"),
    ],
)
def test_options(run: Run, tmp_path: Path, command: str, message: str) -> None:
    (tmp_path / "file").write_text("precious")
    outcome = run(*command.split())
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, message)
    assert (tmp_path / "file").read_text() == "precious"


def refused_in_one_sentence(err: str, message: str) -> None:
    import re

    assert re.search(message, err), err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1, err


@pytest.mark.skipif("__import__('torch').cuda.is_available()", reason="there is CUDA")
def test_cuda_where_there_is_none(run: Run) -> None:
    outcome = run("search", "tiny", "--device", "cuda")
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, r"`device` must be one that this machine has \(CUDA devices: 0\), but got 'cuda'")


# --- studies ---


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ("--seed 1", "seed=0, but seed=1 was asked for"),
        ("--epochs 1", "epochs"),
        ("--cohort-set seed=1", "fingerprint"),
        ("--cohort-set train=32", "source_options.train=32"),
        ("--set points=2", "space_options.points=3, but space_options.points=2"),
        ("--inherit none", 'inherit="parent", but inherit="none"'),
        ("--sampler beam --study tiny-sfsa", 'sampler="sfsa", but sampler="beam"'),
        ("--folds 2", "split="),
    ],
)
def test_a_study_that_was_made_differently(finished: Run, options: str, difference: str) -> None:
    before = finished("report", "--json").json
    outcome = finished("search", "tiny", *ONE, *options.split())
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, f"`study` 'tiny-sfsa' cannot be resumed: .*{difference}")
    assert finished("search", "tiny", *ONE, "--json").json["trained"] == 7
    assert finished("report", "--json").json == before


def test_studies_that_are_not_there(finished: Run) -> None:
    outcome = finished("report", "--study", "tiny-sfas")
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, "there is no 'tiny-sfas'. Did you mean 'tiny-sfsa'")


def test_a_study_of_somebody_else(run: Run) -> None:
    theirs = optuna.create_study(storage="sqlite:///theirs.db", study_name="theirs")
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    for command in ("report", "evaluate", "worker", "dashboard"):
        outcome = run(command, "--storage", "sqlite:///theirs.db", "--study", "theirs")
        assert outcome.code == 2
        refused_in_one_sentence(outcome.err, "`study` must be one that nas-fusion made, but 'theirs' is somebody else's")
    outcome = run("search", "tiny", *ONE, "--storage", "sqlite:///theirs.db", "--study", "theirs")
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, "'theirs' holds other trials")
    assert len(optuna.load_study(storage="sqlite:///theirs.db", study_name="theirs").trials) == 2


def test_a_file_that_is_no_database(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary")
    for storage, message in (("notes.txt", "is something else"), ("sqlite:///notes.txt", "not a database")):
        outcome = run("search", "tiny", *ONE, "--storage", storage)
        assert outcome.code == 2
        refused_in_one_sentence(outcome.err, message)
    assert (tmp_path / "notes.txt").read_text() == "dear diary"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--cohort-set train=1", "`splits` must give fold 0 two subjects to train"),
        ("--cohort-set modalities=T1w", "`inputs` must have at least two modalities"),
        ("--artifacts nonsense://bucket/x", "`artifacts` must be a folder"),
    ],
)
def test_what_training_would_refuse_takes_no_name(run: Run, options: str, message: str) -> None:
    small = ("--cohort-set", "shape=12", "--cohort-set", "validation=4", "--cohort-set", "test=4")
    outcome = run("search", "fusion-points", *ONE, *small, *options.split())
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, message)
    assert optuna.get_all_study_names("sqlite:///nas-fusion-results/nas-fusion.db") == []


def test_before_any_trial_there_is_nothing_to_report_or_evaluate(run: Run) -> None:
    assert run("search", "tiny", *ONE).code == 0
    study = optuna.load_study(storage="sqlite:///nas-fusion-results/nas-fusion.db", study_name="tiny-sfsa")
    empty = optuna.create_study(storage="sqlite:///nas-fusion-results/nas-fusion.db", study_name="empty")
    for name, value in study.user_attrs.items():
        empty.set_user_attr(name, value)
    outcome = run("report", "--study", "empty")
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, "at least one finished evaluation, but 'empty' has none")
    outcome = run("evaluate", "--study", "empty")
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, "the search of 'empty' is not")


def test_data_that_have_changed(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiny_plugin

    changed = tiny_plugin.tiny_cohort(seed=1)
    monkeypatch.setattr(tiny_plugin, "tiny_cohort", lambda **options: changed)
    outcome = finished("report")
    assert outcome.code == 2
    refused_in_one_sentence(
        outcome.err, "`data` must be what the study was made with, but the fingerprint of tiny-cohort is now"
    )


def test_a_cohort_without_test_subjects_has_no_final_evaluation(run: Run) -> None:
    assert run("search", "tiny", *ONE, "--cohort-set", "test=0").code == 0
    outcome = run("evaluate")
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, "`data` must have test subjects for a final evaluation")


# --- files ---

Spoil = Callable[[Path], None]


def bids(folder: Path) -> Path:
    """Write 24 subjects of noise with two modalities as a BIDS folder."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(24):
        subject = f"sub-{i:02d}"
        for name in ("T1w", "FLAIR"):
            path = folder / subject / "anat" / f"{subject}_{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(rng.random((8, 8, 8), np.float32), np.eye(4)), path)
        rows.append({"participant_id": subject, "diagnosis": ("hc", "ad")[i % 2]})
    pd.DataFrame(rows).to_csv(folder / "participants.tsv", sep="\t", index=False)
    (folder / "dataset_description.json").write_text(json.dumps({"Name": "noise", "BIDSVersion": "1.10.0"}))
    return folder


def corrupt(folder: Path) -> None:
    (folder / "sub-03" / "anat" / "sub-03_FLAIR.nii.gz").write_bytes(b"no image")


def take_away(folder: Path) -> None:
    (folder / "sub-03" / "anat" / "sub-03_FLAIR.nii.gz").unlink()


def take_away_labels(folder: Path) -> None:
    (folder / "participants.tsv").unlink()


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (corrupt, "--label diagnosis", "sub-03_FLAIR"),
        (take_away, "--label diagnosis", "sub-03.*FLAIR"),
        (take_away_labels, "--label diagnosis", "participants.tsv"),
        (None, "--label diagnose", "diagnose"),
        (None, "--label diagnosis --modalities T1w,T2w", "T2w"),
        (None, "--label diagnosis --group site", "site"),
        (None, "--label diagnosis --folds 13", "folds"),
    ],
)
def test_bids_folders(run: Run, tmp_path: Path, spoil: Spoil | None, options: str, message: str) -> None:
    folder = bids(tmp_path / "bids")
    if spoil is not None:
        spoil(folder)
    options = options if "--modalities" in options else f"{options} --modalities T1w,FLAIR"
    outcome = run("search", "fusion-points", "--data", folder, *options.split(), *ONE)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert message.split(".*")[0] in outcome.err and message.split(".*")[-1] in outcome.err


def test_all_problems_of_the_data_are_listed(run: Run, tmp_path: Path) -> None:
    folder = bids(tmp_path / "bids")
    take_away(folder)
    (folder / "sub-05" / "anat" / "sub-05_T1w.nii.gz").unlink()
    options = ("--label", "diagnosis", "--modalities", "T1w,FLAIR")
    for outcome in (
        run("cohort", "check", folder, *options),
        run("search", "fusion-points", "--data", folder, *options, *ONE),
    ):
        assert outcome.code == 2
        assert "sub-03" in outcome.err and "sub-05" in outcome.err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cohort.json", "{not json"),
        ("cohort.json", "[1, 2]"),
        ("cohort.csv", ""),
        ("cohort.csv", "subject,label,T1w,FLAIR\n"),
        ("cohort.csv", "subject,T1w,FLAIR\na,x.nii,y.nii\n"),
        ("cohort.txt", "subject,label,T1w,FLAIR\n"),
    ],
)
def test_manifests_and_datalists(run: Run, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    outcome = run("search", "fusion-points", "--data", name, *ONE)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err and name in outcome.err
