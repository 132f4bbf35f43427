"""The evaluation worker: trains every candidate of every search space."""
