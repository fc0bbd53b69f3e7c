# Everything a newcomer needs, with Python 3.11 and make alone. Each target does its own set-up.
# Override what you like: make serve PORT=9000 DATA=/srv/ledgers, make test TESTS=tests/unit ARGS=-x

PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

DATA ?= ./data
LEDGER ?= studio
ORIGIN ?= localhost/$(LEDGER)
HOST ?= 127.0.0.1
PORT ?= 8080

TESTS ?= tests
COVERAGE ?= --cov --cov-report=term
WORKERS ?= auto
ARGS ?=
PG ?= $(shell pg_config --bindir 2>/dev/null)

SIZE ?= 10000000
PEERS_PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --upgrade --target .bench/python

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup serve test test-postgresql check format bench bench-growth bench-peers kill-test soak docs clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A venv is made once; what goes into it follows pyproject.toml and constraints.txt, by stamp files.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve-ready: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.test-ready: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.serve-ready

setup: $(VENV)/.test-ready ## Make the virtual environment with everything in it

serve: $(VENV)/.serve-ready ## Serve a ledger over HTTP; makes one (and prints its key, once) if there is none
	@status=0; $(BIN)/continuity --data "$(DATA)" --ledger "$(LEDGER)" checkpoint >/dev/null 2>&1 || status=$$?; \
	if [ $$status -eq 10 ]; then \
		$(BIN)/continuity --data "$(DATA)" init "$(LEDGER)" --origin "$(ORIGIN)"; \
	fi
	@exec $(BIN)/continuity --data "$(DATA)" --ledger "$(LEDGER)" serve --host "$(HOST)" --port "$(PORT)"

test: $(VENV)/.test-ready ## Run the tests with coverage, on every core (WORKERS=0: in one process)
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) $(COVERAGE) $(ARGS) $(TESTS)

test-postgresql: $(VENV)/.test-ready ## Run the store's tests on an installed PostgreSQL: PG=/usr/lib/postgresql/15/bin
	$(BIN)/python -m tests.on_postgresql $(PG) $(ARGS)

check: $(VENV)/.test-ready ## Lint, format check, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports

format: $(VENV)/.test-ready ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test-ready ## Measure beside peers, a quarter of an hour; writes docs/benchmarks.* (some: ARGS='append audit')
	$(BIN)/python -m tools.bench $(ARGS)

bench-growth: $(VENV)/.test-ready ## Measure what appends cost as a ledger grows to SIZE entries, an hour
	$(BIN)/python -m tools.bench growth --grow-to $(SIZE) $(ARGS)

bench-peers: $(VENV)/.test-ready ## Fetch the peers that make bench looks for into .bench/: UmaDB, and with npm two more
	@mkdir -p .bench && cp tools/bench/peers/package.json .bench/
	@$(PEERS_PIP) --requirement tools/bench/peers/requirements.txt || echo "UmaDB was not fetched; the report will say so"
	@npm install --prefix .bench --ignore-scripts --no-audit --no-fund || echo "Emmett and message-db were not fetched"

kill-test: $(VENV)/.test-ready ## Kill the writer again and again, and look for anything lost (minutes)
	$(BIN)/python -m pytest -m slow $(ARGS) $(TESTS)

soak: $(VENV)/.test-ready ## Ten minutes of writers, kills and restarts on both stores (SOAK_SECONDS=60 for one)
	$(BIN)/python -m tests.soak

docs: $(VENV)/.serve-ready ## Write the generated reference pages anew
	$(BIN)/python -m tools.docs

clean: ## Remove the virtual environment and what tools left behind; never any data
	rm -rf $(VENV) .bench build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
