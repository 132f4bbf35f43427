"""Training seeds, acceptance, controls, racing and halving on the command line: what is done, shown, charged and refused."""

from __future__ import annotations

import math
import re
from pathlib import Path

import optuna
import pytest

from nas_fusion import history
from nas_fusion.study.spec import load_study
from nas_fusion.study.storage import open_storage
from tests.nas_fusion_tests.cli_tests.conftest import ONE, Run
from tests.nas_fusion_tests.cli_tests.test_wrong_use import refused_in_one_sentence


def test_folds_and_seeds_with_a_paired_test_and_a_control(run: Run, tmp_path: Path) -> None:
    options = ("--folds", "2", "--seeds", "2", "--accept", "paired", "--control", "--no-speculate", "--epochs", "1")
    outcome = run("search", "tiny", *ONE, *options, "--json")
    found = outcome.json
    study, spec = load_study(open_storage(found["storage"]), found["study"])
    assert (spec.seeds, spec.racing, spec.halving) == (2, None, False)
    assert spec.sampler_options == {"accept": "paired", "control": True, "speculate": False}
    assert all(word in spec.command for word in ("--seeds 2", "--accept paired", "--control", "--no-speculate"))
    trials = [trial for trial in study.trials if not history.is_surplus(trial)]
    controls = [t for t in trials if history.parent_of(t) is not None and dict(history.parent_of(t) or {}) == t.params]
    assert len(trials) == found["evaluations"] and len(controls) >= 1
    assert all(len(history.losses_of(trial)) == 2 and len(trial.user_attrs["nas_fusion:curves"]) == 4 for trial in trials)
    assert outcome.out.count("control") >= len(controls) and re.search(r"0\.\d{3} ± 0\.\d{3}", outcome.out)
    assert found["shortened"] == [] and found["unfinished"] == [] and found["standard_error"] > 0
    assert "sfsa accept paired, control true, speculate false" in (tmp_path / found["report"]).read_text()
    again = run("search", "tiny", *ONE, *options, "--json")
    assert again.json == found
    refused = run("search", "tiny", *ONE, "--folds", "2", "--seeds", "3")
    assert refused.code == 2
    refused_in_one_sentence(refused.err, "the study was made with seeds=2, but seeds=3 was asked for")


def test_a_race_is_shown_with_what_it_cut_and_what_that_cost(run: Run, tmp_path: Path) -> None:
    outcome = run("search", "tiny", *ONE, "--folds", "8", "--racing", "0.2", "--json")
    found = outcome.json
    assert outcome.code == 0 and found["shortened"] == ["racing at p = 0.2"] and found["unfinished"]
    study, spec = load_study(open_storage(found["storage"]), found["study"])
    pruned = [
        trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED and not history.is_surplus(trial)
    ]
    assert spec.racing == 0.2 and [each["trial"] for each in found["unfinished"]] == [trial.number for trial in pruned]
    for each, trial in zip(found["unfinished"], pruned, strict=True):
        assert 3 <= len(each["losses"]) < 8 and tuple(each["losses"]) == history.losses_of(trial)
        assert each["epochs"] == 3 * len(each["losses"]) and each["reason"] == "pruned"
        assert f"pruned (trial {trial.number})" in outcome.out
    assert found["evaluations"] == found["trained"] == len([t for t in study.trials if not history.is_surplus(t)])
    assert "ended early: Pruned at step" in outcome.err
    assert "SFSA was shortened by racing at p = 0.2 and is not exact" in outcome.out
    report = (tmp_path / found["report"]).read_text()
    assert "SFSA (shortened)" in report and f"trial {pruned[0].number}" in report
    assert run("search", "tiny", *ONE, "--folds", "8", "--racing", "0.2", "--json").json == found
    refused = run("search", "tiny", *ONE, "--folds", "8")
    refused_in_one_sentence(refused.err, r"the study was made with racing=0\.2, but racing=null was asked for")


def test_halving_in_a_comparison_shortens_the_searches_in_rounds_only(run: Run) -> None:
    outcome = run(
        "compare", "tiny", *ONE, "--samplers", "sfsa,exhaustive", "--set", "points=2", "--folds", "2", "--halving", "--json"
    )
    arms = {arm["sampler"]: arm for arm in outcome.json["arms"]}
    assert outcome.code == 0 and arms["exhaustive"]["shortened"] == [] and arms["exhaustive"]["evaluations"] == 4
    assert arms["sfsa"]["shortened"] == ["halving in each round"]
    assert all(len(each["losses"]) == 1 for each in arms["sfsa"]["unfinished"])
    assert "SFSA (shortened)" in outcome.out


def test_halving_of_a_single_training_is_over_epochs(run: Run) -> None:
    outcome = run("search", "tiny", *ONE, "--epochs", "4", "--halving", "--json")
    found = outcome.json
    assert outcome.code == 0 and found["unfinished"]
    assert all(each["losses"] == [] and each["epochs"] in (1, 2) for each in found["unfinished"])
    assert re.search(r"ended early and count as not better \(trial \d+, p\d( \+ p\d)*, after [12] epochs", outcome.out)


def test_options_of_one_sampler_leave_the_others_as_they_are(run: Run) -> None:
    outcome = run(
        "compare", "tiny", *ONE, "--samplers", "sfsa,grid", "--set", "points=2", "--folds", "2", "--accept", "one_se", "--json"
    )
    storage = open_storage(outcome.json["storage"])
    assert load_study(storage, "tiny-sfsa")[1].sampler_options == {"accept": "one_se"}
    assert load_study(storage, "tiny-grid")[1].sampler_options == {}


def test_a_single_training_has_no_standard_error(finished: Run) -> None:
    outcome = finished("search", "tiny", *ONE, "--json")
    assert outcome.json["standard_error"] is None and "±" not in outcome.out.partition("Selected")[0]
    assert math.isfinite(outcome.json["value"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--accept better", "`accept` must be one of best, one_se, paired, but got 'better'"),
        ("--accept paired", "`--accept paired` must have at least two folds, or two training seeds of one fold, but got one"),
        ("--accept one_se --folds 1", "`--accept one_se` must have at least two folds"),
        ("--accept paired --sampler tpe --trials 3", "`--accept` must go with a sampler that has it, but tpe has no 'accept'"),
        ("--accept best --sampler-set accept=paired", "`--accept` must be given once, but `--sampler-set accept=` says it too"),
        ("--control --inherit none", "`control` must go with inherit=\"parent\", but got 'none'"),
        ("--control --sampler exhaustive", "`--control` must go with a sampler that has it, but exhaustive has no 'control'"),
        ("--no-speculate --sampler grid", "`--no-speculate` must go with a sampler that has it"),
        ("--racing 0.1 --folds 3", "`racing` at p = 0.1 must have at least 4 folds to be able to prune at all .*but got 3"),
        ("--racing 0.1", "`racing` at p = 0.1 must have at least 4 folds .*but got 1"),
        ("--racing 0.05 --folds 4", "`racing` at p = 0.05 must have at least 5 folds .*but got 4"),
        ("--racing 0.7 --folds 5", r"`--racing` must be in \(0, 0.5\), but got 0.7"),
        ("--racing 0.1 --folds 5 --sampler exhaustive", "`--racing` must go with a sampler that works in rounds .*exhaustive"),
        ("--halving --sampler random --trials 3", "`--halving` must go with a sampler that works in rounds .*random"),
        ("--halving --epochs 1", "`halving` must have more than 1 fold or epoch to end anything early, but got 1"),
        ("--halving --racing 0.1 --folds 5", "`racing` and `halving` must not be given together"),
        ("--seeds 0", "`--seeds` must be at least 1, but got 0"),
    ],
)
def test_what_cannot_work_is_refused_before_a_study_is_made(run: Run, tmp_path: Path, options: str, message: str) -> None:
    outcome = run("search", "tiny", *ONE, *options.split())
    assert outcome.code == 2
    refused_in_one_sentence(outcome.err, message)
    database = tmp_path / "nas-fusion-results" / "nas-fusion.db"
    assert not database.exists() or optuna.get_all_study_names(f"sqlite:///{database}") == []


def test_a_dry_run_counts_the_seeds(run: Run) -> None:
    one, three = (run("search", "tiny", *ONE, "--dry-run", "--json", *more).json for more in ((), ("--seeds", "3")))
    assert (one["seeds"], three["seeds"]) == (1, 3)
    assert three["hours_at_most"] / three["seconds_per_epoch"] == pytest.approx(
        3 * one["hours_at_most"] / one["seconds_per_epoch"]
    )
