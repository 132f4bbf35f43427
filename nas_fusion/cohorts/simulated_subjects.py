"""The simulated subjects one after the other: their labels and raw scans."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from nas_fusion.cohorts.physics import SEQUENCES
from nas_fusion.cohorts.scanner import draw_traits, generator, make_brain, scan
from nas_fusion.cohorts.simulated_options import Options
from nas_fusion.cohorts.simulated_tasks import AGED, LESIONS, Task


def raw_subjects(options: Options, task: Task) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """Yield each subject's label and raw scans `(size, size, size)`, 0 outside the brain, in the order of the ids."""
    streams = {name: k for k, name in enumerate(SEQUENCES, start=1)}
    for i in range(len(options.subjects)):
        traits = draw_traits(generator(options.seed, i))
        aged, lesions = traits.bits[AGED] < task.aged, traits.bits[LESIONS] < 0.5
        brain = make_brain(traits, size=options.shape, ageing=options.contrast * aged, lesions=lesions)
        yield (
            int(traits.label < task.positive[int(aged), int(lesions)]),
            {
                name: scan(brain, name, k2=options.k2, rng=generator(options.seed, i, streams[name]))
                for name in options.modalities
            },
        )
