"""What the options of the samplers do in studies: forced and grouped points, starts, acceptance, controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import optuna
import pytest

from nas_fusion import history
from nas_fusion.samplers import BackwardSampler, BeamSampler, ExhaustiveSampler, FloatingSampler, SearchSampler, SFSASampler
from nas_fusion.space import SearchSpace
from tests.nas_fusion_tests.samplers_tests.landscapes import (
    PLANTED,
    SAMPLERS,
    choices,
    evaluated,
    floating_backward,
    planted,
    points,
    run,
)
from tests.nas_fusion_tests.samplers_tests.test_lattice import SWITCHES

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE = SearchSpace(choices(4))
LATTICE = [sampler for sampler in SAMPLERS if sampler is not ExhaustiveSampler]
Points = tuple[int, ...]


def path(sampler: SearchSampler, study: optuna.Study) -> list[Points]:
    return [points(c) for c in sampler.path(study)]


def folds(losses: Mapping[Points, tuple[float, ...]], rest: tuple[float, ...]) -> Callable[[optuna.Trial], float]:
    """An objective that writes the losses of folds; for all points that are not named, the rest."""

    def objective(trial: optuna.Trial) -> float:
        found = losses.get(points(SPACE.suggest(trial)), rest)
        history.write_losses(trial, found)
        return sum(found) / len(found)

    return objective


# --- forced and grouped points, starts ---


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_configuration_has_what_is_forced(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4), forced={"layer1": "mmtm", "layer4": "none"})
    study = run(made, planted)
    assert {points(c) for c in evaluated(study, SPACE)} == {(1,), (1, 2), (1, 3), (1, 2, 3)}
    assert path(made, study)[0] == (1,) and path(made, study)[-1] == (1, 3)
    assert made.state(study).complete
    assert len(study.trials) <= made.max_evaluations
    assert history.claim_of(study.trials[0]) == history.Claim(made.moves.start, None, (), 0)


@pytest.mark.parametrize("inherit", ["none", "parent"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_groups_are_switched_together(sampler: Callable[..., SearchSampler], inherit: str) -> None:
    made = sampler(choices(4), groups=[["layer1", "layer3"]], inherit=inherit)
    study = run(made, planted)
    assert all((1 in c) == (3 in c) for c in map(points, evaluated(study, SPACE)))
    # A group is one move: what is a synergy of two points no longer traps a greedy search.
    assert path(made, study)[-1] == (1, 3)
    assert len(study.trials) <= made.max_evaluations <= 8


def test_a_search_that_has_nothing_to_choose() -> None:
    forced = {f"layer{i}": "mmtm" for i in (1, 2, 3, 4)}
    for sampler in SAMPLERS:
        made = sampler(choices(4), forced=forced)
        study = run(made, planted)
        assert path(made, study) == [(1, 2, 3, 4)]
        assert len(study.trials) == made.max_evaluations == 1


@pytest.mark.parametrize("sampler", [SFSASampler, BeamSampler, FloatingSampler])
def test_a_forward_search_starts_elsewhere(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4), start={"layer3": "mmtm"}, inherit="parent")
    study = run(made, planted)
    assert points(study.trials[0].params) == (3,)
    assert path(made, study) == [(3,), (1, 3)]
    # Only steps back look below the start, and find nothing better there.
    assert (() in {points(c) for c in evaluated(study, SPACE)}) == (sampler is FloatingSampler)
    assert [points(c) for c in history.lineage_of(study.trials[1]) or ()] == [(3,)]
    enqueued = optuna.create_study(sampler=made)
    enqueued.enqueue_trial(dict(SPACE.complete({"layer2": "mmtm"})))
    assert [points(c) for c in history.lineage_of(enqueued.ask()) or ()] == [(3,)]


@pytest.mark.parametrize("sampler", [BackwardSampler, floating_backward])
def test_a_backward_search_starts_elsewhere(sampler: Callable[..., SearchSampler]) -> None:
    made = sampler(choices(4), start={"layer1": "mmtm", "layer2": "mmtm", "layer3": "mmtm"})
    study = run(made, planted)
    assert [points(c) for c in evaluated(study, SPACE)][:5] == [(), (1, 2, 3), (2, 3), (1, 3), (1, 2)]
    assert path(made, study) == [(), (1, 2, 3), (1, 3)]


def test_backward_search_keeps_the_modules_of_its_start() -> None:
    space = SearchSpace(choices(2, ("mmtm", "concat_conv")))
    start = {"layer1": "concat_conv", "layer2": "mmtm"}
    for sampler, modules in ((BackwardSampler(space), ("mmtm", "mmtm")), (BackwardSampler(space, start=start), start.values())):
        study = run(sampler, lambda trial: float(len(points(space.suggest(trial)))))
        assert tuple(study.trials[1].params.values()) == tuple(modules)
        assert len(study.trials) == 4


def test_floating_search_exchanges_modules() -> None:
    space = SearchSpace({name: ["none", "x", "y"] for name in "abc"})
    upwards = {"": 0.9, "x..": 0.5, "xx.": 0.45, "xxx": 0.44, ".xx": 0.4, "yxx": 0.1}  # a: x at first, y in the end
    downwards = {"": 0.9, "xxx": 0.5, ".xx": 0.45, "yxx": 0.1}
    forward, backward = FloatingSampler(space), FloatingSampler(space, direction="backward")
    for sampler, losses, number in ((forward, upwards, 14), (backward, downwards, 5)):

        def objective(trial: optuna.Trial, losses: Mapping[str, float] = losses) -> float:
            return losses.get("".join("." if c == "none" else c for c in space.suggest(trial).values()), 0.8)

        study = run(sampler, objective)
        assert sampler.best(study) == {"a": "y", "b": "x", "c": "x"}
        assert study.best_trial.number == number
        assert len(study.trials) <= space.size == sampler.max_evaluations


@pytest.mark.parametrize("inherit", ["none", "parent"])
def test_downward_searches_where_parameters_have_no_effect(inherit: str) -> None:
    for sampler in (BackwardSampler, FloatingSampler, floating_backward):
        made = sampler(SWITCHES, inherit=inherit)
        study = run(made, lambda trial: -float(len(SWITCHES.active(SWITCHES.suggest(trial)))))
        found = evaluated(study, SWITCHES)
        assert len(found) == len(set(found)) <= made.max_evaluations
        assert SWITCHES.active(made.path(study)[-1]) == {"a": "on", "b": "x", "d": "on", "e": "x"}


# --- acceptance ---


@pytest.mark.parametrize("sampler", LATTICE)
def test_one_standard_error_selects_fewer_modules_by_the_same_search(sampler: Callable[..., SearchSampler]) -> None:
    losses = {key: (loss - 0.03, loss + 0.03) for key, loss in PLANTED.items()} | {(1,): (0.28, 0.37)}
    best, one_se = sampler(choices(4)), sampler(choices(4), accept="one_se")
    first, second = run(best, folds(losses, ())), run(one_se, folds(losses, ()))
    assert evaluated(first, SPACE) == evaluated(second, SPACE)
    assert path(best, first)[-1] == (1, 3) if sampler is not SFSASampler else (1,)
    # The mean of (1,) is .325, within the standard error of .03 of the best's .30.
    assert path(one_se, second)[-1] == (1,)
    assert [points(c) for c in one_se.n_best(second, 2)] == [(1, 3), (1, 3, 4)]
    assert one_se.path(second)[0] == SPACE.baseline


@pytest.mark.parametrize("sign", [1, -1])
def test_a_paired_test_accepts_what_is_significant(sign: int) -> None:
    noise = (0.2, -0.1, 0.05, -0.15)

    def shifted(by: float, *wobble: float) -> tuple[float, ...]:
        return tuple(sign * (0.5 + n + by + w) for n, w in zip(noise, wobble or (0, 0.001, -0.001, 0), strict=True))

    losses = {
        (): shifted(0, 0, 0, 0, 0),
        (2,): shifted(-0.05),  # small beside the spread of the folds, but the same in each
        (1,): shifted(-0.06, 0.3, -0.3, 0.2, -0.2),  # better by chance
        (2, 3): shifted(-0.09),
        (1, 2): shifted(-0.2, 0.4, -0.4, 0.1, -0.1),
    }
    direction = "minimize" if sign == 1 else "maximize"
    found = {}
    for accept in ("best", "paired"):
        sampler = SFSASampler(choices(4), accept=accept, patience=2)
        study = run(sampler, folds(losses, shifted(0.1)), direction=direction)
        found[accept] = path(sampler, study)
    assert found["best"] == [(), (1,), (1, 2)]
    assert found["paired"] == [()]
    stricter = BeamSampler(choices(4), accept="paired", width=2, patience=2)
    study = run(stricter, folds({**losses, (1, 2): shifted(0.3)}, shifted(0.1)), direction=direction)
    assert path(stricter, study) == [(), (2,), (2, 3)]


@pytest.mark.parametrize("accept", ["one_se", "paired"])
def test_too_few_losses_are_said_at_the_first_evaluation(accept: str) -> None:
    study = optuna.create_study(sampler=SFSASampler(choices(4), accept=accept))
    with pytest.raises(ValueError, match="at least two folds or training seeds"):
        study.optimize(planted)
    assert len(study.trials) == 1


# --- controls ---


def test_a_move_must_beat_its_parent_trained_on() -> None:
    asked: list[tuple[Points, list[Points]]] = []
    sampler = SFSASampler(choices(3), inherit="parent", control=True)
    space = sampler.space
    study = optuna.create_study(sampler=sampler)

    def each_training_helps(trial: optuna.Trial) -> float:
        """Every further training helps by .1, whatever is trained; {2} helps by more, what is added to it does not."""
        chosen, lineage = points(space.suggest(trial)), history.lineage_of(trial) or ()
        asked.append((chosen, [points(c) for c in lineage]))
        return 0.9 - 0.1 * len(lineage) - (0.2 if 2 in chosen else 0.0)

    study.optimize(each_training_helps)
    assert path(sampler, study) == [(), (2,)]
    assert asked == [
        ((), []),
        ((1,), [()]),
        ((2,), [()]),
        ((3,), [()]),
        ((), [()]),  # the control of the first round
        ((1, 2), [(), (2,)]),
        ((2, 3), [(), (2,)]),
        ((2,), [(), (2,)]),
    ]
    state = sampler.state(study)
    assert state.used == tuple(range(8)) and state.complete
    assert [points(c) for c in sampler.n_best(study, 9)] == [(1, 2), (2, 3), (2,), (1,), (3,), ()]
    assert len(study.trials) <= sampler.max_evaluations == 1 + (3 + 2 + 1) + 3
    plain = SFSASampler(choices(3), inherit="parent")
    study = run(plain, each_training_helps)
    assert path(plain, study)[-1] == (1, 2, 3)  # without controls, training on looks like progress


def test_a_beam_prefers_what_beats_its_control() -> None:
    def objective(trial: optuna.Trial) -> float:
        chosen, lineage = points(SPACE.suggest(trial)), [points(c) for c in history.lineage_of(trial) or ()]
        if chosen == (2,) and lineage[-1:] == [(2,)]:
            return 0.2  # training {2} on is what helps, not what is added to it
        return {(): 0.9, (1,): 0.7, (2,): 0.6, (1, 2): 0.3, (1, 3): 0.5}.get(chosen, 0.8)

    sampler = BeamSampler(choices(4), width=2, inherit="parent", control=True)
    study = run(sampler, objective)
    assert path(sampler, study) == [(), (1,), (1, 3)]


def test_one_standard_error_does_not_select_what_longer_training_explains() -> None:
    def objective(trial: optuna.Trial) -> float:
        chosen, lineage = points(SPACE.suggest(trial)), [points(c) for c in history.lineage_of(trial) or ()]
        table = {(): 0.9, (1,): 0.7, (2,): 0.6, (1, 2): 0.3, (1, 3): 0.5, (1, 3, 4): 0.4}
        # Training {2} on helps more than adding 1 to it: {1, 2} is small and good, but not for what it adds.
        loss = 0.2 if chosen == (2,) and lineage[-1:] == [(2,)] else table.get(chosen, 0.8)
        history.write_losses(trial, [loss - 0.05, loss + 0.05])
        return loss

    sampler = BeamSampler(choices(4), width=2, inherit="parent", control=True, accept="one_se")
    assert path(sampler, run(sampler, objective)) == [(), (1,), (1, 3), (1, 3, 4)]


@pytest.mark.parametrize("sampler", LATTICE)
def test_controls_change_nothing_where_training_on_does_not_help(sampler: Callable[..., SearchSampler]) -> None:
    def objective(trial: optuna.Trial) -> float:
        chosen, lineage = points(SPACE.suggest(trial)), history.lineage_of(trial) or ()
        return PLANTED[chosen] + (0.01 if [points(c) for c in lineage][-1:] == [chosen] else 0.0)

    plain, controlled = sampler(choices(4), inherit="parent"), sampler(choices(4), inherit="parent", control=True)
    first, second = run(plain, planted), run(controlled, objective)
    assert path(plain, first) == path(controlled, second)
    assert len(first.trials) < len(second.trials) <= controlled.max_evaluations
    assert plain.n_best(first, 3) == controlled.n_best(second, 3)


# --- what is refused ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"control": True}, "`control` must go with inherit=\"parent\", but got 'none'"),
        ({"accept": "worst"}, "`accept` must be one of best, one_se, paired, but got 'worst'"),
        ({"level": 0.7}, r"`level` must be in \(0, 0.5\), but got 0.7"),
        ({"start": {"layer1": "x"}}, "`start` must map parameters of the space to their choices, but got 'layer1': 'x'"),
        ({"start": ["layer1"]}, r"`start` must map parameters of the space to their choices, but got \['layer1'\]"),
        ({"start": {"layer1": ["mmtm"]}}, r"`start` must map .*, but got 'layer1': \['mmtm'\]"),
        ({"tolerance": "x"}, "`tolerance` must be a finite number of at least 0, but got 'x'"),
        ({"tolerance": True}, "`tolerance` must be a finite number of at least 0, but got True"),
        ({"level": None}, r"`level` must be in \(0, 0.5\), but got None"),
        ({"control": "x", "inherit": "parent"}, "`control` must be true or false, but got 'x'"),
        ({"speculate": "no"}, "`speculate` must be true or false, but got 'no'"),
        ({"groups": [["layer1"]]}, "`groups` must be lists of at least two different parameters"),
        ({"forced": {"layer1": "x"}}, "`forced` must map parameters of the space to their choices"),
        ({"patience": True}, "`patience` must be a whole number of at least 1, but got True"),
    ],
)
@pytest.mark.parametrize("sampler", LATTICE)
def test_options_that_are_refused(sampler: Callable[..., SearchSampler], options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler(choices(4), **options)


def test_other_options_that_are_refused() -> None:
    with pytest.raises(ValueError, match="`direction` must be one of forward, backward, but got 'up'"):
        FloatingSampler(choices(2), direction="up")
    with pytest.raises(ValueError, match="`strict` must be true or false, but got 'no'"):
        FloatingSampler(choices(2), strict="no")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`width` must be a whole number of at least 1, but got 0"):
        BackwardSampler(choices(2), width=0)
    with pytest.raises(TypeError, match="depth"):
        BackwardSampler(choices(2), depth=1)  # type: ignore[call-arg]
    sampler = SFSASampler(choices(2))
    with pytest.raises(ValueError, match="`n` must be at least 1, but got 0"):
        sampler.n_best(optuna.create_study(), 0)


def test_n_best() -> None:
    sampler = ExhaustiveSampler(choices(4))
    study = run(sampler, planted, n_trials=6)
    assert [points(c) for c in sampler.n_best(study, 3)] == [(1, 3), (2,), (1, 2)]
    study.optimize(planted)
    assert [points(c) for c in sampler.n_best(study, 5)] == [(1, 3), (1, 3, 4), (1, 2, 3), (1, 2, 3, 4), (2,)]
    ties = run(sampler, lambda trial: -float(bool(points(SPACE.suggest(trial)))))
    assert [points(c) for c in sampler.n_best(ties, 6)] == [(1,), (2,), (3,), (4,), (1, 2), (1, 3)]
    assert sampler.n_best(optuna.create_study(), 2) == []
