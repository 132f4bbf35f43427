from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_fusion import Cohort, TrainingPlan
from nas_fusion.cohorts import Batch, Inputs, Modality
from nas_fusion.evaluation.batches import check_flips, flipped_batch, shuffled, sizes, training_batch, with_dropout
from tests.nas_fusion_tests.evaluation_tests.tiny import tiny_cohort


def images(n: int = 6) -> Cohort:
    volumes = torch.arange(n * 2 * 3 * 4 * 5, dtype=torch.float32).reshape(n, 2, 3, 4, 5)
    cohort = tiny_cohort(train=n - 3, validation=2, test=1)
    modalities = {"a": volumes, "b": -volumes[:, :1], "age": torch.arange(n, dtype=torch.float32)[:, None]}
    kinds = {"a": "image", "b": "image", "age": "vector"}
    return replace(cohort, modalities=modalities, kinds=kinds, present=torch.ones(n, 3, dtype=torch.bool))


@given(st.integers(2, 200), st.integers(1, 40))
def test_sizes_add_up_and_never_leave_a_single_subject_over(n: int, batch_size: int) -> None:
    found = sizes(n, batch_size)
    assert sum(found) == n
    assert all(size <= batch_size + 1 for size in found)
    assert batch_size == 1 or min(found) >= 2


def test_shuffled_yields_each_subject_once_and_the_same_order_for_the_same_seed() -> None:
    subjects = torch.tensor([3, 5, 8, 13, 21])
    orders = [list(shuffled(subjects, 2, torch.Generator().manual_seed(seed))) for seed in (0, 0, 1)]
    assert sorted(torch.cat(orders[0]).tolist()) == subjects.tolist()
    assert [part.tolist() for part in orders[0]] == [part.tolist() for part in orders[1]]
    assert torch.cat(orders[0]).tolist() != torch.cat(orders[2]).tolist()


def test_flips_are_the_same_in_all_images_of_a_subject_and_leave_vectors_alone() -> None:
    cohort, index = images(), torch.tensor([4, 0, 2, 5])
    batch = flipped_batch(cohort, index, (0, 2), torch.Generator().manual_seed(1))
    seen = set()
    for row, subject in enumerate(index.tolist()):
        options = {axes: cohort.modalities["a"][subject].flip(axes) for axes in [(), (1,), (3,), (1, 3)]}
        (axes,) = [axes for axes, flipped in options.items() if torch.equal(flipped, batch.inputs["a"][row])]
        assert torch.equal(batch.inputs["b"][row], cohort.modalities["b"][subject].flip(axes))
        seen.add(axes)
    assert len(seen) > 1
    assert batch.inputs["age"].squeeze(1).tolist() == [4, 0, 2, 5]
    assert torch.equal(batch.labels, cohort.labels[index]) and batch.index.tolist() == index.tolist()


def test_each_axis_is_flipped_half_of_the_time() -> None:
    cohort, generator = images(), torch.Generator().manual_seed(0)
    first = torch.zeros(400, dtype=torch.long)
    batch = flipped_batch(cohort, first, (1,), generator)
    flipped = (batch.inputs["a"] != cohort.modalities["a"][first]).flatten(1).any(dim=1)
    assert abs(float(flipped.float().mean()) - 0.5) < 0.1  # 4 standard errors


@pytest.mark.parametrize("flips", [(3,), (-1,), (0, 2)])
def test_flips_must_be_axes_of_every_image(flips: tuple[int, ...]) -> None:
    inputs = Inputs((Modality("a", "image", (1, 4, 4)), Modality("age", "vector", (1,))), ("no", "yes"))
    with pytest.raises(ValueError, match=r"`flips` must be spatial axes of every image, in \[0, 2\), but got"):
        check_flips(flips, inputs)
    check_flips((0, 1), inputs)


@st.composite
def presences(draw: st.DrawFn) -> torch.Tensor:
    """Who has what: subjects with at least one of the modalities."""
    modalities = draw(st.integers(1, 6))
    row = st.lists(st.booleans(), min_size=modalities, max_size=modalities).filter(any)
    return torch.tensor(draw(st.lists(row, min_size=1, max_size=20)))


@given(presences(), st.floats(0, 0.99), st.integers(0, 100))
def test_dropout_takes_what_a_subject_has_and_never_all_of_it(present: torch.Tensor, probability: float, seed: int) -> None:
    n = len(present)
    batch = Batch({"a": torch.ones(n, 2)}, present, torch.zeros(n, dtype=torch.long), torch.arange(n))
    found, again = (with_dropout(batch, probability, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert bool((found.present <= present).all()) and bool(found.present.any(1).all())
    assert torch.equal(found.present, again.present)
    assert found.inputs is batch.inputs and found.labels is batch.labels


def test_modalities_drop_out_as_often_as_asked_and_the_last_one_is_any() -> None:
    n, p = 20_000, 0.4
    batch = Batch({}, torch.ones(n, 3, dtype=torch.bool), torch.zeros(n, dtype=torch.long), torch.arange(n))
    kept = with_dropout(batch, p, torch.Generator().manual_seed(0)).present.double()
    spread = 4 * (0.25 / n) ** 0.5
    assert kept.mean(0).tolist() == pytest.approx([1 - p + p**3 / 3] * 3, abs=spread)  # a third of those who would lose all
    assert float((kept.sum(1) == 1).double().mean()) == pytest.approx(3 * (1 - p) * p**2 + p**3, abs=spread)


def test_training_batches_draw_nothing_for_what_is_not_asked() -> None:
    cohort, index = images(), torch.tensor([4, 0, 2, 5])
    plain, dropping = TrainingPlan(), TrainingPlan(modality_dropout=0.5, flips=(1,))
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    assert bool(training_batch(cohort, index, plain, generator).present.all())
    assert torch.equal(generator.get_state(), before)
    flipped = flipped_batch(cohort, index, (1,), torch.Generator().manual_seed(1))
    found = training_batch(cohort, index, dropping, generator)
    assert torch.equal(found.inputs["a"], flipped.inputs["a"]) and not bool(found.present.all())
