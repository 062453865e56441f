# make run and make test are all that a newcomer needs; `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: help setup run test lint types check unit e2e simulate fuzz browser lock clean

PYTHON ?= python3
PORT ?= 8000
# The tests of what a session must survive; the others are about this page's own views.
SESSION_TESTS := $(addprefix tests/e2e/,engine test_library.py test_story.py test_leaving.py)
SEEDS ?= 200
FIRST ?= 0
KIND ?= any
REQUESTS ?= 10000
BIN := .venv/bin

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

setup: .venv/.ready node_modules/.ready vendor/.ready ## Python environment, npm packages, browser runtime

.venv/.ready: requirements.lock
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

node_modules/.ready: package.json package-lock.json .npmrc
	npm ci --silent
	touch $@

vendor/.ready: tools/build_vendor.py tools/browser-wheels.lock server/weakness.py .venv/.ready node_modules/.ready
	$(BIN)/python tools/build_vendor.py
	touch $@

run: setup ## Serve the page and the API in demo mode on PORT (8000)
	$(BIN)/python -m server serve --demo --port $(PORT)

test: setup lint types check ## Everything: set-up, browser, lint, types, tests

browser: .venv/.ready ## Find or install a browser for the end-to-end tests
	$(BIN)/python tools/ensure_browser.py

lint: .venv/.ready ## Style and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready ## Strict types
	$(BIN)/mypy

check: unit e2e ## Every test; those in a browser run apart, for they bring their own event loop

unit: .venv/.ready ## The tests that need no browser
	$(BIN)/pytest --ignore=tests/e2e

simulate: .venv/.ready ## Run SEEDS simulated worlds of a KIND, from seed FIRST
	PYTHONPATH=app $(BIN)/python -W error -m tests.simulation --seeds $(SEEDS) --first $(FIRST) --kind $(KIND)

fuzz: .venv/.ready ## Send REQUESTS bad and mixed requests to a server; none may end in a 5xx
	$(BIN)/python -W error -m tests.server.fuzz --requests $(REQUESTS)

e2e: setup browser ## The tests in real browsers: all in Chromium, the session's also in Firefox
	$(BIN)/pytest tests/e2e
	$(BIN)/pytest $(SESSION_TESTS) --browser firefox

lock: .venv/.ready ## Renew the lock files from pyproject.toml and package.json
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	  --group dev --extra server pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --no-deps --generate-hashes --python-version 3.14 \
	  --group browser --constraint requirements.lock pyproject.toml -o tools/browser-wheels.lock
	npm install --package-lock-only

clean: ## Remove all that was built or installed
	rm -rf .venv node_modules vendor build dist .mypy_cache .ruff_cache .pytest_cache
