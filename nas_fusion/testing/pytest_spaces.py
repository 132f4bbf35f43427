"""Conformance suites for search spaces: the combinatorics, the models, and the inheritance of weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial

import optuna
import pytest
import torch
from torch import nn

from nas_fusion.cohorts import Inputs, Modality
from nas_fusion.space import Configuration, SearchSpace

SpaceFactory = Callable[[], SearchSpace]
_MOST = 256  # configurations looked at


class SearchSpaceTestCase:
    """The combinatorics of a search space."""

    @pytest.fixture
    def space(self) -> SpaceFactory:
        """Return a factory, without arguments, of the search space under test: override this fixture."""
        raise NotImplementedError

    def test_index_is_a_bijection(self, space: SpaceFactory) -> None:
        s = space()
        indices = range(0, s.size, max(1, s.size // _MOST))
        found = [s.configuration(i) for i in indices]
        assert [s.index(configuration) for configuration in found] == list(indices)
        assert len(set(found)) == len(indices)

    def test_baseline_is_everything_off(self, space: SpaceFactory) -> None:
        s = space()
        assert s.configuration(0) == s.baseline == {p: choices[0] for p, choices in s.parameters.items()}
        assert s.active(s.baseline) == {}
        assert s.canonical(s.baseline) == s.baseline

    def test_canonical_is_idempotent(self, space: SpaceFactory) -> None:
        s = space()
        for configuration in _some(s):
            canonical = s.canonical(configuration)
            assert s.canonical(canonical) == canonical
            s.check(canonical)

    def test_moves_go_there_and_back(self, space: SpaceFactory) -> None:
        s = space()
        for move in s.forward_moves(s.baseline):
            assert s.canonical(move) == move != s.baseline
            assert s.baseline in s.backward_moves(move)

    def test_options_are_json_and_give_the_space_again(self, space: SpaceFactory) -> None:
        s = space()
        again = type(s)(**json.loads(json.dumps(s.options())))
        assert list(again.parameters.items()) == list(s.parameters.items())
        assert again.options() == s.options()
        assert again.inherit == s.inherit

    def test_suggest_declares_every_parameter(self, space: SpaceFactory) -> None:
        s = space()
        for configuration in _some(s):
            trial = optuna.trial.FixedTrial(dict(configuration))
            assert s.suggest(trial) == s.canonical(configuration)
            assert {p: d.choices for p, d in trial.distributions.items()} == dict(s.parameters)  # type: ignore[attr-defined]

    def test_foreign_configurations_raise(self, space: SpaceFactory) -> None:
        s = space()
        with pytest.raises(ValueError, match="`configuration` must choose exactly for"):
            s.index({**s.baseline, "no such parameter": "none"})
        with pytest.raises(ValueError, match="but got 'no such choice'"):
            s.index({**s.baseline, next(iter(s.parameters)): "no such choice"})
        with pytest.raises(ValueError, match="`index` must be in"):
            s.configuration(s.size)


class TrainableSpaceTestCase(SearchSpaceTestCase):
    """The models of a search space. Override `inputs` where two small images with three axes are not what the space takes."""

    @pytest.fixture
    def inputs(self) -> Inputs:
        """Return the modalities and classes that the models are built for."""
        return Inputs((Modality("T1w", "image", (1, 12, 12, 12)), Modality("FLAIR", "image", (1, 12, 12, 12))), ("no", "yes"))

    def test_models_return_logits(self, space: SpaceFactory, inputs: Inputs) -> None:
        s = space()
        data = example(inputs, batch=3)
        present = torch.ones(3, len(inputs.modalities), dtype=torch.bool)
        for configuration in _neighbourhood(s):
            model = seeded(partial(s.build, configuration, inputs)).eval()
            logits = model(data, present)
            assert tuple(logits.shape) == (3, len(inputs.classes)) and bool(logits.isfinite().all())
            assert torch.equal(logits, model(data))

    def test_same_seed_same_model(self, space: SpaceFactory, inputs: Inputs) -> None:
        s = space()
        a, b = (seeded(partial(s.build, s.baseline, inputs)).state_dict() for _ in range(2))
        assert list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)

    def test_batch_of_two_is_two_singles(self, space: SpaceFactory, inputs: Inputs) -> None:
        s = space()
        data = example(inputs, batch=2)
        for configuration in _neighbourhood(s):
            model = trained(s, configuration, inputs)
            together = model(data)
            alone = torch.cat([model({name: x[i : i + 1] for name, x in data.items()}) for i in range(2)])
            torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)

    def test_stages_can_be_trained(self, space: SpaceFactory, inputs: Inputs) -> None:
        s = space()
        for configuration in _neighbourhood(s):
            stages = s.stages(configuration, inputs)
            assert len({stage.name for stage in stages}) == len(stages) > 0
            for stage in stages:
                assert set(stage.depends_on.items()) <= set(s.canonical(configuration).items())
                model = seeded(stage.model)
                assert any(stage.trains is None or stage.trains(name) for name, _ in model.named_parameters())

    def test_references_can_be_trained(self, space: SpaceFactory, inputs: Inputs) -> None:
        s = space()
        arms = s.references(inputs)
        for name, arm in arms.items():
            assert arm.title and bool(arm.stages) != bool(arm.members), name
            for member in arm.members:
                if isinstance(member, Configuration):
                    s.check(member)
                else:
                    assert member in arms
            for stage in arm.stages:
                logits = seeded(stage.model).eval()(example(inputs, batch=2))
                assert tuple(logits.shape) == (2, len(inputs.classes)) and bool(logits.isfinite().all())


class InheritingSpaceTestCase(TrainableSpaceTestCase):
    """Weights can be inherited from a parent, and activating a parameter does not change what the trained model computes."""

    def test_shared_tensors_have_the_same_shape(self, space: SpaceFactory, inputs: Inputs) -> None:
        s = space()
        for parent, children in _families(s):
            old = {name: tensor.shape for name, tensor in seeded(partial(s.build, parent, inputs)).state_dict().items()}
            for child in children:
                new = seeded(partial(s.build, child, inputs)).state_dict()
                assert {name: new[name].shape for name in old} == old

    def test_activation_leaves_the_logits_bit_equal(self, space: SpaceFactory, inputs: Inputs) -> None:
        s = space()
        data = example(inputs, batch=2)
        for parent, children in _families(s):
            before = trained(s, parent, inputs)
            for child in children:
                after = seeded(partial(s.build, child, inputs)).eval()
                after.load_state_dict(before.state_dict(), strict=False)
                assert torch.equal(after(data), before(data)), f"{dict(child)} differs from its parent"


def example(inputs: Inputs, *, batch: int) -> dict[str, torch.Tensor]:
    """Return random data of some subjects: modality to tensor `(batch, *shape)`."""
    generator = torch.Generator().manual_seed(0)
    return {m.name: torch.randn(batch, *m.shape, generator=generator) for m in inputs.modalities}


def seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """Return what `build` returns with torch's global generator at a seed; the generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def trained(space: SearchSpace, configuration: Configuration, inputs: Inputs) -> nn.Module:
    """Return a model in evaluation mode whose parameters and running statistics are no longer the initial ones."""
    model = seeded(partial(space.build, configuration, inputs))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    data = example(inputs, batch=4)
    for _ in range(2):
        optimiser.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(model.train()(data), torch.tensor([0, 1, 0, 1])))
        optimiser.step()
    return model.eval()


def _some(space: SearchSpace) -> Iterator[Configuration]:
    yield from (space.configuration(i) for i in range(0, space.size, max(1, space.size // _MOST)))


def _neighbourhood(space: SearchSpace) -> list[Configuration]:
    """Return the baseline and its forward moves."""
    return [space.baseline, *space.forward_moves(space.baseline)]


def _families(space: SearchSpace) -> list[tuple[Configuration, list[Configuration]]]:
    """Return two parents with their children: the baseline, and its last forward move."""
    parents = (space.baseline, space.forward_moves(space.baseline)[-1])
    return [(parent, space.forward_moves(parent)) for parent in parents]
