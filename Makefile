# `make` lists the targets. The environment lies in .venv; PYTHON names the interpreter that it is made from.
# A folder name with spaces works: all paths here are relative.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSUMERS := .venv-consumers
ARGS ?=
SOURCES := flowreel benchmarks tests/fault/harness

PIP := $(BIN)/python -m pip
INSTALL := $(PIP) install --constraint constraints.txt
COMPILE = @echo "Compiling for this machine: most of a minute"; $(BIN)/python -m flowreel.pipeline.generator.compile_kernels

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test consumers lint format bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.dev  ## install Flowreel with all that developing it needs into .venv

demo: $(VENV)/.runtime  ## render, publish and report a small dataset on this machine
	$(BIN)/flowreel demo $(ARGS)

# A process that crashes ends the run, as a failure: started again, pytest-xdist waits for it for ever near the end.
test: $(VENV)/.dev  ## run the tests; ARGS="-m slow -n 0" runs the long ones, one by one, ARGS="-k name" some
	$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0 $(ARGS)

consumers: $(CONSUMERS)/.tools  ## read a dataset with pandas, DuckDB, Spark, ... and run docs/consume.md
	$(CONSUMERS)/bin/python -m pytest tests/consumers $(ARGS)

lint: $(VENV)/.dev  ## check style, formatting and types
	@bad=0; for check in "ruff check ." "ruff format --check ." "mypy $(SOURCES)"; do \
	  echo "== $$check"; $(BIN)/$$check || bad=1; done; exit $$bad

format: $(VENV)/.dev  ## put imports and layout in order
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## run the benchmarks in short; ARGS="--ngf 128 --rounds 5" goes to the generator's
	$(BIN)/python -m benchmarks.driver_memory
	$(BIN)/python -m benchmarks.scale --clips 100000 --refresh 10000 --shards 1000
	$(BIN)/python -m benchmarks.cost_of_measures --size 256x128 --frames 4
	$(BIN)/python -m benchmarks.generator --ngf 32 --batches 1 4 --frames 4 $(ARGS)

clean:  ## remove caches, build leftovers and the demo's output; .venv stays
	rm -rf .mypy_cache .pytest_cache .ruff_cache build dist flowreel.egg-info flowreel-demo
	find . -name "$(VENV)*" -prune -o -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Made once; pip comes last, so a half-made environment is made again.
$(BIN)/pip:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  found=$$("$(PYTHON)" --version 2>&1) || found="not there or broken"; \
	  echo "Flowreel needs Python 3.11 or newer; $(PYTHON) is: $$found" >&2; \
	  echo "Name another one, such as: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { \
	  echo "Could not make $(VENV). On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing Flowreel into $(VENV): some minutes the first time, most of it PyTorch and Ray"
	$(INSTALL) --editable .
	$(COMPILE)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing Flowreel and its tools into $(VENV): some minutes the first time, most of it PyTorch and Ray"
	$(INSTALL) --editable ".[dev,s3]"
	$(COMPILE)
	@touch $(VENV)/.runtime $@

# An environment of its own on top of .venv, which it sees by a .pth file: Flowreel's own does not see these tools.
$(CONSUMERS)/.tools: tests/consumers/requirements.txt $(VENV)/.dev
	@echo "Installing the tools that read datasets into $(CONSUMERS)"
	$(BIN)/python -m venv --clear $(CONSUMERS)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
	  $$($(CONSUMERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/flowreel.pth
	$(CONSUMERS)/bin/python -m pip install --no-deps --requirement tests/consumers/requirements.txt
	@touch $@
