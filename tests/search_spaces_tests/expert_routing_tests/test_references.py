from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from nas_fusion import EvaluationWorker, MixtureOfExperts
from nas_fusion.cohorts import Batch, Inputs, Modality
from search_spaces.expert_routing import Mixture, ModelOptions
from search_spaces.expert_routing.logistic import STRENGTHS, LogisticNetwork, fit_logistic, fitted

from .connectomes import batch_of, inputs_of
from .tiny import narrow, tiny_cohort

COHORT = tiny_cohort("SC", "FC")
INPUTS = COHORT.inputs


def test_arms_of_two_connectomes() -> None:
    space = narrow(stage1_epochs=2, stage2_epochs=3, stage3_epochs=5)
    arms = space.references(INPUTS)
    assert {name: arm.title for name, arm in arms.items()} == {
        "alone:SC": "SC alone",
        "alone:FC": "FC alone",
        "late_fusion": "late fusion",
        "logistic:SC": "logistic regression on SC",
        "logistic:FC": "logistic regression on FC",
        "logistic:all": "logistic regression on all modalities",
        "dense": "dense mixtures of 3",
    }
    assert arms["late_fusion"].members == ("alone:SC", "alone:FC")
    (alone,) = arms["alone:FC"].stages
    assert (alone.plan.epochs, alone.plan.learning_rate) == (10, space.design.plans[0].learning_rate)


def test_arms_of_three_connectomes() -> None:
    arms = narrow(modalities=("SC", "FC", "MS")).references(tiny_cohort("SC", "FC", "MS").inputs)
    assert arms["late_fusion"].members == ("alone:SC", "alone:FC", "alone:MS")
    assert "logistic:MS" in arms and len(arms["dense"].stages) == 5


def test_the_dense_arm_has_dense_mixtures_in_every_branch() -> None:
    for scope in ("branches", "full"):
        *_, routing = narrow(scope).references(INPUTS)["dense"].stages
        model = routing.model()
        mixtures = [module for module in model.modules() if isinstance(module, MixtureOfExperts)]
        assert len(mixtures) == 3
        assert all(len(mixture.experts) == 3 and type(mixture.router).__name__ == "DenseRouter" for mixture in mixtures)
    assert Mixture(3, None).router_options() == ("dense", {"granularity": "token"})


def test_a_modality_alone_does_not_see_the_other() -> None:
    (stage,) = narrow().references(INPUTS)["alone:FC"].stages
    model, batch = stage.model().eval(), batch_of(INPUTS, 4)
    changed = {**batch.inputs, "SC": batch.inputs["SC"] + 1}
    with torch.no_grad():
        assert torch.equal(model(batch.inputs), model(changed))


def test_the_head_of_a_modality_alone_reads_the_mean_where_branches_add() -> None:
    arms = {how: narrow(pooling=how).references(INPUTS)["alone:FC"] for how in ("add", "mean")}
    models = {how: arm.stages[0].model().eval() for how, arm in arms.items()}
    models["add"].load_state_dict(models["mean"].state_dict())
    batch = batch_of(INPUTS, 4)
    with torch.no_grad():
        assert torch.equal(models["add"](batch.inputs), models["mean"](batch.inputs))


def test_all_arms_are_evaluated() -> None:
    worker = EvaluationWorker(narrow(), COHORT, device="cpu")
    values = {name: worker.evaluate_reference(name).value for name in worker.space.references(INPUTS)}
    assert all(np.isfinite(value) and value > 0 for value in values.values())


# --- logistic regression ---


def labelled(subjects: int, n: int, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    labels = np.arange(subjects) % classes
    return rng.normal(size=(subjects, n)) + 0.4 * rng.normal(size=(classes, n))[labels], labels


@pytest.mark.parametrize(("subjects", "n", "classes"), [(30, 80, 2), (60, 10, 2), (45, 60, 3)])
def test_the_fit_is_scikit_learns_on_all_connections(subjects: int, n: int, classes: int) -> None:
    x, labels = labelled(subjects, n, classes)
    weight, bias = fitted(x, labels, classes=classes)
    logits = x @ weight.T + bias
    candidates = [LogisticRegression(C=c, max_iter=20_000, tol=1e-8).fit(x, labels).predict_log_proba(x) for c in STRENGTHS]
    ours = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert min(np.abs(ours - each).max() for each in candidates) < 2e-2


def test_strength_is_chosen_by_cross_validation() -> None:
    rng = np.random.default_rng(1)
    noise, labels = rng.normal(size=(40, 100)), np.arange(40) % 2
    weight, _ = fitted(noise, labels, classes=2)
    assert np.abs(noise @ weight.T).max() < 0.1  # nothing to learn: as good as constant
    clear = noise + 3 * (2 * labels[:, None] - 1)
    weight, bias = fitted(clear, labels, classes=2)
    logits = clear @ weight.T + bias
    assert (logits.argmax(1) == labels).all() and np.abs(logits[:, 1] - logits[:, 0]).min() > 2


def test_a_class_that_nobody_trains_has_no_probability() -> None:
    x, labels = labelled(20, 5)
    weight, bias = fitted(x, labels, classes=3)
    probabilities = torch.tensor(x @ weight.T + bias).softmax(1)
    assert probabilities.shape == (20, 3) and float(probabilities[:, 2].max()) == 0


def test_connections_are_those_on_and_above_the_diagonal() -> None:
    inputs = inputs_of(SC=5, FC=4)
    model = LogisticNetwork(inputs.modalities, 2, ModelOptions(measures=("degree",)))
    batch = batch_of(inputs, 7)
    found = model.connections(batch.inputs)
    assert found.shape == (7, 15 + 10) and model.linear.in_features == 25
    rows, columns = np.triu_indices(5)
    np.testing.assert_allclose(found[:, :15], batch.inputs["SC"].numpy()[:, rows, columns])


def fit(batch: Batch, inputs: Inputs) -> Mapping[str, torch.Tensor]:
    model = LogisticNetwork(inputs.modalities, len(inputs.classes), ModelOptions(sc_transform="log1p"))
    with torch.no_grad():
        fit_logistic(model, batch)
        return {"logits": model(batch.inputs), "connections": model.connections(batch.inputs)}


def test_the_network_computes_what_was_fitted() -> None:
    inputs = Inputs((Modality("SC", "matrix", (5, 5)), Modality("FC", "covariance", (4, 4))), ("a", "b"))
    batch = batch_of(inputs, 20)
    found = fit(batch, inputs)
    weight, bias = fitted(found["connections"].double().numpy(), batch.labels.numpy(), classes=2)
    np.testing.assert_allclose(found["logits"], found["connections"].double().numpy() @ weight.T + bias, atol=1e-4)


def test_the_worker_validates_a_fit_once_and_keeps_it() -> None:
    worker = EvaluationWorker(narrow(), COHORT, device="cpu")
    evaluation = worker.evaluate_reference("logistic:all")
    train = COHORT.positions(COHORT.splits.folds[0].train)  # type: ignore[union-attr]
    model = worker.model(evaluation.key)
    assert isinstance(model, LogisticNetwork) and len(evaluation.curves[0]) == 1
    batch = COHORT.batch(train)
    with torch.no_grad():
        wanted = LogisticNetwork(INPUTS.modalities, 2, narrow().design.model)
        fit_logistic(wanted, batch)
        torch.testing.assert_close(model(batch.inputs), wanted(batch.inputs))
