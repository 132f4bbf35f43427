"""Which device each worker gets."""

from __future__ import annotations

import os

import pytest
import torch

from nas_fusion.study.workers import devices_of_workers


@pytest.mark.parametrize(("asked", "most", "count"), [(1, 16, 1), (5, 16, 5), (5, 3, 3)])
def test_on_a_cpu_as_many_as_asked_for_and_have_something_to_do(asked: int, most: int, count: int) -> None:
    assert devices_of_workers("cpu", asked, most=most) == ("cpu",) * count


def test_by_default_one_a_core() -> None:
    assert len(devices_of_workers("cpu", None, most=10**6)) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("device", "asked", "places"),
    [
        ("auto", None, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", 5, ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1"]),
        ("cuda:1", None, ["cuda:1"]),
        ("cuda:1", 2, ["cuda:1", "cuda:1"]),
        ("cpu", 2, ["cpu", "cpu"]),
    ],
)
def test_gpus_are_shared_evenly(monkeypatch: pytest.MonkeyPatch, device: str, asked: int | None, places: list[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert devices_of_workers(device, asked, most=16) == tuple(places)


def test_refuses_a_device_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="`device` must be"):
        devices_of_workers("tpu", None, most=4)
