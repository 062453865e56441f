# make run and make test are all that a newcomer needs; `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: help setup run site wheel release-check example docs test lint types check unit e2e chromium firefox simulate fuzz browser lock clean bench

PYTHON ?= python3
PORT ?= 8000
CHROMIUM_TESTS ?= tests/e2e
# All of tests/e2e can run in Firefox, but twice the whole would take too long: so what a session
# must survive, how the page starts, and what everybody must be able to use.
FIREFOX_TESTS ?= $(addprefix tests/e2e/,engine test_library.py test_story.py test_leaving.py \
  test_start.py test_access.py test_workers.py)
SEEDS ?= 200
FIRST ?= 0
KIND ?= any
NAME ?= ten_lines
REQUESTS ?= 10000
WORKERS ?= 2
BIN := .venv/bin
PYTEST := $(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: .venv/.ready node_modules/.ready vendor/.ready ## Python environment, npm packages, browser runtime

.venv/.ready: requirements.lock
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

node_modules/.ready: package.json package-lock.json .npmrc
	npm ci --silent
	touch $@

vendor/.ready: tools/build_vendor.py tools/make_snapshot.mjs tools/browser-wheels.lock .venv/.ready node_modules/.ready
	$(BIN)/python tools/build_vendor.py
	touch $@

run: setup ## Serve the page and the API in demo mode on PORT (8000)
	$(BIN)/python -m server serve --demo --port $(PORT)

site: vendor/.ready ## Build dist/, the page for any static host and an API elsewhere: API=https://…
	PYTHONPATH=app $(BIN)/python tools/build_site.py --api='$(API)'

wheel: .venv/.ready ## Build build/wheels/: the library alone, and the server alone
	$(BIN)/python tools/build_wheels.py build/wheels

release-check: .venv/.ready build/release-env/.ready ## Build build/dist/, what is published, and check all of it
	$(BIN)/python tools/check_distributions.py build/dist build/release-env

build/release-env/.ready: tools/release.lock
	$(PYTHON) -m venv --clear build/release-env
	build/release-env/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

example: vendor/.ready ## Serve a page of examples/ beside the API in demo mode: NAME=ten_lines
	$(BIN)/python tools/build_example.py $(NAME) build/example
	$(BIN)/python -m server serve --demo --port $(PORT) --page-dir build/example

docs: .venv/.ready ## Build build/docs/, the documentation; a warning is an error
	$(BIN)/sphinx-build -aE -W -n --keep-going -q docs build/docs

test: setup lint types check ## Everything: set-up, browser, lint, types, tests

browser: .venv/.ready ## Find or install a browser for the end-to-end tests
	$(BIN)/python tools/ensure_browser.py

lint: .venv/.ready ## Style and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready ## Strict types
	$(BIN)/mypy

check: unit e2e ## Every test; those in a browser run apart, for they bring their own event loop

unit: .venv/.ready ## The tests that need no browser, WORKERS files at once
	$(PYTEST) --ignore=tests/e2e

simulate: .venv/.ready ## Run SEEDS simulated worlds of a KIND, from seed FIRST
	PYTHONPATH=app $(BIN)/python -W error -m tests.simulation --seeds $(SEEDS) --first $(FIRST) --kind $(KIND)

fuzz: .venv/.ready ## Send REQUESTS bad and mixed requests to a server; none may end in a 5xx
	$(BIN)/python -W error -m tests.server.fuzz --requests $(REQUESTS)

e2e: setup browser ## The tests in real browsers: all in Chromium, FIREFOX_TESTS in Firefox
	$(MAKE) --keep-going chromium firefox

chromium: setup browser ## CHROMIUM_TESTS (all of those in a browser)
	$(PYTEST) $(CHROMIUM_TESTS)

firefox: setup browser ## FIREFOX_TESTS, where there is a Firefox
	$(PYTEST) $(FIREFOX_TESTS) --browser firefox

BENCH ?= loading requests verifying refreshing logins growth
BENCH_OPTIONS ?=

bench: $(addprefix bench-,$(BENCH)) ## Compare with others and with ourselves (long): benchmarks/README.md

bench-%: .venv/.ready benchmarks/.venv/.ready benchmarks/node_modules/.ready
	$(BIN)/python -m benchmarks $* $(BENCH_OPTIONS)

bench-loading bench-requests: setup browser benchmarks/.venv/.ready benchmarks/browser/node_modules/.ready
	PYTHONPATH=app:tools $(BIN)/python -m benchmarks.browser $(@:bench-%=%) $(BENCH_OPTIONS)

benchmarks/.venv/.ready: benchmarks/requirements.lock
	$(PYTHON) -m venv --clear benchmarks/.venv
	benchmarks/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

benchmarks/node_modules/.ready: benchmarks/package.json benchmarks/package-lock.json
	npm ci --silent --prefix benchmarks
	touch $@

benchmarks/browser/node_modules/.ready: benchmarks/browser/package.json benchmarks/browser/package-lock.json
	npm ci --silent --prefix benchmarks/browser
	touch $@

# The server requires the library, which is in the tree and so not in the locks.
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-strip-extras
FROM_TREE := --find-links build/wheels --no-emit-find-links --no-emit-package unexpired

lock: wheel ## Renew the lock files from pyproject.toml and package.json
	$(COMPILE) --universal --python-version 3.11 $(FROM_TREE) --group dev --extra desktop \
	  pyproject.toml server/pyproject.toml -o requirements.lock
	$(COMPILE) --universal --python-version 3.11 $(FROM_TREE) --group release --all-extras \
	  --constraint requirements.lock pyproject.toml server/pyproject.toml -o tools/release.lock
	$(COMPILE) --no-deps --python-version 3.14 --group browser --constraint requirements.lock \
	  pyproject.toml -o tools/browser-wheels.lock
	npm install --package-lock-only

clean: ## Remove all that was built or installed
	rm -rf .venv node_modules vendor build dist benchmarks/.venv benchmarks/node_modules \
	  benchmarks/browser/node_modules .mypy_cache .ruff_cache .pytest_cache
