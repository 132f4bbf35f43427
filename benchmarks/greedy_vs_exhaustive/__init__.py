"""Every sampler on landscapes whose optimum is known: how often it is found, how fast, and at which cost of training.

`landscapes` says what is searched, `searchers` who searches, `run` lets each of them search, `summary` and `claims` make
numbers of it, `show` and `figure` present them. Run it with `python -m benchmarks.greedy_vs_exhaustive`; it writes
`benchmarks/records/greedy_vs_exhaustive.json`, `.md` and `.png`.
"""
