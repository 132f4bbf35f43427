"""The simulated subjects one after the other: their labels and raw scans."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from nas_fusion.cohorts.physics import SEQUENCES
from nas_fusion.cohorts.scanner import Traits, draw_traits, generator, make_brain, scan
from nas_fusion.cohorts.simulated_clinical import CLINICAL, STREAM, readings
from nas_fusion.cohorts.simulated_options import Options
from nas_fusion.cohorts.simulated_presence import present
from nas_fusion.cohorts.simulated_tasks import AGED, LESIONS, Task


def raw_subjects(options: Options, task: Task) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """Yield each subject's label and raw scans `(size, size, size)`, 0 outside the brain, in the order of the ids.

    Absent scans are left out.
    """
    streams = {name: k for k, name in enumerate(SEQUENCES, start=1)}
    for i, there in enumerate(present(options).tolist()):
        traits = _traits(options, i)
        aged, lesions = bits_of(traits, task)
        brain = make_brain(traits, size=options.shape, ageing=options.contrast * aged, lesions=lesions)
        yield (
            int(traits.label < task.positive[int(aged), int(lesions)]),
            {
                name: scan(brain, name, k2=options.k2, rng=generator(options.seed, i, streams[name]))
                for name, shown in zip(options.modalities, there, strict=True)
                if shown and name in SEQUENCES
            },
        )


def clinical_table(options: Options, task: Task) -> torch.Tensor:
    """Return what is known of everybody `(subjects, columns)`, float64, in the order of `COLUMNS`; NaN where it is absent."""
    n, there = len(options.subjects), present(options)[:, options.modalities.index(CLINICAL)]
    rows = [readings(bits_of(_traits(options, i), task), generator(options.seed, i, STREAM)) for i in range(n)]
    return torch.where(there[:, None], torch.from_numpy(np.stack(rows)), torch.nan)


def bits_of(traits: Traits, task: Task) -> tuple[bool, bool]:
    """Return whether a subject's brain has aged, and whether it has lesions."""
    return traits.bits[AGED] < task.aged, traits.bits[LESIONS] < 0.5


def _traits(options: Options, subject: int) -> Traits:
    return draw_traits(generator(options.seed, subject))
