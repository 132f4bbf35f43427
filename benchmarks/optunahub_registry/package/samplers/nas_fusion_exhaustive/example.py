from pathlib import Path

import optuna
import optunahub

REGISTRY = str(Path(__file__).parents[2])

problem = optunahub.load_local_module("benchmarks/nas_fusion_landscapes", registry_root=REGISTRY).Problem("synergy", m=6)
module = optunahub.load_local_module("samplers/nas_fusion_exhaustive", registry_root=REGISTRY)
sampler = module.ExhaustiveSampler(problem.parameters)
study = optuna.create_study(sampler=sampler, directions=problem.directions)
study.optimize(problem)  # ends by itself
print(f"{len(study.trials)} of 64 configurations, best {study.best_value:.3f}, optimum {problem.minimum:.3f}")
