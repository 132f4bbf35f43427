"""Transforms of connectivity values, each of one subject at a time, entry by entry or by rank."""

from __future__ import annotations

from collections.abc import Callable

import torch

SC_TRANSFORMS = ("raw", "log1p", "rank")
FC_TRANSFORMS = ("raw", "fisher")
_LARGEST = 1 - 1e-6  # correlations beyond it would become infinite, or a matter of rounding


def transform(matrices: torch.Tensor, how: str) -> torch.Tensor:
    """Return transformed connectivity.

    Args:
        matrices: `(batch, regions, regions)`.
        how: `raw`; `log1p` for weights of at least 0; `rank` (see `ranks`); `fisher` (inverse hyperbolic tangent, in which
            correlations are about normal; Fisher 1915) for correlations in [-1, 1]. The last two leave the diagonal out: it
            counts as 0.

    Raises:
        ValueError: If there is no such transform.
    """
    if how not in _FUNCTIONS:
        raise ValueError(f"`how` must be one of {', '.join(_FUNCTIONS)}, but got {how!r}.")
    return _FUNCTIONS[how](matrices)


def ranks(matrices: torch.Tensor) -> torch.Tensor:
    """Return each connection's mid-rank among those of its subject, over their number, so in (0, 1]; ties share a rank.

    Args:
        matrices: Symmetric `(batch, regions, regions)`; the diagonal counts as 0 in the result.
    """
    n = matrices.shape[-1]
    rows, columns = torch.triu_indices(n, n, offset=1, device=matrices.device)
    values = matrices[:, rows, columns].contiguous()
    ordered = values.sort(dim=1).values
    below = torch.searchsorted(ordered, values)
    up_to = torch.searchsorted(ordered, values, right=True)
    found = (below + up_to + 1).to(matrices.dtype) / (2 * values.shape[1])
    ranked = torch.zeros_like(matrices)
    ranked[:, rows, columns] = found
    ranked[:, columns, rows] = found
    return ranked


def _fisher(matrices: torch.Tensor) -> torch.Tensor:
    found = matrices.clamp(-_LARGEST, _LARGEST).arctanh()
    found.diagonal(dim1=-2, dim2=-1).zero_()
    return found


_FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "raw": lambda matrices: matrices,
    "log1p": lambda matrices: matrices.clamp_min(0).log1p(),
    "rank": ranks,
    "fisher": _fisher,
}
