"""The embedded connectome cohort: what it is made of, what depends on what, and how real it looks."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from nas_fusion import plugins
from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.scanner import generator
from nas_fusion.cohorts.simulated_connectome import simulated_connectomes
from nas_fusion.cohorts.simulated_connectome_atlas import atlas
from nas_fusion.cohorts.simulated_connectome_options import Options
from nas_fusion.cohorts.simulated_connectome_subjects import draw_traits, simulated_subjects

SMALL = {"regions": 20, "timepoints": 40, "train": 6, "validation": 3, "test": 2}


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulated_connectomes(train=80, validation=40, test=0, seed=1000)


def upper(values: torch.Tensor) -> np.ndarray:
    i, j = np.triu_indices(values.shape[-1], 1)
    return values.double().numpy()[..., i, j]  # type: ignore[no-any-return]


def test_defaults() -> None:
    options = Options()
    assert (options.train, options.validation, options.test, options.regions, options.timepoints) == (512, 512, 256, 90, 300)
    assert (options.task, options.gain, options.phenotype, options.flip) == ("selection", 0.75, 3.0, 0.0)
    assert options == Options.from_mapping({})
    assert plugins.load("cohorts", "simulated-connectomes") is simulated_connectomes


def test_cohort_is_well_formed(cohort: Cohort) -> None:
    assert [(m.name, m.kind, m.shape) for m in cohort.inputs.modalities] == [(n, "matrix", (90, 90)) for n in ("SC", "FC")]
    assert (
        cohort.classes == ("control", "patient")
        and bool(cohort.present.all())
        and 0.3 < float(cohort.labels.double().mean()) < 0.7
    )
    structural, functional = cohort.modalities["SC"], cohort.modalities["FC"]
    for values in (structural, functional):
        assert values.dtype == torch.float32 and bool(values.isfinite().all()) and torch.equal(values, values.mT)
    assert torch.equal(structural, structural.round()) and float(structural.min()) == 0
    assert not structural.diagonal(dim1=1, dim2=2).any() and bool((functional.diagonal(dim1=1, dim2=2) == 1).all())
    assert float(functional.abs().max()) == 1 and float(torch.linalg.eigvalsh(functional.double()).min()) > 0


def test_realism(cohort: Cohort) -> None:
    structural, functional = upper(cohort.modalities["SC"]), upper(cohort.modalities["FC"])
    logs = np.log1p(structural)
    pairs = np.triu_indices(len(logs), 1)
    assert 0.8 < (structural > 0).mean() < 0.9
    assert 0.88 < np.corrcoef(logs)[pairs].mean() < 0.95
    assert 0.18 < functional.mean() < 0.28 and 0.08 < functional.std(axis=1).mean() < 0.25
    assert 0.2 < np.corrcoef(functional)[pairs].mean() < 0.7
    assert 0.2 < np.mean([np.corrcoef(s, f)[0, 1] for s, f in zip(logs, functional, strict=True)]) < 0.55


def test_splits_are_disjoint_and_complete() -> None:
    cohort = simulated_connectomes(**SMALL)
    assert cohort.splits is not None
    (fold,) = cohort.splits.folds
    assert [len(fold.train), len(fold.validation), len(cohort.splits.test)] == [6, 3, 2]
    assert (*fold.train, *fold.validation, *cohort.splits.test) == cohort.subjects and len(set(cohort.subjects)) == 11
    assert [Options(**SMALL).part(i) for i in range(11)] == ["train"] * 6 + ["validation"] * 3 + ["test"] * 2


def test_same_options_give_the_same_cohort_and_other_seeds_another() -> None:
    first, again, other = (simulated_connectomes(**SMALL, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint and torch.equal(first.labels, again.labels)
    for name, values in first.modalities.items():
        assert torch.equal(values, again.modalities[name]) and not torch.equal(values, other.modalities[name])


def test_subjects_do_not_depend_on_their_number() -> None:
    few = simulated_connectomes(**SMALL | {"train": 2, "validation": 1, "test": 0})
    many = simulated_connectomes(**SMALL)
    assert torch.equal(few.labels, many.labels[:3])
    for name, values in few.modalities.items():
        assert torch.equal(values, many.modalities[name][:3])


def test_making_a_cohort_leaves_global_generators_alone() -> None:
    np.random.seed(0)
    torch.manual_seed(0)
    expected = torch.rand(1), np.random.rand()
    np.random.seed(0)
    torch.manual_seed(0)
    simulated_connectomes(**SMALL)
    assert (torch.rand(1), np.random.rand()) == expected


def test_a_subtype_leaves_no_trace_in_function_and_a_gain_none_in_structure() -> None:
    plain = simulated_connectomes(**SMALL)
    no_phenotype, no_gain = simulated_connectomes(**SMALL, phenotype=0.0), simulated_connectomes(**SMALL, gain=0.0)
    assert torch.equal(plain.modalities["FC"], no_phenotype.modalities["FC"])
    assert torch.equal(plain.modalities["SC"], no_gain.modalities["SC"])
    assert not torch.equal(plain.modalities["SC"], no_phenotype.modalities["SC"])
    assert not torch.equal(plain.modalities["FC"], no_gain.modalities["FC"])


def test_networks_show_subtypes_in_structure_and_gains_in_function() -> None:
    options = Options(train=60, validation=1, test=0, seed=1001)
    subjects, networks = list(simulated_subjects(options)), atlas(90).networks
    subtypes, gains = (np.array([getattr(s, name) for s in subjects]) for name in ("subtype", "gains"))
    for k in range(3):
        member = networks == 3 + k
        strength = np.array([np.log1p(s.counts)[np.ix_(member, member)].mean() for s in subjects])
        correlation = np.array([s.correlations[np.ix_(member, member)].mean() for s in subjects])
        assert strength[subtypes == k].min() > strength[subtypes != k].max()
        apart = correlation[subtypes == k].mean() - correlation[subtypes != k].mean()
        assert abs(apart) < 3 * correlation.std() / np.sqrt((subtypes == k).sum())
        member = networks == k
        correlation = np.array([s.correlations[np.ix_(member, member)].mean() for s in subjects])
        assert (
            correlation[gains[:, k] == 1].mean() - correlation[gains[:, k] == 0].mean()
            > 1.5 * correlation[gains[:, k] == 1].std()
        )


def test_labels_are_the_gain_that_the_subtype_selects() -> None:
    options = Options(**SMALL | {"train": 200})
    for subject in simulated_subjects(options):
        assert subject.label == subject.gains[subject.subtype]
    flipped = [s.label != s.gains[s.subtype] for s in simulated_subjects(Options(**asdict(options) | {"flip": 0.2}))]
    assert 0.1 < np.mean(flipped) < 0.3
    traits = [draw_traits(generator(0, i), 20, 7) for i in range(300)]
    assert np.bincount([int(3 * t.subtype) for t in traits], minlength=3).min() > 70


def test_provenance_is_json_and_names_regions_and_floors() -> None:
    facts = simulated_connectomes(**SMALL).provenance
    assert json.loads(json.dumps(facts)) == facts
    regions = facts["regions"]
    assert len(regions["names"]) == len(regions["coordinates"]) == len(regions["networks"]) == 20  # type: ignore[index]
    assert facts["task_networks"] == {
        "gains": ["default mode", "frontoparietal", "somatomotor"],
        "markers": ["cluster 1", "cluster 2", "cluster 3"],
    }
    assert facts["floors"] == pytest.approx({"SC": 0.6931, "FC": 0.4774, "late_fusion": 0.4774, "joint": 0.0}, abs=1e-4)


CHANGES = [
    {"regions": 22},
    {"timepoints": 41},
    {"train": 7},
    {"validation": 4},
    {"test": 0},
    {"gain": 0.5},
    {"phenotype": 2.0},
    {"flip": 0.1},
    {"seed": 1},
]


@pytest.mark.parametrize("change", CHANGES)
def test_fingerprint_sees_every_option(change: dict[str, object]) -> None:
    assert Options.from_mapping({**SMALL, **change}).fingerprint != Options.from_mapping(SMALL).fingerprint


WRONG = [
    ({"task": "xor"}, r"^`task` must be one of .*selection.*, but got 'xor'\.$"),
    ({"seed": -1}, r"^`seed` must be a whole number in \[0, \d+\], but got -1\.$"),
    ({"train": 0}, r"^`train` must be a whole number in \[1, 1000000\], but got 0\.$"),
    ({"validation": True}, r"^`validation` must be a whole number in \[1, 1000000\], but got True\.$"),
    ({"regions": 91}, r"^`regions` must be an even number, half of them in each hemisphere, but got 91\.$"),
    ({"regions": 18}, r"^`regions` must be a whole number in \[20, 1000\], but got 18\.$"),
    ({"timepoints": 1.5}, r"^`timepoints` must be a whole number in \[20, 100000\], but got 1\.5\.$"),
    ({"gain": 1.1}, r"^`gain` must be a number in \[0\.0, 1\.0\], but got 1\.1\.$"),
    ({"phenotype": float("nan")}, r"^`phenotype` must be a number in \[0\.0, 6\.0\], but got nan\.$"),
    ({"flip": "0.1"}, r"^`flip` must be a number in \[0\.0, 0\.499\], but got '0\.1'\.$"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_wrong_options(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulated_connectomes(**SMALL | wrong)  # type: ignore[arg-type]


def test_unknown_options() -> None:
    with pytest.raises(ValueError, match=r"^`options` must be some of task, seed, .*, but got 'nodes'\.$"):
        Options.from_mapping({"nodes": 90})
