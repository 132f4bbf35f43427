from pathlib import Path

import optuna
import optunahub

REGISTRY = Path(__file__).parents[2]

problem = optunahub.load_local_module("benchmarks/nas_fusion_landscapes", registry_root=str(REGISTRY)).Problem("trap", m=6)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), directions=problem.directions)
study.optimize(problem, n_trials=25)
regret = problem.regret(study.best_params)
print(f"best of 25 trials: {study.best_value:.3f}, optimum: {problem.minimum:.3f}, regret: {regret:.3f}")
