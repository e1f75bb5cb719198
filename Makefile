# Everything a developer or a pipeline calls. The environment lies in .venv, made from the hashed lock files.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
LOCKED := install --require-hashes -r

.DEFAULT_GOAL := help
.PHONY: help setup run check format texts test test-long test-real conformance bench dist clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.dev ## Set up .venv with all that the checks and tests need

run: $(VENV)/.run ## Show the main job on real logs, then serve; LOGS=dir takes your own, ONCE=1 ends after showing
	@$(BIN)/logkeep demo $(if $(LOGS),--logs "$(LOGS)") $(if $(filter-out 0,$(ONCE)),--once)

check: $(VENV)/.dev ## Check format, lint, types and the directions of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

texts: $(VENV)/.dev ## Find the texts of the console, and put them into its translation, console.po and console.mo
	$(BIN)/python -m tests.support.console_texts

test: $(VENV)/.dev ## Run the suite that needs no servers; ARGS=… for pytest
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not real and not long" $(ARGS)

test-long: $(VENV)/.dev ## Run what takes long, by name
	$(BIN)/python -m pytest -q -m "long and not real" $(ARGS)

test-real: $(VENV)/.dev ## Run the tests on real servers, which are installed where they are missing
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m real tests/real $(ARGS)

conformance: $(VENV)/.dev ## Run the official SDKs for Python, Java and Go against a fresh service; WRITE=1 puts the table into docs/
	$(BIN)/python conformance/run.py $(if $(filter-out 0,$(WRITE)),--write)

bench: $(VENV)/.dev ## Measure, as ratios in one run; writes build/bench.json
	$(BIN)/python -m benchmarks.run

# The SBOM tells of an environment that holds what the lock file names, and nothing else.
dist: $(VENV)/.dev ## Build wheel, sdist and their SBOM into dist/; a commit gives the same bytes each time
	@rm -rf dist build/installed
	$(BIN)/python -m hatchling build -d dist
	@$(BIN)/python -m venv --without-pip build/installed
	@$(PIP) --python build/installed $(LOCKED) requirements.lock --no-compile
	$(BIN)/python -m tests.support.sbom build/installed dist/sbom.cdx.json

clean: ## Remove what was built, and the environment
	rm -rf build dist $(VENV) .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed; name one with make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "the venv module is needed; on Debian: apt-get install python3-venv" >&2; exit 1; }

# The package is not built: a path file shows Python where it is, and a launcher calls it.
$(BIN)/logkeep: Makefile | $(BIN)/python
	@pwd > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/logkeep.pth"
	@printf '#!/bin/sh\nexec "$$(dirname "$$(readlink -f "$$0")")/python" -P -m logkeep "$$@"\n' > $@
	@chmod +x $@

$(VENV)/.run: requirements.lock $(BIN)/logkeep | $(BIN)/python
	@echo "Setting up $(VENV); this is done once."
	@$(PIP) $(LOCKED) requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(BIN)/logkeep | $(BIN)/python
	@echo "Setting up $(VENV) for development; this is done once."
	@$(PIP) $(LOCKED) requirements-dev.lock
	@touch $@ $(VENV)/.run
