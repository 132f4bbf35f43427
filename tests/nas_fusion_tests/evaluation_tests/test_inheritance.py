from __future__ import annotations

import torch
from torch import nn

from nas_fusion.evaluation.inheritance import inherit


def test_tensors_of_the_same_name_shape_and_type_are_taken_over() -> None:
    parent = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    child = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 5), nn.Linear(5, 2))
    parent[1].running_mean += 3.0
    fresh = {name: tensor.clone() for name, tensor in child.state_dict().items()}
    taken = inherit(child, parent.state_dict())
    for name, tensor in child.state_dict().items():
        assert torch.equal(tensor, parent.state_dict()[name] if name in taken.taken else fresh[name])
    assert taken.fresh == ("2.weight", "2.bias", "3.weight", "3.bias")
    assert taken.unused == ("2.weight", "2.bias")
    assert taken.numbers == 3 * 4 + 4 + 2 * 4


def test_another_type_is_not_taken_over() -> None:
    child = nn.Linear(2, 2)
    taken = inherit(child, {"weight": torch.zeros(2, 2, dtype=torch.float64), "bias": torch.full((2,), 5.0)})
    assert taken.taken == ("bias",) and child.bias.tolist() == [5, 5]
    assert taken.to_json() == {"taken": ["bias"], "fresh": ["weight"], "unused": ["weight"], "numbers": 2}


def test_nothing_offered_leaves_everything_fresh() -> None:
    child = nn.Linear(2, 2)
    assert inherit(child, {}).fresh == ("weight", "bias")
