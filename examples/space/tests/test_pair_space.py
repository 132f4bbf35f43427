"""The suite of every search space whose candidates inherit weights, and what is this space's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pair_space import PairSpace

from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.testing import InheritingSpaceTestCase

INPUTS = Inputs((Modality("a", "vector", (5,)), Modality("b", "vector", (3,)), Modality("c", "vector", (4,))), ("no", "yes"))


class TestPairSpace(InheritingSpaceTestCase):
    @pytest.fixture
    def space(self) -> Callable[[], PairSpace]:
        return lambda: PairSpace(modalities=("a", "b", "c"))

    @pytest.fixture
    def inputs(self) -> Inputs:
        return INPUTS


def test_there_is_a_parameter_a_pair() -> None:
    space = PairSpace(modalities=("a", "b", "c"))
    assert list(space.parameters) == ["a+b", "a+c", "b+c"]
    assert space.size == 27


def test_a_modality_that_a_subject_lacks_says_nothing() -> None:
    space = PairSpace(modalities=("a", "b", "c"))
    network = space.build(space.complete({"a+b": "product", "b+c": "concat"}), INPUTS)
    torch.nn.init.ones_(network.together["0-1-product"].weight)
    generator = torch.Generator().manual_seed(0)
    inputs = {m.name: torch.randn(2, *m.shape, generator=generator) for m in INPUTS.modalities}
    present = torch.tensor([[True, False, True]] * 2)
    said = network(inputs, present)
    assert torch.equal(said, network({**inputs, "b": torch.randn(2, 3, generator=generator)}, present))
    assert not torch.equal(said, network({**inputs, "a": torch.randn(2, 5, generator=generator)}, present))


def test_wrong_inputs() -> None:
    with pytest.raises(ValueError, match="`modalities` must be at least two different names, but got"):
        PairSpace(modalities=("a", "a"))
    with pytest.raises(ValueError, match="`hidden` must be at least 1, but got 0"):
        PairSpace(hidden=0)
    space = PairSpace(modalities=("a", "b"))
    with pytest.raises(ValueError, match=r"`modalities` must be those of the cohort, \['a', 'b', 'c'\], but got"):
        space.build(space.baseline, INPUTS)
    images = Inputs((Modality("a", "image", (1, 8, 8)), Modality("b", "vector", (3,))), ("no", "yes"))
    with pytest.raises(ValueError, match="`inputs` must be vectors, but 'a' is of kind 'image'"):
        space.build(space.baseline, images)
