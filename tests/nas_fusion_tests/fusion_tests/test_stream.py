from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_fusion.fusion import Stream, Tap


def stages() -> dict[str, nn.Module]:
    return {"stem": nn.Linear(5, 4), "layer1": nn.Linear(4, 3), "layer2": nn.Linear(3, 3)}


def test_is_its_stages_and_its_head_in_order() -> None:
    torch.manual_seed(0)
    parts, head = stages(), nn.Linear(3, 2)
    stream = Stream(parts, head, [("layer1", 3, 1), ("layer2", 3, 1)])
    x = torch.randn(4, 5)
    assert torch.equal(stream(x), head(parts["layer2"](parts["layer1"](parts["stem"](x)))))
    assert stream.taps["layer2"] == Tap("layer2", 3, 1)
    assert list(stream.taps) == ["layer1", "layer2"]


def test_advancing_step_by_step_is_the_whole() -> None:
    torch.manual_seed(0)
    stream, x = Stream(stages(), nn.Linear(3, 2), [("layer1", 3, 1)]), torch.randn(4, 5)
    half = stream.advance(x, None, "layer1")
    assert tuple(half.shape) == (4, 3)
    assert torch.equal(stream.advance(half, "layer1", None), stream(x))


@pytest.mark.parametrize(
    ("taps", "message"),
    [
        ([("layer3", 3, 1)], r"`taps` must name stages among \['stem', 'layer1', 'layer2'\], but got 'layer3'"),
        ([("layer1", 0, 1)], "`taps` must have at least one channel, but 'layer1' got 0"),
        ([("layer1", 3, 0.5)], "`taps` must have a reduction of at least 1, but 'layer1' got 0.5"),
        ([("layer2", 3, 1), ("layer1", 3, 1)], "`taps` must follow the order of the stages"),
        ([("layer1", 3, 1), ("layer1", 3, 1)], "`taps` must follow the order of the stages"),
        ([("layer1", 3, 4), ("layer2", 3, 2)], "`taps` must not become finer again, but 'layer2' has reduction 2 after 4"),
    ],
)
def test_wrong_taps_raise(taps: list[tuple[str, int, float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stream(stages(), nn.Linear(3, 2), taps)


def test_other_wrong_arguments_raise() -> None:
    with pytest.raises(ValueError, match="`stages` must name at least one stage"):
        Stream({}, nn.Linear(3, 2), [])
    with pytest.raises(ValueError, match=r"`spatial_dims` must be in \[0, 3\], but got 4"):
        Stream(stages(), nn.Linear(3, 2), [], spatial_dims=4)
