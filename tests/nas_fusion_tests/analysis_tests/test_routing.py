from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nas_fusion.analysis.routing import Regions, RoutingEvidence, entropy
from tests.nas_fusion_tests.analysis_tests.routing_builders import layer, planted_gates, shared_gates, two_experts


def test_usage_by_expert_subject_token_and_class() -> None:
    first = np.array([[0.0, 0.5], [1.0, 0.5], [0.25, 0.75], [1.0, 1.0]])
    use = layer(two_experts(first))
    assert use.n_experts == 2
    np.testing.assert_allclose(use.load, [0.625, 0.375])
    np.testing.assert_allclose(use.by_subject[:, 0], [0.25, 0.75, 0.5, 1.0])
    np.testing.assert_allclose(use.by_token[:, 0], [0.5625, 0.6875])
    assert {name: shares.tolist() for name, shares in use.by_class.items()} == {"low": [0.375, 0.625], "high": [0.875, 0.125]}


def test_a_class_without_subjects_has_no_usage() -> None:
    use = layer(two_experts(np.full((3, 2), 0.5)), labels=np.zeros(3, np.int64))
    assert list(use.by_class) == ["low"]


@pytest.mark.parametrize(
    ("gates", "usage", "gate"),
    [
        (shared_gates((1.0, 0.0, 0.0)), 0.0, 0.0),
        (shared_gates((1 / 3, 1 / 3, 1 / 3)), 1.0, 1.0),
        (two_experts(np.tile([0.0, 1.0], (8, 3))), 1.0, 0.0),  # each token has one expert, and both are used
        (np.ones((4, 5, 1)), 0.0, 0.0),
    ],
)
def test_entropies_tell_collapse_from_decided_routers(gates: np.ndarray, usage: float, gate: float) -> None:
    use = layer(gates)
    assert use.usage_entropy == pytest.approx(usage) and use.gate_entropy == pytest.approx(gate)


def test_entropy_is_scipys() -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(4), size=(3, 5))
    np.testing.assert_allclose(entropy(shares), stats.entropy(shares, axis=2))
    assert entropy(np.array([1.0, 0.0])) == 0.0 and entropy(np.array([0.5, 0.5])) == pytest.approx(math.log(2))


def test_what_is_no_evidence_is_refused() -> None:
    gates = planted_gates(4, 3)
    with pytest.raises(ValueError, match=r"`gates` must sum to 1 over the experts, but those of 'fused.0' do not\."):
        layer(0.9 * gates)
    with pytest.raises(ValueError, match=r"`gates` must be finite numbers of at least 0"):
        layer(np.stack([1.5 + gates[:, :, 0], -0.5 - gates[:, :, 0]], axis=2))
    with pytest.raises(ValueError, match=r"must fit gates of shape \(4, 3, 2\), but there are \(4, 4, 2, 3\)\."):
        layer(gates, tokens=("a", "b"))
    with pytest.raises(ValueError, match=r"`layers` must hold at least one layer, but got none\."):
        RoutingEvidence("m", "k", True, ())
    with pytest.raises(ValueError, match=r"`coordinates` must have shape \(2, 3\), but got \(2, 2\)\."):
        Regions(("a", "b"), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"`networks` must name one for each of 2 regions, but got 1\."):
        Regions(("a", "b"), networks=("visual",))
