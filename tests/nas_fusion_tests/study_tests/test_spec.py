"""Studies: their specification in JSON, resuming, and the refusal that names every difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage

from nas_fusion import history
from nas_fusion.study.spec import StudySpec, arms_of, load_study, open_study, own_studies
from nas_fusion.study.storage import open_storage

optuna.logging.set_verbosity(optuna.logging.WARNING)


def spec(**changes: Any) -> StudySpec:
    return StudySpec(space="fusion-points", source="simulated-mri", fingerprint="f" * 64, split="s" * 32).replace(**changes)


def test_json_round_trip() -> None:
    made = spec(space_options={"modules": ["mmtm"]}, plan={"epochs": 3}, trials=7, sampler="beam", sampler_options={"width": 3})
    assert StudySpec.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_json_of_a_later_version_is_read_and_of_another_program_refused() -> None:
    assert StudySpec.from_json({**spec().to_json(), "later": 1}) == spec()
    with pytest.raises(ValueError, match="lacks space, source"):
        StudySpec.from_json({"fingerprint": "f", "split": "s"})


@pytest.mark.parametrize(("change", "message"), [({"inherit": "mother"}, "`inherit`"), ({"trials": 0}, "`trials`")])
def test_refuses_values_out_of_range(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec(**change)


@pytest.mark.parametrize("place", ["sqlite:///{}/s.db", "{}/s.journal"])
def test_resumes_what_is_the_same_from_another_storage_object(tmp_path: Path, place: str) -> None:
    url = place.format(tmp_path)
    open_study(spec(), open_storage(url), "a").enqueue_trial({"layer1": "none"})
    moved = spec(device="cpu", artifacts="elsewhere", command="other", trials=3, source="renamed")
    assert len(open_study(moved, open_storage(url), "a").trials) == 1
    assert load_study(open_storage(url), "a")[1] == spec()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed=0, but seed=1 was asked for"),
        ({"plan": {"epochs": 2}}, "epochs=2"),
        ({"fingerprint": "0" * 64}, "fingerprint="),
        ({"split": "0" * 32}, "split="),
        ({"inherit": "none"}, 'inherit="parent", but inherit="none"'),
        ({"sampler": "beam"}, 'sampler="sfsa", but sampler="beam"'),
        ({"space": "expert-routing"}, 'space="fusion-points"'),
        ({"space_options": {"preset": "paper"}}, 'space_options.preset="paper"'),
    ],
)
def test_refuses_what_differs_and_leaves_the_study_as_it_is(change: dict[str, Any], message: str) -> None:
    storage = InMemoryStorage()
    study = open_study(spec(), storage, "a")
    before = dict(study.user_attrs)
    with pytest.raises(ValueError, match=message):
        open_study(spec(**change), storage, "a")
    assert load_study(storage, "a")[0].user_attrs == before


def test_names_all_differences_at_once() -> None:
    storage = InMemoryStorage()
    open_study(spec(), storage, "a")
    with pytest.raises(ValueError, match=r"inherit=.*; .*seed="):
        open_study(spec(seed=1, inherit="none"), storage, "a")


def test_refuses_a_study_of_somebody_else() -> None:
    storage = InMemoryStorage()
    theirs = optuna.create_study(storage=storage, study_name="theirs")
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match="'theirs' holds other trials"):
        open_study(spec(), storage, "theirs")
    with pytest.raises(ValueError, match="'theirs' is somebody else's"):
        load_study(storage, "theirs")
    assert history.description(theirs) is None and len(theirs.trials) == 1


def test_finds_studies_and_arms_by_name() -> None:
    storage = InMemoryStorage()
    with pytest.raises(ValueError, match="holds none of nas-fusion's"):
        arms_of(storage, None)
    open_study(spec(), storage, "demo-sfsa")
    assert arms_of(storage, None) == ("demo-sfsa", ("demo-sfsa",))
    open_study(spec(sampler="beam"), storage, "demo-beam")
    assert arms_of(storage, None) == ("demo", ("demo-sfsa", "demo-beam"))
    open_study(spec(), storage, "demo-other")
    optuna.create_study(storage=storage, study_name="theirs")
    assert own_studies(storage) == ["demo-sfsa", "demo-beam", "demo-other"]
    assert arms_of(storage, "demo") == ("demo", ("demo-sfsa", "demo-beam"))
    assert arms_of(storage, "demo-beam") == ("demo-beam", ("demo-beam",))
    with pytest.raises(ValueError, match="one of demo-sfsa, demo-beam, demo-other"):
        arms_of(storage, None)
    with pytest.raises(ValueError, match=r"no 'demo-sfza'. Did you mean 'demo-sfsa'"):
        arms_of(storage, "demo-sfza")
