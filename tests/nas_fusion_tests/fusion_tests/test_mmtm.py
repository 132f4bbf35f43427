from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nas_fusion.fusion import MMTM, MMTMAsPublished, build_module

Array = npt.NDArray[np.float64]


def reference(module: MMTM, features: list[torch.Tensor], gate: str) -> list[Array]:
    """MMTM in numpy, from its formula."""
    weights = {name: tensor.detach().double().numpy() for name, tensor in module.state_dict().items()}
    arrays = [x.double().numpy() for x in features]
    squeezed = np.concatenate([x.reshape(*x.shape[:2], -1).mean(-1) for x in arrays], axis=1)
    joint = np.maximum(squeezed @ weights["squeeze.weight"].T + weights["squeeze.bias"], 0)
    logits = [joint @ weights[f"excitations.{i}.weight"].T + weights[f"excitations.{i}.bias"] for i in range(len(features))]
    if gate == "sigmoid":
        gates = [2 / (1 + np.exp(-z)) for z in logits]
    else:
        total = sum(np.exp(z) for z in logits)
        gates = [len(logits) * np.exp(z) / total for z in logits]
    return [x * g.reshape(*g.shape, *[1] * (x.ndim - 2)) for x, g in zip(arrays, gates, strict=True)]


@pytest.mark.parametrize("gate", ["sigmoid", "softmax"])
@pytest.mark.parametrize(
    "sizes", [[(), ()], [(5,), (3,)], [(4, 3), (4, 3), (2, 2)], [(3, 4, 2), (2, 2, 2), (1, 1, 1), (3, 4, 2)]]
)
def test_equals_its_formula(gate: str, sizes: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    module = MMTM([6] * len(sizes), spatial_dims=len(sizes[0]), ratio=3, gate=gate, init="default")
    features = [torch.randn(2, 6, *size) for size in sizes]
    for fused, expected in zip(module(features), reference(module, features, gate), strict=True):
        np.testing.assert_allclose(fused.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("channels", "ratio", "joint"), [([8, 8], 4, 4), ([8, 8], 8, 2), ([3, 4], 2, 3), ([1, 1], 16, 1), ([2, 4, 6], 1, 12)]
)
def test_joint_vector_is_all_channels_over_ratio(channels: list[int], ratio: float, joint: int) -> None:
    assert MMTM(channels, ratio=ratio).squeeze.out_features == joint


@pytest.mark.parametrize("streams", range(2, 9))
def test_softmax_of_zeros_is_exactly_one_times_n(streams: int) -> None:
    features = [torch.randn(2, 3) for _ in range(streams)]
    fused = MMTM([3] * streams, spatial_dims=0, gate="softmax")(features)
    assert all(torch.equal(a, b) for a, b in zip(features, fused, strict=True))


def test_softmax_gates_sum_to_the_number_of_streams() -> None:
    torch.manual_seed(0)
    ones = [torch.ones(4, 5) for _ in range(3)]
    fused = MMTMAsPublished([5, 5, 5], spatial_dims=0)(ones)
    torch.testing.assert_close(torch.stack(fused).sum(0), torch.full((4, 5), 3.0))


def test_as_published_is_not_the_identity() -> None:
    torch.manual_seed(0)
    features = [torch.randn(2, 4, 3, 3, 3) for _ in range(2)]
    fused = build_module("mmtm_as_published", [4, 4])(features)
    assert not any(torch.equal(a, b) for a, b in zip(features, fused, strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 0.5}, "`ratio` must be at least 1, but got 0.5"),
        ({"ratio": float("nan")}, "`ratio` must be at least 1, but got nan"),
        ({"gate": "tanh"}, "`gate` must be one of sigmoid, softmax, but got 'tanh'"),
        ({"init": "zero"}, "`init` must be one of identity, default, but got 'zero'"),
        ({"gate": "softmax"}, r"`channels` must be equal for the gate 'softmax'.* but got \[4, 5\]"),
        ({"ration": 4}, "`options` must be options of the module 'mmtm'"),
    ],
)
def test_wrong_options_raise(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_module("mmtm", [4, 5], **options)


def test_half_precision_features_keep_their_type() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fused = MMTM([4, 4])([torch.randn(2, 4, 2, 2, 2, dtype=torch.bfloat16) for _ in range(2)])
    assert [x.dtype for x in fused] == [torch.bfloat16] * 2
