"""Lists the benchmarks: each is a module that is run by itself and writes its record."""

import pkgutil
from importlib import import_module

import benchmarks

for module in pkgutil.iter_modules(benchmarks.__path__):
    if not module.name.startswith("_"):
        summary = (import_module(f"benchmarks.{module.name}").__doc__ or "").strip().splitlines()[0]
        print(f"python -m benchmarks.{module.name:20} {summary}")
