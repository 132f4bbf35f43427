"""Conformance suite for backbones."""

from __future__ import annotations

import copy

import pytest
import torch

from nas_fusion.cohorts import Modality
from nas_fusion.fusion import Backbone, Stream


class BackboneTestCase:
    """What every backbone must do. Override `modality` where a small image with three axes is not what it takes."""

    @pytest.fixture
    def backbone(self) -> Backbone:
        """Return the backbone under test, small: override this fixture."""
        raise NotImplementedError

    @pytest.fixture
    def modality(self) -> Modality:
        """Return the modality that streams are built for."""
        return Modality("T1w", "image", (1, 24, 24, 24))

    def test_points_are_known_before_there_are_data(self, backbone: Backbone, modality: Modality) -> None:
        assert len(set(backbone.points)) == len(backbone.points) > 0
        assert set(backbone.stages) <= set(backbone.points)
        assert [point for point in backbone.points if point in backbone.stages] == list(backbone.stages)
        before = torch.get_rng_state()
        taps = backbone.find_taps(modality)
        assert torch.equal(torch.get_rng_state(), before)
        assert tuple(tap.name for tap in taps) == backbone.points
        built = _seeded(backbone, modality, backbone.stages).taps
        assert [built[tap.name] for tap in taps if tap.name in backbone.stages] == [
            tap for tap in taps if tap.name in backbone.stages
        ]

    def test_a_pass_in_steps_is_the_whole_and_taps_tell_the_truth(self, backbone: Backbone, modality: Modality) -> None:
        stream = _seeded(backbone, modality, backbone.points).eval()
        assert [name for name in stream.taps if name in backbone.points] == list(backbone.points)
        x = example(modality, 3)
        passage, features, axes = stream.begin(), x, set[int]()
        for point, tap in stream.taps.items():
            features = passage.advance(features, point)
            assert features.shape[:2] == (3, tap.channels)
            axes.add(features.ndim - 2)
        assert max(axes) == stream.spatial_dims
        logits = passage.advance(features, None)
        assert tuple(logits.shape) == (3, 4)
        assert bool(logits.isfinite().all())
        assert torch.equal(logits, stream(x))

    def test_every_parameter_is_trained(self, backbone: Backbone, modality: Modality) -> None:
        stream = _seeded(backbone, modality, backbone.stages).train()
        stream(example(modality, 3)).square().sum().backward()
        assert [name for name, parameter in stream.named_parameters() if parameter.grad is None] == []

    def test_subjects_stay_apart_and_weights_are_loaded(self, backbone: Backbone, modality: Modality) -> None:
        stream, x = _seeded(backbone, modality, backbone.stages).eval(), example(modality, 2)
        together, alone = stream(x), torch.cat([stream(subject.unsqueeze(0)) for subject in x])
        torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)
        torch.manual_seed(1)
        other = backbone.build(modality, 4, backbone.stages).eval()
        assert list(other.state_dict()) == list(stream.state_dict())
        other.load_state_dict(stream.state_dict())
        assert torch.equal(other(x), together)
        assert torch.equal(copy.deepcopy(stream)(x), together)

    def test_what_it_cannot_take_raises(self, backbone: Backbone, modality: Modality) -> None:
        for kind in set(Modality.KINDS) - {*backbone.kinds}:
            shape = {"image": (1, 8, 8), "vector": (8,)}.get(kind, (8, 8))
            with pytest.raises(ValueError, match="other"):
                backbone.build(Modality("other", kind, shape), 2, backbone.stages)
        if not backbone.follows:
            with pytest.raises(ValueError, match="nowhere"):
                backbone.build(modality, 2, ("nowhere",))


def example(modality: Modality, batch: int) -> torch.Tensor:
    """Return inputs `(batch, *shape)` of a modality's kind."""
    if modality.kind != "covariance":
        return torch.randn(batch, *modality.shape, generator=torch.Generator().manual_seed(0))
    factors = torch.randn(batch, modality.shape[0], 2 * modality.shape[0], generator=torch.Generator().manual_seed(0))
    return factors @ factors.mT / factors.shape[2]


def _seeded(backbone: Backbone, modality: Modality, points: tuple[str, ...]) -> Stream:
    torch.manual_seed(0)
    return backbone.build(modality, 4, points)
