"""Digests: what identifies an evaluation, and the seeds that derive from what it consists of."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from nas_fusion.cohorts import Splits

FORMAT = 1  # of the numerics: raised whenever the same ingredients would give other numbers


def digest(value: Any) -> str:
    """Return 32 hexadecimal digits that identify a JSON-compatible value; the order of a mapping's names does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def seed_of(*parts: Any) -> int:
    """Return a seed in [0, 2^63) that derives from JSON-compatible parts: equal parts, equal seed."""
    return int(digest(list(parts))[:16], 16) >> 1


def digest_of_folds(splits: Splits) -> str:
    """Return a digest of who trains and who validates in each fold, in their order; test subjects play no part."""
    return digest([[fold.train, fold.validation] for fold in splits.folds])
