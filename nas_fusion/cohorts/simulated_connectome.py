"""The embedded connectome cohort: simulated structural and functional connectomes, a task whose best possible loss is known."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_fusion.cohorts.cohort import Cohort
from nas_fusion.cohorts.simulated_connectome_atlas import atlas
from nas_fusion.cohorts.simulated_connectome_files import write_cohort
from nas_fusion.cohorts.simulated_connectome_options import NAME, VERSION, Options
from nas_fusion.cohorts.simulated_connectome_subjects import simulated_subjects
from nas_fusion.cohorts.simulated_connectome_tasks import CLASSES, FC, SC, TASKS


def simulated_connectomes(
    *,
    task: str = "selection",
    seed: int = 0,
    train: int = 512,
    validation: int = 512,
    test: int = 256,
    regions: int = 90,
    timepoints: int = 300,
    gain: float = 0.75,
    phenotype: float = 3.0,
    flip: float = 0.0,
) -> Cohort:
    """Return the simulated connectome cohort, with its splits.

    Structural connectomes are drawn from a generative rule, functional ones are correlations of a linear stochastic model's
    activity on the same connections. In `selection` a subject's subtype, visible in its structural connectome alone, says which
    of three networks tells the label in the functional one: no modality, and no sum of a function of each, gets below a loss
    that `provenance["floors"]` names, while both together do. In `mixture` each of four subtypes has a rule of its own, and the
    rules contradict each other. Subject i is the same whatever the number of subjects.

    Args:
        task: `selection` or `mixture`.
        seed: Which subjects, at least 0.
        train: Subjects that train, at least 1.
        validation: Subjects that validate, at least 1.
        test: Subjects that no search sees.
        regions: Brain regions, an even number of at least 20.
        timepoints: Length of the time series that a functional connectome is estimated from, at least 20.
        gain: How much stronger or weaker the coupling inside a network becomes by its gain of +1 or -1, in [0, 1].
        phenotype: How much the log-weights inside a subtype's marker networks are raised, in [0, 6].
        flip: Probability that a label is wrong, in [0, 0.499].

    Returns:
        `SC`, streamline counts, and `FC`, Pearson correlations, each `(subjects, regions, regions)`, as measured.

    Raises:
        ValueError: If an option is unknown or out of its range.
    """
    options = Options(task, seed, train, validation, test, regions, timepoints, gain, phenotype, flip)
    n = len(options.subjects)
    structural, functional = torch.zeros(n, regions, regions), torch.zeros(n, regions, regions)
    labels = torch.zeros(n, dtype=torch.long)
    for i, subject in enumerate(simulated_subjects(options)):
        structural[i] = torch.from_numpy(subject.counts)
        functional[i] = torch.from_numpy(subject.correlations)
        labels[i] = subject.label
    return Cohort(
        name=NAME,
        subjects=options.subjects,
        modalities={SC: structural, FC: functional},
        kinds={SC: "matrix", FC: "matrix"},
        labels=labels,
        classes=CLASSES,
        fingerprint=options.fingerprint,
        present=torch.ones(n, 2, dtype=torch.bool),
        splits=options.splits,
        provenance=provenance(options),
    )


def provenance(options: Options) -> dict[str, Any]:
    """Return how the cohort was made, its regions, and the floors of its task in nats: facts that JSON can hold."""
    regions, task = atlas(options.regions), TASKS[options.task](options.flip)
    return {
        "source": NAME,
        "version": VERSION,
        **asdict(options),
        "modalities": [SC, FC],
        "regions": {
            "names": list(regions.names),
            "coordinates": np.round(regions.coordinates, 3).tolist(),
            "networks": [regions.network_names[network] for network in regions.networks],
        },
        "units": {SC: "streamline counts", FC: "Pearson correlations"},
        "task_networks": {
            "gains": list(regions.network_names[: task.gains]),
            "markers": list(regions.network_names[task.gains : task.gains + task.markers.shape[1]]),
        },
        "floors": task.floors((SC, FC)),
    }


def write_files(out: str | Path, **options: Any) -> Path:
    """Write the cohort as connectome files of the layout `<class>/<subject>/` and return the folder.

    `DTI_connectivity_count.mat` holds `connectivity` `(regions, regions)`, `RegionSeries.mat` holds `RegionSeries`
    `(timepoints, regions)`; `participants.tsv` the columns `participant_id`, `group` (the class) and `split` (`train`,
    `validation`, `test`). The counts and the series' Pearson correlations are the matrices of `simulated_connectomes`.

    Args:
        out: A new or empty folder.
        **options: Those of `simulated_connectomes`.

    Raises:
        ValueError: If the folder is not empty, or an option is unknown or out of its range.
    """
    return write_cohort(Path(out), Options.from_mapping(options))
