"""Conformance suites for fusion modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from nas_fusion.fusion import FusionModule

ModuleFactory = Callable[..., FusionModule]
_SIZES = ((), (6,), (6, 5), (4, 5, 3))
_OTHER_SIZES = ((), (3,), (3, 7), (2, 3, 5))
every_shape = pytest.mark.parametrize(("streams", "spatial_dims"), [(n, d) for n in (2, 3, 4) for d in (0, 1, 2, 3)])
every_rank = pytest.mark.parametrize("spatial_dims", [0, 1, 2, 3])


class _Common:
    equal_channels = False
    crosses_streams = True

    @pytest.fixture
    def module(self) -> ModuleFactory:
        """Return a factory `(channels, *, spatial_dims)` of the fusion module under test: override this fixture."""
        raise NotImplementedError

    def channels(self, streams: int) -> list[int]:
        """Return the channels of each stream: different ones, unless `equal_channels` says that the module needs equal ones."""
        return [8] * streams if self.equal_channels else [8, 6, 12, 10][:streams]

    def perturb(self, fusion: FusionModule) -> None:
        """Move a fresh module away from the identity, so that its streams exchange something: all of its parameters, at random.

        Override it for a module whose exchange does not open that way, such as one that switches at a threshold.
        """
        generator = torch.Generator().manual_seed(1)
        for parameter in fusion.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))

    def perturbed(self, module: ModuleFactory, channels: Sequence[int], spatial_dims: int) -> FusionModule:
        """Return a module of the factory that is no longer the identity."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(1)
            fusion = module(channels, spatial_dims=spatial_dims)
            self.perturb(fusion)
        return fusion


class FusionModuleTestCase(_Common):
    """What every fusion module must fulfil.

    Set `equal_channels = True` for a module that only connects streams of equal width, and `crosses_streams = False` for a
    control: then no stream may hear another, where otherwise each must hear every other.
    """

    @every_shape
    def test_shapes_are_preserved(self, module: ModuleFactory, streams: int, spatial_dims: int) -> None:
        fusion, features = (
            self.perturbed(module, self.channels(streams), spatial_dims),
            _features(self.channels(streams), spatial_dims),
        )
        fused = fusion(features)
        assert [tuple(x.shape) for x in fused] == [tuple(x.shape) for x in features]
        assert all(x.dtype == torch.float32 and bool(x.isfinite().all()) for x in fused)

    @every_rank
    def test_inputs_are_not_changed(self, module: ModuleFactory, spatial_dims: int) -> None:
        fusion, features = self.perturbed(module, self.channels(2), spatial_dims), _features(self.channels(2), spatial_dims)
        before = [x.clone() for x in features]
        fusion(features)
        assert all(torch.equal(a, b) for a, b in zip(before, features, strict=True))

    @every_shape
    def test_batch_of_two_is_two_singles(self, module: ModuleFactory, streams: int, spatial_dims: int) -> None:
        fusion = self.perturbed(module, self.channels(streams), spatial_dims).eval()
        features = _features(self.channels(streams), spatial_dims, batch=2)
        together = fusion(features)
        for i in range(2):
            alone = fusion([x[i : i + 1] for x in features])
            for one, two in zip(alone, together, strict=True):
                torch.testing.assert_close(one[0], two[i], rtol=1e-5, atol=1e-6)

    @every_shape
    def test_every_stream_receives_from_every_other(self, module: ModuleFactory, streams: int, spatial_dims: int) -> None:
        fusion = self.perturbed(module, self.channels(streams), spatial_dims)
        features = [x.requires_grad_() for x in _features(self.channels(streams), spatial_dims)]
        for target, fused in enumerate(fusion(features)):
            gradients = torch.autograd.grad(fused.square().sum(), features, retain_graph=True, allow_unused=True)
            heard = [gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients]
            for source, hears in enumerate(heard):
                if source == target or self.crosses_streams:
                    assert hears, f"stream {target} ignores stream {source}"
                else:
                    assert not hears, f"stream {target} hears stream {source}, although `crosses_streams` is False"

    @every_shape
    def test_missing_modalities_give_finite_numbers(self, module: ModuleFactory, streams: int, spatial_dims: int) -> None:
        """An absent modality's features are zeros: each in turn, all but one, and all (those that meet may be absent)."""
        channels = self.channels(streams)
        absent = [{i} for i in range(streams)] + [set(range(streams)) - {i} for i in range(streams)] + [set(range(streams))]
        for fusion in (self.perturbed(module, channels, spatial_dims), module(channels, spatial_dims=spatial_dims)):
            features = _features(channels, spatial_dims, batch=len(absent))
            for subject, missing in enumerate(absent):
                for i in missing:
                    features[i][subject] = 0
            features = [x.requires_grad_() for x in features]
            fused = fusion(features)
            torch.autograd.backward([x.square().sum() for x in fused])
            gradients = [x.grad for x in (*features, *fusion.parameters()) if x.grad is not None]
            assert all(bool(x.isfinite().all()) for x in (*fused, *gradients)), (
                "a stream of zeros gives numbers that are not finite"
            )

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
    @every_rank
    def test_autocast(self, module: ModuleFactory, spatial_dims: int, dtype: torch.dtype) -> None:
        """Under autocast to bfloat16 features keep the type that they came with, and are about what they are without."""
        fusion, features = self.perturbed(module, self.channels(3), spatial_dims), _features(self.channels(3), spatial_dims)
        exact = fusion(features)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            fused = fusion([x.to(dtype) for x in features])
        assert [x.dtype for x in fused] == [dtype] * 3
        for half, whole in zip(fused, exact, strict=True):
            assert float((half.float() - whole).norm().detach() / whole.norm().detach()) < 0.1
        torch.autograd.backward([x.float().square().sum() for x in fused])
        assert all(bool(x.grad.isfinite().all()) for x in fusion.parameters() if x.grad is not None)

    @every_rank
    def test_penalty_is_a_finite_scalar_with_a_gradient(self, module: ModuleFactory, spatial_dims: int) -> None:
        channels = self.channels(2)
        for fusion in (module(channels, spatial_dims=spatial_dims), self.perturbed(module, channels, spatial_dims)):
            penalty = fusion.penalty()
            if penalty is None:
                continue
            assert penalty.shape == () and bool(penalty.isfinite()), "a penalty must be a finite scalar"
            assert penalty.requires_grad, "a penalty must have a gradient"
            torch.autograd.backward([penalty])
            gradients = [parameter.grad for parameter in fusion.parameters() if parameter.grad is not None]
            assert gradients and all(bool(gradient.isfinite().all()) for gradient in gradients)

    def test_label_can_be_a_part_of_a_name(self, module: ModuleFactory) -> None:
        label = module(self.channels(2), spatial_dims=0).label
        assert label and not set(label) & set(". /\\"), f"{label!r} cannot be a part of a tensor's name"

    @every_rank
    def test_every_parameter_is_trained(self, module: ModuleFactory, spatial_dims: int) -> None:
        fusion, features = self.perturbed(module, self.channels(2), spatial_dims), _features(self.channels(2), spatial_dims)
        torch.autograd.backward([x.square().sum() for x in fusion(features)])
        idle = [name for name, parameter in fusion.named_parameters() if parameter.grad is None]
        assert idle == []

    @every_rank
    def test_state_dict_round_trip(self, module: ModuleFactory, spatial_dims: int) -> None:
        channels = self.channels(3)
        fusion, features = self.perturbed(module, channels, spatial_dims).eval(), _features(channels, spatial_dims)
        copy = module(channels, spatial_dims=spatial_dims).eval()
        copy.load_state_dict(fusion.state_dict())
        assert all(torch.equal(a, b) for a, b in zip(fusion(features), copy(features), strict=True))

    def test_wrong_features_raise(self, module: ModuleFactory) -> None:
        channels = self.channels(2)
        fusion, features = module(channels, spatial_dims=3), _features(channels, 3)
        with pytest.raises(ValueError, match=r"`features` must hold 2 streams, but got 1"):
            fusion(features[:1])
        with pytest.raises(ValueError, match=r"`features\[1\]` must have shape"):
            fusion([features[0], features[1][:, :-1]])
        with pytest.raises(ValueError, match=r"`features\[0\]` must have shape"):
            fusion([features[0][..., 0], features[1]])

    def test_wrong_construction_raises(self, module: ModuleFactory) -> None:
        with pytest.raises(ValueError, match="`channels` must give at least two streams"):
            module([4])
        with pytest.raises(ValueError, match="`channels` must give at least two streams"):
            module([4, 0])
        with pytest.raises(ValueError, match=r"`spatial_dims` must be in \[0, 3\]"):
            module([4, 4], spatial_dims=4)


class FreshIdentityTestCase(_Common):
    """A freshly built module is the identity, bit by bit, and can be trained. Combine with `FusionModuleTestCase`."""

    @every_shape
    def test_fresh_module_is_the_identity(self, module: ModuleFactory, streams: int, spatial_dims: int) -> None:
        channels = self.channels(streams)
        features = _features(channels, spatial_dims)
        for fusion in (module(channels, spatial_dims=spatial_dims), module(channels, spatial_dims=spatial_dims).eval()):
            assert all(torch.equal(a, b) for a, b in zip(fusion(features), features, strict=True))

    @every_rank
    def test_fresh_module_is_the_identity_under_autocast(self, module: ModuleFactory, spatial_dims: int) -> None:
        fusion = module(self.channels(3), spatial_dims=spatial_dims)
        features = [x.bfloat16() for x in _features(self.channels(3), spatial_dims)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert all(torch.equal(a, b) for a, b in zip(fusion(features), features, strict=True))

    @every_rank
    def test_fresh_module_has_a_gradient(self, module: ModuleFactory, spatial_dims: int) -> None:
        fusion, features = module(self.channels(2), spatial_dims=spatial_dims), _features(self.channels(2), spatial_dims)
        torch.autograd.backward([x.square().sum() for x in fusion(features)])
        gradients = [parameter.grad for parameter in fusion.parameters() if parameter.grad is not None]
        assert any(bool(gradient.abs().sum() > 0) for gradient in gradients)


def _features(channels: Sequence[int], spatial_dims: int, *, batch: int = 6) -> list[torch.Tensor]:
    """Return random features whose means over space differ, the streams in turn of two resolutions."""
    generator = torch.Generator().manual_seed(0)
    sizes = (_SIZES[spatial_dims], _OTHER_SIZES[spatial_dims])
    return [
        torch.randn(batch, width, *sizes[i % 2], generator=generator)
        + torch.randn(batch, width, *[1] * spatial_dims, generator=generator)
        for i, width in enumerate(channels)
    ]
