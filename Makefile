# Needs git, make and Python >= 3.11 with pip and venv. Every target sets up what it needs and can be run again.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

# compiled at once: a flow starts a process, which would take seconds more where Python may not write its bytecode
INSTALL := $(BIN)/uv pip install --require-hashes --compile-bytecode

# Prefect and MLflow stay on this machine (see prefect.toml too), and what a demo or a test leaves behind stays in this folder
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_HOME := $(CURDIR)/.prefect

.PHONY: help env env-dev demo up down test test-all coverage mutants mutation calibration settings docs benchmark check lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

env: $(BIN)/.env ## the environment that Dethrone runs in
env-dev: $(BIN)/.env-dev ## the same with what tests and checks need

$(BIN)/uv: requirements-uv.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

# what the registered models import and Dethrone does not, in versions that leave the locked ones alone
OWN := $(wildcard requirements-models.txt)
INSTALL_OWN := $(if $(OWN),$(BIN)/uv pip install --compile-bytecode --constraints requirements.lock -r $(OWN),@:)

$(BIN)/.env: $(BIN)/uv requirements.lock $(OWN)
	$(INSTALL) -r requirements.lock
	$(INSTALL_OWN)
	@touch $@

$(BIN)/.env-dev: $(BIN)/uv requirements-dev.lock $(OWN)
	$(INSTALL) -r requirements-dev.lock
	$(INSTALL_OWN)
	@touch $@ $(BIN)/.env

demo: env ## play a season of 2013 New York flights (again: goes on where it stands)
	$(BIN)/python -m demo
	$(BIN)/python -m demo.season flights

up: env ## start Prefect, MLflow and a worker on this machine and deploy prefect.yaml (again: starts what is down)
	$(BIN)/python -m deployments.up

down: env ## stop what make up has started; what it keeps in .dethrone stays
	$(BIN)/python -m deployments.down

test: env-dev ## run the tests but for the slow ones, which repeat at length what others show once
	$(BIN)/python -m pytest -m "not slow"

test-all: env-dev ## run every test
	$(BIN)/python -m pytest

coverage: env-dev ## branch coverage of analysis/, 100 % or it fails
	$(BIN)/python -m pytest tests/analysis --cov=analysis --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100

mutants: env-dev ## take out each rule of an honest verdict and see the tests fail
	$(BIN)/python tests/mutate_rules.py

mutation: env-dev ## change each operator, constant and result of analysis/ and see its tests fail (hours)
	$(BIN)/python tests/mutate_analysis.py

calibration: env-dev ## measure the error rate of every shipped rule, into docs/calibration (20 minutes)
	$(BIN)/python -m calibration

settings: env ## write page and schema of the settings
	$(BIN)/python -m docs.settings

docs: env ## write page and schema of the settings, copy the demo's season and one of its reports into README and docs/
	$(BIN)/python -m docs.refresh

benchmark: env-dev ## measure what everything costs, beside bare equivalents, into benchmarks/RESULTS.md (an hour; python -m benchmarks NAME for one)
	$(BIN)/python -m benchmarks

check: env-dev ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: $(BIN)/uv ## resolve the dependencies anew into the lock files
	echo "uv==0.13.9" | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header -o requirements-uv.lock -
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra demo -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra demo --extra tables --extra dask --extra ray --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## remove what demo, tests and tools left behind, and the environment
	rm -rf .demo .prefect .venv .coverage .pytest_cache .hypothesis .ruff_cache .mypy_cache .import_linter_cache
