"""Placement, and volumes laid out for the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from nas_fusion import Cohort, Configuration, EvaluationWorker, Stage
from nas_fusion.evaluation.device import Placement, place
from tests.nas_fusion_tests.evaluation_tests.tiny import FIRST, OFF, PLAN, TinySpace, tiny_cohort

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA, and this machine has none")


class Volumes(nn.Module):
    """A 3D network that flattens by `view` or by `flatten`."""

    def __init__(self, configuration: Mapping[str, str], *, by_view: bool) -> None:
        super().__init__()
        self.by_view = by_view
        self.convolution = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU())
        self.head = nn.Linear(4 * 64, 2)
        if configuration["layer1"] != "none":
            self.extra = nn.Linear(2, 2)
            nn.init.eye_(self.extra.weight)
            nn.init.zeros_(self.extra.bias)

    def forward(self, inputs: Mapping[str, torch.Tensor], present: torch.Tensor | None = None) -> torch.Tensor:
        features = self.convolution(inputs["a"])
        features = features.view(len(features), -1) if self.by_view else features.flatten(1)
        logits = self.head(features)
        return self.extra(logits) if hasattr(self, "extra") else logits


class VolumeSpace(TinySpace):
    def __init__(self, *, by_view: bool = False) -> None:
        super().__init__(replace(PLAN, flips=(0, 1)))
        self.by_view = by_view

    def stages(self, configuration: Mapping[str, str], inputs: Any) -> list[Stage]:
        chosen = Configuration(configuration)
        return [Stage("train", self.plan, lambda: Volumes(chosen, by_view=self.by_view), chosen)]


def volumes() -> Cohort:
    cohort = tiny_cohort()
    noise = torch.randn(54, 1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    return replace(cohort, modalities={"a": noise}, kinds={"a": "image"}, present=torch.ones(54, 1, dtype=torch.bool))


def test_volumes_are_laid_out_with_channels_last_on_a_cpu() -> None:
    placement, cohort = place("cpu"), volumes()
    model = placement.lay_out(Volumes(FIRST, by_view=False), cohort)
    assert model.get_parameter("convolution.0.weight").is_contiguous(memory_format=torch.channels_last_3d)
    assert model.training


def test_a_model_that_views_its_features_stays_contiguous() -> None:
    placement, cohort = place("cpu"), volumes()
    model = placement.lay_out(Volumes(FIRST, by_view=True), cohort)
    assert model.get_parameter("convolution.0.weight").is_contiguous()
    losses = [
        EvaluationWorker(VolumeSpace(by_view=by_view), cohort, device="cpu").evaluate(OFF).curves[0] for by_view in (0, 1)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_the_layout_changes_no_weights() -> None:
    model = Volumes(FIRST, by_view=False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    laid_out = place("cpu").lay_out(model, volumes())
    assert all(torch.equal(tensor, before[name]) for name, tensor in laid_out.state_dict().items())


def test_volumes_give_the_same_numbers_each_time_and_are_inherited_exactly() -> None:
    cohort = volumes()
    first, second = (EvaluationWorker(VolumeSpace(), cohort, device="cpu") for _ in range(2))
    evaluations = [worker.evaluate(FIRST, lineage=(OFF,)) for worker in (first, second)]
    assert evaluations[0].curves == evaluations[1].curves
    weights = [worker.store.weights(evaluations[0].key) for worker in (first, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    predictions = [worker.store.predictions(evaluations[0].key).probabilities for worker in (first, second)]
    assert (predictions[0] == predictions[1]).all()


def test_bfloat16_on_a_cpu_is_another_precision() -> None:
    half, full = (EvaluationWorker(VolumeSpace(), volumes(), device="cpu", precision=p) for p in ("bf16", "fp32"))
    assert half.key(OFF) != full.key(OFF)
    assert half.evaluate(OFF).value == pytest.approx(full.evaluate(OFF).value, abs=0.1)
    assert half.evaluate(OFF).value != full.evaluate(OFF).value
    assert half.store.weights(half.key(OFF))["head.weight"].dtype == torch.float32


def test_a_cpu_computes_in_fp32_on_one_thread_and_everything_is_restored() -> None:
    placement = place("cpu")
    assert placement == Placement(torch.device("cpu"), "fp32") and placement.name == "cpu"
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with placement.repeatable(3):
        first = torch.rand(2)
        assert torch.get_num_threads() == 1
    with placement.repeatable(3):
        assert torch.equal(torch.rand(2), first)
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cuda:-1", "mps", "cpu:0"])
def test_words_that_are_no_device_are_refused(device: str) -> None:
    with pytest.raises(ValueError, match="`device` must be auto, cpu, cuda or cuda:INDEX, but got"):
        place(device)


@without_cuda
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match=r"`device` must be one that this machine has \(CUDA devices: 0\), but got 'cuda"):
        place(device)


@without_cuda
def test_auto_is_the_cpu_where_there_is_no_cuda() -> None:
    assert place() == place("cpu", "fp32")


@pytest.mark.gpu
@needs_cuda
def test_cuda_evaluates_like_the_cpu() -> None:
    cuda, cpu = (EvaluationWorker(VolumeSpace(), volumes(), device=device, precision="fp32") for device in ("cuda", "cpu"))
    assert cuda.evaluate(OFF).value == pytest.approx(cpu.evaluate(OFF).value, abs=0.02)
    again = EvaluationWorker(VolumeSpace(), volumes(), device="cuda", precision="fp32").evaluate(OFF)
    assert again.curves == cuda.evaluate(OFF).curves


@pytest.mark.gpu
@needs_cuda
def test_auto_is_cuda_and_bf16_where_it_is_computed() -> None:
    placement = place()
    capable = torch.cuda.get_device_capability() >= (8, 0)
    assert placement.is_cuda and placement.precision == ("bf16" if capable else "fp32")
    evaluation = EvaluationWorker(VolumeSpace(), volumes()).evaluate(OFF)
    assert evaluation.cost["peak_memory"] > 0 and "cuda:0" in evaluation.device
