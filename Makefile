# The commands of the house. `make` alone lists them.

# The system's own Python where it can: distributions compile theirs by profile, with which the broker takes a tenth
# less CPU than with what pyenv builds unless asked to (docs/performance.md).
SYSTEM := /usr/bin/python3
PYTHON ?= $(shell $(SYSTEM) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(SYSTEM) || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
JOBS ?= 2
APT := run, as root or with sudo: apt-get install

.DEFAULT_GOAL := help
.PHONY: help install up demo-check test drills bench lint format clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv and install everything, pinned; quick when nothing changed

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found; $(APT) python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$$($(PYTHON) --version) is too old, Tsunagu needs 3.11: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@if [ -e $(VENV) ] && ! $(BIN)/python -c '' 2>/dev/null; then \
	  echo "$(VENV) is broken (a moved folder?): remove it, then make again"; exit 1; fi
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	  [ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -m pip --python "$$(command -v $(PYTHON))" --version >/dev/null 2>&1; then \
	  [ -x $(BIN)/python ] || $(PYTHON) -m venv --without-pip $(VENV); \
	else \
	  echo "$(PYTHON) can make no virtual environment; $(APT) python3-venv; then make again"; exit 1; \
	fi
	@echo "Installing into $(VENV) (about 400 MB, once) …"
	@if [ -x $(BIN)/pip ]; then pip=$(BIN)/pip; else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
	  PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt \
	  $$pip install --quiet -c constraints.txt -e '.[embedded,redis,dev]'
	@touch $@

up: $(STAMP) ## the demo city: two brokers, devices, a river that rises (ARGS="--port 2026 --data DIR")
	@$(BIN)/tsunagu up --demo $(ARGS)

demo-check: $(STAMP) ## start a demo city of its own and check it from outside, over MQTT and HTTP
	@$(BIN)/pytest tests/drills/test_demo_city.py -v $(ARGS)

test: $(STAMP) ## the whole suite, against real servers
	@$(BIN)/pytest -n $(JOBS) --dist loadfile $(ARGS)

drills: $(STAMP) ## the long form of the drills, with their figures: kills real processes again and again
	@TSUNAGU_DRILLS=long $(BIN)/pytest -m drill -s $(ARGS)

bench: $(STAMP) ## the whole broker under load, beside the ceilings of the machine (needs wrk); the store alone; a lone PATCH
	@$(BIN)/python -m tests.bench.store --rounds 3
	@$(BIN)/python -m tests.bench.latency
	@$(BIN)/python -m tests.bench.run $(ARGS)

lint: $(STAMP) ## ruff, mypy strict, the layers of the architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## put the code into the house's form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove .venv and the tools' caches; data in .tsunagu stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
