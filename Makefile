# `make run` and `make test` need Python 3.11 or newer and nothing else: they set up .venv themselves, once, and again
# whenever pyproject.toml has changed.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test lint types bench bench-gate clean

help:
	@echo "make run         set up what is missing, start the gateway and show a request in every wire format"
	@echo "make test        set up what is missing and run the tests"
	@echo "make lint types  ruff and mypy"
	@echo "make bench       measure everything against the bare relay (about 15 minutes, Linux)"
	@echo "make bench-gate  the same, shorter, and fail where a limit is broken"
	@echo "make clean       remove what was built, .venv included"

run: $(VENV)/.run
	@$(BIN)/omniroute demo

# Many tests start a process, which would compile the package anew where the environment wants no compiled files.
test: $(VENV)/.test
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.lint
	@$(BIN)/mypy

bench: $(VENV)/.test
	@$(BIN)/python -m pytest bench/micro --benchmark-columns=min,median,ops --benchmark-sort=name
	@$(BIN)/python -m bench.run

bench-gate: $(VENV)/.test
	@$(BIN)/python -m bench.gate

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find omniroute tests bench -name __pycache__ -prune -exec rm -rf {} +

# One stamp for each set of packages.  A stamp is written last, so a set-up that was interrupted starts over.
$(VENV)/.venv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found (set PYTHON=/path/to/python)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is older (set PYTHON=/path/to/python)" >&2; exit 1; }
	@echo "Setting up $(VENV) (once, about a minute) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.run: pyproject.toml | $(VENV)/.venv
	@$(PIP) install -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.venv
	@$(PIP) install -e '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.lint: pyproject.toml | $(VENV)/.venv
	@$(PIP) install -e '.[test,lint]'
	@touch $@ $(VENV)/.test $(VENV)/.run
