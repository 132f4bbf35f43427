"""Evidence on routing made by hand: gates with known shares of variance, known classes, known losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nas_fusion.analysis.routing import Adaptivity, LayerUse, Regions, RoutingEvidence

Array = npt.NDArray[np.float64]
CLASSES = ("low", "high")


def two_experts(first: Array) -> Array:
    """Gates `(subjects, tokens, 2)` of two experts from those of the first."""
    return np.stack([first, 1 - first], axis=2)


def planted_gates(
    subjects: int, tokens: int, *, region: float = 0.0, subject: float = 0.0, own: float = 0.0, seed: int = 0
) -> Array:
    """Gates of two experts whose deviations from one half have these standard deviations by region, subject and either."""
    generator = np.random.default_rng(seed)
    first = 0.5 + (
        region * generator.normal(size=(1, tokens))
        + subject * generator.normal(size=(subjects, 1))
        + own * generator.normal(size=(subjects, tokens))
    )
    assert ((first > 0) & (first < 1)).all()
    return two_experts(first)


def layer(gates: Array, name: str = "fused.0", **changes: Any) -> LayerUse:
    n, t, _ = gates.shape
    fields: dict[str, Any] = {
        "subjects": tuple(f"sub-{i:03d}" for i in range(n)),
        "labels": np.arange(n) % 2,
        "classes": CLASSES,
        "tokens": tuple(f"region {i + 1}" for i in range(t)),
        "regions": np.arange(t),
    }
    return LayerUse(name, gates, **(fields | changes))


def shared_gates(shares: tuple[float, ...], subjects: int = 20, tokens: int = 6) -> Array:
    """The same gates for every token of every subject."""
    return np.broadcast_to(np.array(shares), (subjects, tokens, len(shares))).copy()


def adaptivity(another: float, mean: float = 0.0, *, subjects: int = 100, noise: float = 0.01) -> Adaptivity:
    """Losses that rise by exactly these amounts on average, with noise over subjects."""
    generator = np.random.default_rng(1)
    own = generator.gamma(2.0, 0.2, subjects)
    spread = noise * generator.normal(size=(2, subjects))
    spread -= spread.mean(axis=1, keepdims=True)
    draws = np.array([[-0.01], [0.01]])
    replaced = {"another": own + another + spread[:1] + draws, "mean": own[None] + mean + spread[1:]}
    return Adaptivity(tuple(f"sub-{i:03d}" for i in range(subjects)), own, replaced)


def regions(count: int = 6, *, places: bool = True, networks: bool = True) -> Regions:
    """Regions in pairs left and right, every second pair of the network `visual`, the others of `motor`."""
    generator = np.random.default_rng(2)
    left = generator.uniform([-60, -90, -40], [-10, 60, 70], size=(count // 2, 3))
    coordinates = np.stack([left, left * (-1, 1, 1)], axis=1).reshape(count, 3)
    return Regions(
        tuple(f"{'LR'[i % 2]} region {i // 2 + 1}" for i in range(count)),
        coordinates if places else None,
        tuple("visual" if i // 2 % 2 else "motor" for i in range(count)) if networks else (),
        np.array([[0, 1], [2, 3], [1, 4]]),
    )


def evidence(*layers: LayerUse, **changes: Any) -> RoutingEvidence:
    fields: dict[str, Any] = {"model": "fused:e3k2", "key": "key", "selected": True, "layers": layers}
    return RoutingEvidence(**(fields | changes))


def whole_evidence(subjects: int = 60, pairs: int = 10, **changes: Any) -> RoutingEvidence:
    """Two layers of one modality and two of both, three experts, with history, regions and losses."""
    generator, count = np.random.default_rng(3), 2 * pairs
    layers = []
    for name, parts in (("sc.0", ()), ("sc.1", ()), ("fused.0", ("SC", "FC")), ("fused.1", ("SC", "FC"))):
        tokens = count * max(len(parts), 1)
        pull = generator.normal(size=(1, tokens, 3)) + generator.normal(size=(subjects, 1, 3)) * 0.7
        pull[1::2, :, 0] += 0.8
        gates = np.exp(pull + 0.5 * generator.normal(size=(subjects, tokens, 3)))
        gates[gates == gates.min(axis=2, keepdims=True)] = 0.0
        gates /= gates.sum(axis=2, keepdims=True)
        share = gates.mean(axis=(0, 1))
        course = 1 - np.exp(-np.arange(1, 25) / 6)[:, None]
        history = (1 - course) / 3 + course * share
        layers.append(
            layer(
                gates,
                name,
                tokens=regions(count).names * max(len(parts), 1),
                regions=np.tile(np.arange(count), max(len(parts), 1)),
                parts=tuple(part for part in parts for _ in range(count)),
                history=history,
                gate_history=np.linspace(1.05, 0.6, 24),
            )
        )
    fields = {"regions": regions(count), "adaptivity": adaptivity(0.05, 0.03, subjects=subjects)}
    return evidence(*layers, **(fields | changes))
