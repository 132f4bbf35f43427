"""The embedded MRI cohort: what it is made of, what depends on what, and what each scan shows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from monai.transforms import NormalizeIntensity
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from nas_fusion import plugins
from nas_fusion.cohorts.anatomy import tissue_map
from nas_fusion.cohorts.scanner import draw_traits, generator, lesion_mask, make_brain, scan
from nas_fusion.cohorts.simulated_mri import normalised, simulated_mri
from nas_fusion.cohorts.simulated_options import Options
from nas_fusion.cohorts.simulated_subjects import raw_subjects
from nas_fusion.cohorts.simulated_tasks import make_task

SMALL = {"shape": 12, "train": 6, "validation": 3, "test": 2}


def bits_of(seed: int, n: int, aged: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.array([draw_traits(generator(seed, i)).bits for i in range(n)])
    return drawn[:, 0] < aged, drawn[:, 1] < 0.5


def test_defaults() -> None:
    options = Options()
    assert options == Options.from_mapping({})
    assert (options.task, options.shape, options.modalities) == ("discordance", 32, ("T1w", "FLAIR"))
    assert plugins.load("cohorts", "simulated-mri") is simulated_mri


def test_cohort_is_well_formed() -> None:
    cohort = simulated_mri(**SMALL, modalities=("FLAIR", "T1w", "T2w"))
    assert cohort.inputs.names == ("FLAIR", "T1w", "T2w")
    assert {modality.shape for modality in cohort.inputs.modalities} == {(1, 12, 12, 12)}
    assert cohort.classes == ("concordant", "discordant") and bool(cohort.present.all())
    for values in cohort.modalities.values():
        assert values.dtype == torch.float32 and bool(values.isfinite().all())
        for volume in values[:, 0]:
            inside = volume[volume != 0].double()
            assert 0.1 < len(inside) / volume.numel() < 0.6
            assert float(inside.mean()) == pytest.approx(0, abs=1e-5) and float(inside.std(unbiased=False)) == pytest.approx(1)
    outside = [values == 0 for values in cohort.modalities.values()]
    assert torch.equal(outside[0], outside[1]) and torch.equal(outside[0], outside[2])


def test_modalities_may_be_one_text() -> None:
    assert simulated_mri(**SMALL, modalities="T1w, T2w").inputs.names == ("T1w", "T2w")  # type: ignore[arg-type]
    assert Options.from_mapping({"modalities": "T1w,T2w"}) == Options(modalities=("T1w", "T2w"))


def test_the_task_null_may_come_from_json() -> None:
    assert simulated_mri(**SMALL, task=None).fingerprint == simulated_mri(**SMALL, task="null").fingerprint
    assert Options.from_mapping({"task": None}).task == "null"


def test_splits_are_disjoint_and_complete() -> None:
    cohort = simulated_mri(**SMALL)
    assert cohort.splits is not None
    (fold,) = cohort.splits.folds
    assert [len(fold.train), len(fold.validation), len(cohort.splits.test)] == [6, 3, 2]
    assert (*fold.train, *fold.validation, *cohort.splits.test) == cohort.subjects
    assert len(set(cohort.subjects)) == 11
    parts = [Options(**SMALL).part(subject) for subject in cohort.subjects]
    assert parts == ["train"] * 6 + ["validation"] * 3 + ["test"] * 2


def test_same_options_give_the_same_cohort_and_other_seeds_another() -> None:
    first, again, other = (simulated_mri(**SMALL, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert torch.equal(first.labels, again.labels)
    for name, values in first.modalities.items():
        assert torch.equal(values, again.modalities[name])
        assert not torch.allclose(values, other.modalities[name], atol=0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"task": "null"},
        {"shape": 13},
        {"train": 7},
        {"test": 0},
        {"flip": 0.1},
        {"contrast": 0.4},
        {"k2": 2.0},
        {"modalities": ("T1w",)},
        {"missing": 0.2},
    ],
)
def test_fingerprint_sees_every_option(change: dict[str, object]) -> None:
    assert Options.from_mapping({**SMALL, **change}).fingerprint != Options.from_mapping(SMALL).fingerprint


def test_making_a_cohort_leaves_global_generators_alone() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    simulated_mri(**SMALL)
    assert (torch.rand(1), np.random.rand()) == expected


def test_subjects_do_not_depend_on_their_number_nor_on_the_choice_of_modalities() -> None:
    few = simulated_mri(shape=12, train=2, validation=1, test=0)
    many = simulated_mri(shape=12, train=5, validation=2, test=3, modalities=("T2w", "FLAIR", "T1w"))
    assert torch.equal(few.labels, many.labels[:3])
    for name, values in few.modalities.items():
        assert torch.equal(values, many.modalities[name][:3])


def test_brains_do_not_depend_on_the_task() -> None:
    masks, flair = [], []
    for task in ("discordance", "additive", "null"):
        cohort = simulated_mri(**SMALL, task=task)
        masks.append(cohort.modalities["T1w"] != 0)
        flair.append(cohort.modalities["FLAIR"])
    assert torch.equal(masks[0], masks[1]) and torch.equal(masks[0], masks[2])
    assert torch.equal(flair[0], flair[1]) and torch.equal(flair[0], flair[2])


def test_each_effect_is_in_its_own_modality_to_the_last_bit() -> None:
    plain = simulated_mri(**SMALL, modalities=("T1w", "FLAIR", "T2w"))
    fewer_aged = simulated_mri(**SMALL, contrast=0.0, modalities=("T1w", "FLAIR", "T2w"))
    no_lesions = simulated_mri(**SMALL, k2=1.0, modalities=("T1w", "FLAIR", "T2w"))
    aged, lesions = bits_of(0, 11)
    assert 0 < aged.sum() < 11 and 0 < lesions.sum() < 11

    def changed(name: str, other: object) -> list[bool]:
        pairs = zip(plain.modalities[name], other.modalities[name], strict=True)  # type: ignore[attr-defined]
        return [not torch.equal(a, b) for a, b in pairs]

    assert changed("T1w", fewer_aged) == changed("T2w", fewer_aged) == aged.tolist()
    assert changed("FLAIR", no_lesions) == changed("T2w", no_lesions) == lesions.tolist()
    assert not any(changed("FLAIR", fewer_aged)) and not any(changed("T1w", no_lesions))


def test_labels_follow_the_bits() -> None:
    options = Options(shape=8, train=60, validation=20, test=20, flip=0.0, modalities=("FLAIR",))
    aged, lesions = bits_of(0, 100)
    assert [label for label, _ in raw_subjects(options, make_task("discordance", flip=0.0))] == (aged != lesions).astype(
        int
    ).tolist()
    flipped = simulated_mri(shape=8, train=60, validation=20, test=20, flip=0.2, modalities=("FLAIR",)).labels.numpy()
    assert 0.1 < (flipped != (aged != lesions)).mean() < 0.3


def test_normalisation_is_monais_to_the_last_bit() -> None:
    _, scans = next(raw_subjects(Options(shape=16), make_task("discordance", flip=0.05)))
    for raw in scans.values():
        expected = NormalizeIntensity(nonzero=True, channel_wise=True)(raw[None].clone())
        assert torch.equal(normalised(raw), torch.as_tensor(np.asarray(expected))[0])


def test_provenance_is_json_and_names_the_floors() -> None:
    facts = simulated_mri(**SMALL, flip=0.08).provenance
    assert json.loads(json.dumps(facts)) == facts
    assert facts["floors"] == pytest.approx({"T1w": 0.6931, "FLAIR": 0.6356, "late_fusion": 0.6356, "joint": 0.2788}, abs=1e-4)
    assert facts["grid"]["voxel_mm"] == 15.0  # type: ignore[index]


def test_lesions_are_balls_of_the_radius_in_white_matter() -> None:
    white, traits = tissue_map(48)[1], draw_traits(generator(0, 0))
    mask = lesion_mask(white, traits)
    assert float(mask.min()) >= 0 and 0.9 < float(mask.max()) <= 1
    balls = sum(4 / 3 * np.pi * radius**3 for radius in traits.radii)
    assert 0.5 * balls < float(mask.sum()) * 3.75**3 < 1.3 * balls  # soft edges add, overlaps take


def test_a_scan_without_lesions_has_the_contrast_of_its_sequence() -> None:
    brain = make_brain(draw_traits(generator(0, 0)), size=32, ageing=0.0, lesions=False)
    grey, white, _ = brain.fractions > 0.85
    shown = {name: scan(brain, name, k2=2.1, rng=generator(0, 0, 1)) for name in ("T1w", "FLAIR", "T2w")}
    assert shown["T1w"][white].mean() > shown["T1w"][grey].mean()
    assert shown["FLAIR"][grey].mean() > shown["FLAIR"][white].mean()
    for volume in shown.values():
        assert torch.equal(volume == 0, brain.fractions.sum(0) <= 0.5)
        assert float(volume.min()) >= 0
    assert float(shown["T1w"][white].mean()) == pytest.approx(1, abs=0.25)


@pytest.fixture(scope="module")
def features() -> dict[str, np.ndarray]:
    """A few numbers of each scan that a linear model can tell the bits from: mean by tissue, and the bright and dark tails."""
    cohort = simulated_mri(shape=24, train=240, validation=80, test=0)
    grey, white, _ = (tissue > 0.6 for tissue in tissue_map(24))
    found = {}
    for name, values in cohort.modalities.items():
        inside = [volume[volume != 0].quantile(torch.tensor([0.05, 0.25, 0.5, 0.75, 0.9, 0.97, 0.995])) for volume in values]
        tissue = torch.stack([values[:, 0][:, mask].mean(1) for mask in (grey, white)], dim=1)
        within = values[:, 0][:, white].sort(1).values
        found[name] = torch.cat([torch.stack(inside), tissue, within[:, -40::8]], dim=1).numpy()
    return found


@pytest.mark.parametrize(
    ("name", "bit", "low", "high"),
    [
        ("T1w", "aged", 0.93, 1.0),
        ("FLAIR", "lesions", 0.85, 1.0),
        ("T1w", "lesions", 0.40, 0.59),
        ("FLAIR", "aged", 0.60, 0.76),
    ],
)
def test_each_bit_is_readable_in_its_own_modality_and_invisible_in_the_other(
    features: dict[str, np.ndarray], name: str, bit: str, low: float, high: float
) -> None:
    aged, lesions = bits_of(0, 320)
    target = aged if bit == "aged" else lesions
    scaled = (features[name] - features[name].mean(0)) / features[name].std(0)
    accuracy = cross_val_score(LogisticRegression(C=0.3, max_iter=1000), scaled, target, cv=5).mean()
    assert low <= accuracy <= high


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "other"}, r"`task` must be one of discordance, additive, null, but got 'other'\."),
        ({"seed": -1}, r"`seed` must be a whole number in \[0, .*\], but got -1\."),
        ({"shape": 4}, r"`shape` must be a whole number in \[8, 96\], but got 4\."),
        ({"shape": 16.0}, r"`shape` must be a whole number in \[8, 96\], but got 16\.0\."),
        ({"train": 0}, r"`train` must be a whole number in \[1, 100000\], but got 0\."),
        ({"validation": True}, r"`validation` must be a whole number in .*, but got True\."),
        ({"test": -1}, r"`test` must be a whole number in \[0, 100000\], but got -1\."),
        ({"flip": 0.5}, r"`flip` must be a number in \[0\.0, 0\.499\], but got 0\.5\."),
        ({"flip": "a"}, r"`flip` must be a number in \[0\.0, 0\.499\], but got 'a'\."),
        ({"contrast": -0.1}, r"`contrast` must be a number in \[0\.0, 1\.0\], but got -0\.1\."),
        ({"k2": float("nan")}, r"`k2` must be a number in \[1\.0, 4\.0\], but got nan\."),
        ({"modalities": ()}, r"`modalities` must be different ones of T1w, FLAIR, T2w, PDw, clinical, but got \(\)\."),
        ({"modalities": "T1"}, r"`modalities` must be different ones of T1w, FLAIR, T2w, PDw, clinical, but got \('T1',\)\."),
        (
            {"modalities": ("T1w", "PET")},
            r"`modalities` must be different ones of T1w, FLAIR, T2w, PDw, clinical, but got \('T1w', 'PET'\)\.",
        ),
        (
            {"modalities": ("T1w", "T1w")},
            r"`modalities` must be different ones of T1w, FLAIR, T2w, PDw, clinical, but got \('T1w', 'T1w'\)\.",
        ),
        (
            {"missing": 0.6},
            r"`missing` must be a share in \[0, 0\.5\], so that everybody keeps one of 2 modalities, but got 0\.6\.",
        ),
        ({"missing": -0.1}, r"`missing` must be a share in \[0, 0\.5\], .*, but got -0\.1\."),
        ({"missing": True}, r"`missing` must be a share in \[0, 0\.5\], .*, but got True\."),
        (
            {"missing": 0.1, "modalities": ("T1w",)},
            r"`missing` must be a share in \[0, 0\], so that everybody keeps one of 1 modalities, but got 0\.1\.",
        ),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        simulated_mri(**options)  # type: ignore[arg-type]
