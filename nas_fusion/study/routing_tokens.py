"""What the tokens of a mixture stand for: regions of the brain, where a cohort knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_fusion.analysis.routing import Regions

if TYPE_CHECKING:
    from nas_fusion.cohorts import Cohort

_MATRICES = ("matrix", "covariance")
_STRUCTURAL = "SC"  # names of structural connectomes begin with it
_EDGES_A_REGION = 2


def tokens_of(cohort: Cohort, tokens: int) -> dict[str, Any]:
    """Return names, regions and parts of a layer's tokens, as `LayerUse` takes them.

    Tokens are the regions in their order, or block after block the regions of one modality after the other; where their number
    fits neither, they are only counted.

    Args:
        cohort: Whose modalities are matrices of regions, and whose provenance may name them.
        tokens: Number of tokens of a subject.
    """
    names = _names(cohort)
    blocks, rest = divmod(tokens, len(names)) if names else (0, 1)
    if rest or not blocks:
        every = tuple(f"token {i + 1}" for i in range(tokens))
        return {"tokens": every, "regions": np.full(tokens, -1, np.int64), "parts": ()}
    modalities = tuple(cohort.modalities)
    titles = modalities if len(modalities) == blocks else tuple(f"part {i + 1}" for i in range(blocks))
    parts = tuple(title for title in titles for _ in names) if blocks > 1 else ()
    return {"tokens": tuple(names) * blocks, "regions": np.tile(np.arange(len(names)), blocks), "parts": parts}


def regions_of(cohort: Cohort, subjects: Sequence[str]) -> Regions | None:
    """Return what a cohort knows of its regions, with the strongest connections of some subjects' mean structural connectome.

    Args:
        cohort: As for `tokens_of`.
        subjects: Ids of those whose connectomes are averaged.
    """
    names = _names(cohort)
    if not names:
        return None
    known = _known(cohort)
    coordinates = np.asarray(known.get("coordinates") or np.zeros((0, 3)), dtype=np.float64)
    networks = tuple(str(network) for network in known.get("networks") or ())
    return Regions(
        tuple(names),
        coordinates if coordinates.shape == (len(names), 3) else None,
        networks if len(networks) == len(names) else (),
        _edges(cohort, subjects),
    )


def _names(cohort: Cohort) -> list[str]:
    sizes = {values.shape[-1] for name, values in cohort.modalities.items() if cohort.kinds[name] in _MATRICES}
    if len(sizes) != 1:
        return []
    (size,) = sizes
    names = [str(name) for name in _known(cohort).get("names") or ()]
    return names if len(names) == size else [f"region {i + 1}" for i in range(size)]


def _known(cohort: Cohort) -> Mapping[str, Any]:
    known = cohort.provenance.get("regions")
    return known if isinstance(known, Mapping) else {}


def _edges(cohort: Cohort, subjects: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    structural = [name for name in cohort.modalities if name.startswith(_STRUCTURAL) and cohort.kinds[name] in _MATRICES]
    if not structural:
        return np.zeros((0, 2), np.int64)
    mean = cohort.modalities[structural[0]][cohort.positions(subjects)].double().mean(0).cpu().numpy()
    rows, columns = np.triu_indices(len(mean), 1)
    weights = (mean + mean.T)[rows, columns]
    strongest = np.argsort(-weights, kind="stable")[: _EDGES_A_REGION * len(mean)]
    strongest = strongest[weights[strongest] > 0]
    return np.stack([rows[strongest], columns[strongest]], axis=1).astype(np.int64)
