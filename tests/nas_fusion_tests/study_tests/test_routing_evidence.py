"""Evidence on routing of trained models: gates and losses against a direct computation, kept and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from torch.nn.functional import cross_entropy

from nas_fusion import compare
from nas_fusion.analysis import Comparison
from nas_fusion.routing import replaced_gates, routings
from nas_fusion.study import routing_evidence as module
from nas_fusion.study.laboratory import Laboratory
from nas_fusion.study.outcome import summarise
from nas_fusion.study.routing_tokens import regions_of, tokens_of
from nas_fusion.study.spec import load_study
from tests.nas_fusion_tests.study_tests.routed import NAMES, RoutedSpace, matrices_cohort

MIXTURES = RoutedSpace(("static", "e3k2"))


def searched(space: RoutedSpace, folder: Path, **options: object) -> tuple[Comparison, Laboratory, optuna.storages.BaseStorage]:
    cohort = matrices_cohort(**{k: v for k, v in options.items() if k in ("folds", "places")})  # type: ignore[arg-type]
    storage = optuna.storages.InMemoryStorage()
    seeds = int(options.get("seeds", 1))  # type: ignore[call-overload]
    found = compare(space, cohort, samplers=("exhaustive",), storage=storage, artifacts=folder, device="cpu", seeds=seeds)
    _, spec = load_study(storage, "routed-exhaustive")
    return found, Laboratory(spec, space, cohort), storage


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Laboratory, optuna.storages.BaseStorage]:
    return searched(MIXTURES, tmp_path_factory.mktemp("store"))


def test_gates_are_those_of_the_trained_model_on_validation_subjects(
    search: tuple[Comparison, Laboratory, optuna.storages.BaseStorage],
) -> None:
    comparison, laboratory, _ = search
    evidence = comparison.routing
    assert evidence is not None
    (layer,) = evidence.layers
    worker = laboratory.worker
    subjects = worker.cohort.splits.folds[0].validation  # type: ignore[union-attr]
    assert layer.subjects == subjects and not set(subjects) & set(laboratory.cohort.splits.test)  # type: ignore[union-attr]
    batch = worker.cohort.batch(worker.cohort.positions(subjects))
    model = worker.model(evidence.key)
    with torch.no_grad(), routings(model) as found:
        logits = model(batch.inputs, batch.present)
    np.testing.assert_allclose(layer.gates, found["body.layer"].gates.numpy(), atol=1e-6)
    np.testing.assert_array_equal(layer.labels, batch.labels.numpy())
    adaptivity = evidence.adaptivity
    assert adaptivity is not None and adaptivity.subjects == tuple(sorted(subjects))
    np.testing.assert_allclose(
        adaptivity.own, cross_entropy(logits.double(), batch.labels, reduction="none").numpy(), atol=1e-6
    )
    value = worker.evaluate({"layer": "e3k2"}).value
    assert adaptivity.own.mean() == pytest.approx(value, abs=1e-6)


def test_replaced_gates_give_the_losses_of_a_direct_computation(
    search: tuple[Comparison, Laboratory, optuna.storages.BaseStorage],
) -> None:
    comparison, laboratory, _ = search
    evidence = comparison.routing
    assert evidence is not None and evidence.adaptivity is not None
    gates = torch.from_numpy(evidence.layers[0].gates)
    batch = laboratory.worker.cohort.batch(laboratory.worker.cohort.positions(evidence.layers[0].subjects))
    model = laboratory.worker.model(evidence.key)

    def losses(given: torch.Tensor) -> np.ndarray:
        with torch.no_grad(), replaced_gates(model, {"body.layer": given}):
            return cross_entropy(model(batch.inputs, None).double(), batch.labels, reduction="none").numpy()

    replaced = evidence.adaptivity.replaced
    assert {name: draws.shape for name, draws in replaced.items()} == {
        "another": (5, 14),
        "mean": (1, 14),
        "one_for_all": (1, 14),
    }
    np.testing.assert_allclose(replaced["mean"][0], losses(gates.mean(0, keepdim=True)), atol=1e-6)
    np.testing.assert_allclose(replaced["one_for_all"][0], losses(gates.mean((0, 1), keepdim=True)), atol=1e-6)
    every = np.stack([losses(gates.roll(shift, 0)) for shift in range(14)])  # with the gates of whoever
    for draw in replaced["another"]:
        distance = np.abs(draw - every)
        assert (distance[1:].min(axis=0) < 1e-6).all()
        assert (np.abs(draw - every[0]) > 1e-7).any()


def test_everyone_gets_the_gates_of_somebody_else_and_all_are_given_away() -> None:
    own = {"m": torch.arange(9.0).reshape(9, 1, 1)}
    given: list[np.ndarray] = []
    examination = module._Examination(torch.nn.Identity(), matrices_cohort(), torch.arange(9), torch.device("cpu"))

    def record(gates: module.Gates, giver: torch.Tensor) -> np.ndarray:
        given.append(giver.numpy())
        return np.zeros(9)

    object.__setattr__(examination, "_losses", record)
    examination.losses(own)
    another = given[1:6]
    assert all(sorted(giver) == list(range(9)) and (giver != np.arange(9)).all() for giver in another)
    assert len({tuple(giver) for giver in another}) == 5


def test_small_folds_may_have_different_numbers_of_draws() -> None:
    losses = {
        "b": {"own": [np.array([2.0])], "replaced:another": [np.array([5.0, 6.0]), np.array([7.0, 8.0])]},
        "a": {"own": [np.array([1.0])], "replaced:another": [np.array([1.0, 2.0, 3.0])]},
    }
    pooled = module._pooled(losses)
    np.testing.assert_array_equal(pooled["own"], [1.0, 2.0])
    np.testing.assert_array_equal(pooled["replaced:another"], [[1.0, 6.0], [2.0, 7.0]])


def test_usage_over_epochs_is_what_was_logged_in_training(
    search: tuple[Comparison, Laboratory, optuna.storages.BaseStorage],
) -> None:
    comparison, _, _ = search
    assert comparison.routing is not None
    layer = comparison.routing.layers[0]
    assert layer.name == "layer" and layer.history.shape == (3, 3) and layer.gate_history.shape == (3,)
    np.testing.assert_allclose(layer.history.sum(axis=1), 1, atol=1e-5)
    epoch = comparison.routing
    chosen = next(e for e in comparison.arms[0].evaluations if e.key == epoch.key).epochs[0]
    np.testing.assert_allclose(layer.history[chosen - 1], layer.load, atol=1e-5)


def test_tokens_are_regions_of_each_modality_in_turn(
    search: tuple[Comparison, Laboratory, optuna.storages.BaseStorage],
) -> None:
    comparison, _, _ = search
    assert comparison.routing is not None and comparison.routing.regions is not None
    layer, regions = comparison.routing.layers[0], comparison.routing.regions
    assert layer.tokens == (*NAMES, *NAMES) and layer.parts == ("SC",) * 4 + ("FC",) * 4
    assert layer.regions.tolist() == [0, 1, 2, 3] * 2
    assert regions.networks == ("a", "a", "b", "b") and regions.coordinates is not None
    assert regions.edges[0].tolist() == [0, 3] and comparison.cohort["regions"] == 4


def test_it_is_read_again_without_a_model(
    search: tuple[Comparison, Laboratory, optuna.storages.BaseStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison, laboratory, storage = search

    def refuse(*_: object) -> object:
        raise AssertionError("Nothing may be computed again.")

    monkeypatch.setattr(module, "_examined", refuse)
    again = summarise(laboratory, storage, ["routed-exhaustive"]).routing
    assert again is not None and comparison.routing is not None
    np.testing.assert_array_equal(again.layers[0].gates, comparison.routing.layers[0].gates)
    np.testing.assert_array_equal(again.adaptivity.replaced["another"], comparison.routing.adaptivity.replaced["another"])  # type: ignore[union-attr]


def test_folds_and_seeds_are_pooled_and_layers_are_those_of_the_first(tmp_path: Path) -> None:
    comparison, laboratory, _ = searched(RoutedSpace(("static", "e2dense"), told=False, epochs=2), tmp_path, folds=2, seeds=2)
    evidence = comparison.routing
    assert evidence is not None and evidence.adaptivity is not None
    assert len(evidence.layers[0].subjects) == 19 and len(evidence.adaptivity.subjects) == 38 and evidence.adaptivity.folds == 2
    assert evidence.layers[0].name == "body.layer" and evidence.layers[0].history.shape == (0, 2)
    evaluation = laboratory.worker.evaluate({"layer": "e2dense"})
    assert evidence.adaptivity.own.mean() == pytest.approx(evaluation.value, abs=1e-6)


def test_where_the_static_model_is_selected_the_best_mixture_is_examined_and_said_not_to_be_selected(
    search: tuple[Comparison, Laboratory, optuna.storages.BaseStorage],
) -> None:
    comparison, laboratory, _ = search
    static = laboratory.space.baseline
    from dataclasses import replace

    arm = replace(comparison.arms[0], best=static)
    evidence = module.routing_evidence(laboratory, arm)
    assert evidence is not None and not evidence.selected and evidence.model == "layer"
    only_static = replace(arm, evaluations=tuple(e for e in arm.evaluations if e.configuration == static))
    assert module.routing_evidence(laboratory, only_static) is None


def test_looking_for_mixtures_disturbs_no_generator(search: tuple[Comparison, Laboratory, optuna.storages.BaseStorage]) -> None:
    comparison, laboratory, _ = search
    state = torch.get_rng_state()
    module.routing_evidence(laboratory, comparison.arms[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_lost_weights_leave_no_evidence(
    search: tuple[Comparison, Laboratory, optuna.storages.BaseStorage], tmp_path: Path
) -> None:
    comparison, laboratory, _ = search
    elsewhere = Laboratory(laboratory.spec.replace(artifacts=str(tmp_path)), laboratory.space, laboratory.cohort)
    assert module.routing_evidence(elsewhere, comparison.arms[0]) is None


def test_tokens_and_regions_of_which_nothing_is_known() -> None:
    cohort = matrices_cohort(places=False)
    assert (
        tokens_of(cohort, 4)["tokens"] == ("region 1", "region 2", "region 3", "region 4")
        and tokens_of(cohort, 4)["parts"] == ()
    )
    assert tokens_of(cohort, 12)["parts"][::4] == ("part 1", "part 2", "part 3")
    odd = tokens_of(cohort, 5)
    assert odd["tokens"][4] == "token 5" and (odd["regions"] == -1).all()
    regions = regions_of(cohort, cohort.subjects[:3])
    assert regions is not None and regions.coordinates is None and regions.networks == ()
