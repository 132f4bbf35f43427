"""Runnable comparisons whose records are committed: `python -m benchmarks` lists them."""
