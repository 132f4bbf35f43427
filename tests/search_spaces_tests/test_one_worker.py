"""One worker object for both search spaces of this package, in one process."""

from __future__ import annotations

import optuna

from nas_fusion import EvaluationWorker, SearchSpace, SFSASampler, load_space
from tests.search_spaces_tests.expert_routing_tests.tiny import narrow, tiny_cohort

COHORT = tiny_cohort("SC", "FC")


def test_one_worker_serves_both_spaces_with_the_numbers_of_two_workers() -> None:
    spaces: list[SearchSpace] = [load_space("fusion-points", epochs=1, batch_size=8), narrow()]
    worker = EvaluationWorker(spaces[0], COHORT, device="cpu")
    worker.serve(spaces[1], COHORT)
    for space in spaces:
        studies = [optuna.create_study(sampler=SFSASampler(space)) for _ in range(2)]
        studies[0].optimize(worker, n_trials=2)
        studies[1].optimize(EvaluationWorker(space, COHORT, device="cpu"), n_trials=2)
        one, other = ([trial.value for trial in study.trials] for study in studies)
        assert one == other and len(one) == 2
        assert worker.evaluate(space.baseline).value == one[0]
