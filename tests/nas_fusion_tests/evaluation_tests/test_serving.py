"""One worker object that serves several search spaces in one process."""

from __future__ import annotations

import optuna
import pytest

from nas_fusion import EvaluationWorker, SFSASampler
from tests.nas_fusion_tests.evaluation_tests.products import PLAN, ProductSpace
from tests.nas_fusion_tests.evaluation_tests.products import product_cohort as products
from tests.nas_fusion_tests.evaluation_tests.tiny import FIRST, OFF, TinySpace, tiny_cohort


def test_one_worker_serves_two_spaces_with_the_numbers_of_two_workers() -> None:
    tiny, product = TinySpace(), ProductSpace()
    worker = EvaluationWorker(tiny, tiny_cohort(), device="cpu", seed=3)
    bench = worker.serve(product, products())
    for space in (tiny, product):
        study = optuna.create_study(sampler=SFSASampler(space))
        study.optimize(worker)
        data = tiny_cohort() if space is tiny else products()
        alone = optuna.create_study(sampler=SFSASampler(space))
        alone.optimize(EvaluationWorker(space, data, device="cpu", seed=3))
        assert [trial.value for trial in study.trials] == [trial.value for trial in alone.trials]
        assert len(study.trials) > 2
    assert bench.store is worker.store and bench._lock is worker._lock
    assert bench.evaluate(product.baseline).trained is False


def test_a_configuration_goes_to_the_space_that_has_its_parameters() -> None:
    product = ProductSpace()
    worker = EvaluationWorker(TinySpace(), tiny_cohort(), device="cpu")
    bench = worker.serve(product, products(), plan={"epochs": 1})
    assert worker.evaluate(product.baseline).key == bench.key(product.baseline)
    assert worker.evaluate(FIRST, lineage=[OFF]).configuration == FIRST
    assert len(worker.evaluate(product.baseline).curves[0]) == 1 < PLAN.epochs


def test_a_trial_that_does_not_tell_its_space_is_refused() -> None:
    worker = EvaluationWorker(TinySpace(), tiny_cohort(), device="cpu")
    worker.serve(ProductSpace(), products())
    with pytest.raises(ValueError, match="`trial` must be of a study that names one of the spaces tiny, products"):
        worker(optuna.trial.FixedTrial(OFF))
    with pytest.raises(ValueError, match="`space` must be one that is not served yet, but 'tiny' is"):
        worker.serve(TinySpace(), tiny_cohort())
