"""The real cohort `watch`: accelerometer and gyroscope of a smartwatch during seven exercises, ten people, split by person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas_fusion.cohorts.arrays_only import read_dictionary
from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.drawing import SplitPlan, divide
from nas_fusion.cohorts.packaged import Package
from nas_fusion.cohorts.packaged_cohort import Names, PackagedData, chosen, one_of
from nas_fusion.cohorts.splits import Fold, Splits

NAME, VERSION = "watch", 1
PACKAGE = Package("seglearn", "1.2.5", "pip install seglearn==1.2.5", "BSD-3-Clause")
FILE = "seglearn/data/watch_dataset.npy"
SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
CHANNELS = {"accelerometer": slice(0, 3), "gyroscope": slice(3, 6)}
SCALES = ("development", "none")
PEOPLE = tuple(range(1, 11))
WINDOW = 100
"""Samples of a window: two seconds at 50 Hz."""

TRAPS = (
    "Windows of one recording are nearly repetitions of each other: only splits by person are honest.",
    "Validation on two people is noisy: use folds over people.",
    "Left and right wrists are mirror images of each other.",
    "The people are ten, the windows thousands: intervals must be over people.",
)


def watch(
    *,
    modalities: Names = ("accelerometer", "gyroscope"),
    scale: str = "development",
    test_people: int | str | Sequence[int] | None = None,
    folds: int = 4,
    validation: float = 0.25,
    test: float = 0.2,
    split_seed: int = 0,
) -> Cohort:
    """Return smartwatch recordings of shoulder exercises, cut into windows of two seconds, with splits by person.

    140 recordings: ten healthy people did each of seven exercises (PEN, ABD, FEL, IR, ER, TRAP, ROW, as the data abbreviate
    them) with each arm. Each is cut, without overlap, into windows of 100 samples at 50 Hz, 2369 in all; what is left at its
    end is dropped. Classes are unequal: 254 windows of PEN to 396 of FEL.

    Source: D. M. Burns et al., Shoulder physiotherapy exercise recognition: machine learning the inertial signals from a
    smartwatch, Physiological Measurement 39 (2018), arXiv 1802.01489; ten of its people are in the Python package seglearn
    (BSD-3-Clause), whose file is read. That file is a pickled dictionary: it is read only with the checksum that is known,
    and nothing but numpy arrays can come out of it.

    Traps: see `TRAPS`, which are kept in the provenance. Channels are standardised by mean and deviation over the development
    people's windows. In a cross-validation over all people everybody would be held out once, while the statistics stayed those
    of the development people: use `scale="none"` there, or `test_people` for each fold.

    Args:
        modalities: Some of `accelerometer`, `gyroscope`, in the order of the streams, also as one text with commas.
        scale: `development`, or `none` for the values in the file's units (about those of gravity and of radians a second).
        test_people: Numbers (1 to 10) of the people that no search sees, also as text with commas; `None` to draw them.
        folds: Folds over people, 1 for a single division.
        validation: Share of the development people that validates where `folds` is 1.
        test: Share of people that no search sees where `test_people` is not given, 0 for none.
        split_seed: Of the draws.

    Returns:
        Each modality `(windows, 3, 100)`, an image with one spatial axis; groups are people.

    Raises:
        ValueError: If the package is missing, or an option is unknown or out of its range.
    """
    names, held_out = chosen("modalities", modalities, tuple(CHANNELS)), _people(test_people)
    one_of("scale", scale, SCALES)
    recordings = _recordings()
    windows = [window for recording in recordings for window in _windows(recording)]
    subjects = tuple(subject for subject, _ in windows)
    people = tuple(subject.split("_")[0] for subject in subjects)
    signals = np.stack([values for _, values in windows])
    plan = SplitPlan(folds, validation, test if test_people is None else 0.0, split_seed)
    return PackagedData(
        name=NAME,
        version=VERSION,
        subjects=subjects,
        labels=tuple(subject.split("_")[1] for subject in subjects),
        classes=tuple(dict.fromkeys(recording["exercise"] for recording in sorted(recordings, key=_code))),
        values={name: signals[:, CHANNELS[name]] for name in names},
        kinds=dict.fromkeys(names, "image"),
        splits=splits_by_person(subjects, people, plan=plan, held_out=held_out),
        scaled=dict.fromkeys(names, (2,)) if scale == "development" else {},
        groups=people,
        options={"modalities": list(names), "scale": scale, "window": WINDOW},
        facts=_facts(),
    ).cohort()


def splits_by_person(
    subjects: Sequence[str], people: Sequence[str], *, plan: SplitPlan, held_out: Sequence[str] = ()
) -> Splits:
    """Return splits whose parts hold as equal numbers of people as can be, each with all that was recorded of them.

    Everybody does every exercise, so nothing has to be stratified; by windows, parts would hold unequal numbers of people.

    Args:
        subjects: Unique ids of windows.
        people: Whose each is.
        plan: How many parts of which size, counted in people.
        held_out: People of the test part; if any, no others are drawn.

    Raises:
        ValueError: If there are too few people.
    """
    everybody = sorted(set(people))
    left = len(everybody) - (len(held_out) or (max(1, round(plan.test * len(everybody))) if plan.test else 0))
    if left < max(plan.folds, 2):
        raise ValueError(f"`folds` must be at most the number of people outside the test part, {left}, but got {plan.folds}.")
    drawn = divide(everybody, ["person"] * len(everybody), None, plan=plan, held_out=held_out)

    def of(part: Sequence[str]) -> tuple[str, ...]:
        return tuple(subject for subject, person in zip(subjects, people, strict=True) if person in set(part))

    return Splits(tuple(Fold(of(fold.train), of(fold.validation)) for fold in drawn.folds), of(drawn.test))


def _people(numbers: int | str | Sequence[int] | None) -> tuple[str, ...]:
    """Return the ids of people."""
    if numbers is None:
        return ()
    parts = numbers.split(",") if isinstance(numbers, str) else [numbers] if isinstance(numbers, int) else list(numbers)
    texts = [str(part).strip() for part in parts]
    if not texts or len(set(texts)) < len(texts) or not set(texts) <= {str(person) for person in PEOPLE}:
        raise ValueError(f"`test_people` must be different numbers from 1 to {PEOPLE[-1]}, but got {numbers!r}.")
    return tuple(_person(int(text)) for text in texts)


def _person(number: int) -> str:
    return f"person{number:02d}"


def _code(recording: dict[str, Any]) -> int:
    return int(recording["code"])


def _recordings() -> list[dict[str, Any]]:
    """Return each recording: `signals` `(samples, 6)`, `person`, `exercise` with its `code`, and `side`."""
    (content,) = PACKAGE.read([FILE], SHA256)
    held = read_dictionary(content)
    return [
        {
            "signals": signals,
            "person": _person(int(person)),
            "exercise": held["y_labels"][code],
            "code": int(code),
            "side": "right" if side == 1 else "left",
        }
        for signals, person, code, side in zip(held["X"], held["subject"], held["y"], held["side"], strict=True)
    ]


def _windows(recording: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the ids and the values `(6, 100)` of a recording's whole windows, one after the other."""
    signals, name = recording["signals"], "_".join(recording[key] for key in ("person", "exercise", "side"))
    return [
        (f"{name}_{i + 1:02d}", signals[i * WINDOW : (i + 1) * WINDOW].T.astype(np.float64))
        for i in range(len(signals) // WINDOW)
    ]


def _facts() -> dict[str, object]:
    return {
        "source": f"{PACKAGE.name} {PACKAGE.version}, {FILE}",
        "sha256": SHA256,
        "licence": PACKAGE.licence,
        "reference": "arXiv 1802.01489",
        "sampling_hz": 50,
        "traps": list(TRAPS),
    }
