"""The simulated connectome cohort as MATLAB files, a folder a class and within it one a subject, as users have them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from scipy.io import savemat

from nas_fusion.cohorts.simulated_connectome_atlas import atlas
from nas_fusion.cohorts.simulated_connectome_options import NAME, VERSION, Options
from nas_fusion.cohorts.simulated_connectome_subjects import simulated_subjects
from nas_fusion.cohorts.simulated_connectome_tasks import CLASSES

README = """# Simulated connectome cohort

Nobody was scanned: streamline counts are drawn from a generative rule, time series from a linear stochastic model on the same
connections. `<class>/<subject>/DTI_connectivity_count.mat` holds `connectivity` (regions x regions), `RegionSeries.mat` holds
`RegionSeries` (time points x regions). `participants.tsv` names each subject's class (`group`) and its part of the frozen split
(`split`), `regions.tsv` the regions with their MNI coordinates in mm. All options are in `dataset_description.json`.
"""


def write_cohort(out: Path, options: Options) -> Path:
    """Write the cohort into a folder, which must be new or empty, and return it.

    Args:
        out: The folder; it and its parents are made.
        options: The cohort's.

    Raises:
        ValueError: If there is something in the folder, or it is a file.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"`out` must be a new or an empty folder, but got {str(out)!r}, which holds something.")
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, (name, subject) in enumerate(zip(options.subjects, simulated_subjects(options), strict=True)):
        group = CLASSES[subject.label]
        folder = out / group / name
        folder.mkdir(parents=True)
        counts = {"connectivity": subject.counts.astype("int32")}
        savemat(folder / "DTI_connectivity_count.mat", counts, do_compression=True)
        savemat(folder / "RegionSeries.mat", {"RegionSeries": subject.series}, do_compression=True)
        rows.append({"participant_id": name, "group": group, "split": options.part(i)})
    pd.DataFrame(rows).to_csv(out / "participants.tsv", sep="\t", index=False)
    _write_descriptions(out, options)
    return out


def _write_descriptions(out: Path, options: Options) -> None:
    regions = atlas(options.regions)
    x, y, z = regions.coordinates.round(3).T
    networks = [regions.network_names[network] for network in regions.networks]
    table = pd.DataFrame({"name": regions.names, "x": x, "y": y, "z": z, "network": networks})
    table.to_csv(out / "regions.tsv", sep="\t", index=False)
    described = {
        "Name": "Simulated connectome cohort",
        "GeneratedBy": [
            {
                "Name": "nas-fusion",
                "Description": f"The embedded cohort {NAME}, version {VERSION}.",
                "Parameters": asdict(options),
            }
        ],
    }
    (out / "dataset_description.json").write_text(json.dumps(described, indent=2) + "\n")
    (out / "README").write_text(README)
