"""SFSA around an objective of one's own, with a plain mapping of choices."""

import optuna

from nas_fusion import SFSASampler, parent_of

points = {f"layer{i}": ["none", "mmtm"] for i in (1, 2, 3, 4)}
gain = {"layer1": 0.01, "layer2": 0.10, "layer3": 0.20, "layer4": 0.05}


def objective(trial: optuna.Trial) -> float:
    """Return a validation loss; a real one would train, starting from the weights of `parent_of(trial)`."""
    active = [point for point, choices in points.items() if trial.suggest_categorical(point, choices) != "none"]
    parent = parent_of(trial)
    print(f"trial {trial.number}: {active} grown from {parent and [p for p in parent if parent[p] != 'none']}")
    return 0.7 - max((gain[point] for point in active), default=0.0) + 0.01 * len(active)


optuna.logging.set_verbosity(optuna.logging.WARNING)
sampler = SFSASampler(points, inherit="parent")
study = optuna.create_study(sampler=sampler)
study.optimize(objective)
print("selected:", sampler.best(study), "after", len(study.trials), "trials")
