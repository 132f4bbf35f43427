"""Neural architecture search over multimodal fusion, as an Optuna plug-in."""
