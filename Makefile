# GNU make 3.81 or newer. `make help` lists what there is.
PY := .venv/bin/python
SAY ?= Tell me what time it is.
export SAY WAV OUT

UV_VERSION := 0.13.9
# Two at a time: most of what a test does is wait for speech. The tests of a file stay together,
# since they share a running system.
PYTEST := $(PY) -m pytest -n 2 --dist loadfile
EXTRAS := --extra local --extra dev --extra turn-detector --extra deepgram --extra cartesia

.DEFAULT_GOAL := help
.PHONY: help setup web types up call test quick check bench screenshots format schema lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## .venv with the pinned dependencies
	@sh scripts/setup.sh

web: setup ## the web page, into web/dist
	@$(PY) -m assistant.local_stack.web_build

types: setup ## web/src/generated/api.d.ts, the API's types, from the service's own description
	@$(PY) scripts/api_types.py

up: setup web ## everything on this machine; Ctrl-C stops it
	@$(PY) -m assistant up

call: setup ## speak to it: SAY="..." or WAV=file.wav, and OUT=reply.wav keeps the answer
	@$(PY) -m assistant call $(if $(WAV),--wav "$$WAV",--say "$$SAY") $(if $(OUT),--out "$$OUT")

test: setup web ## every test
	@$(PY) -m assistant.local_stack.web_build --run test
	@$(PYTEST) $(ARGS)

quick: setup ## the tests that start no servers
	@$(PYTEST) -m "not slow" $(ARGS)

check: setup ## format, lint, types, import arrows, the pages' types and the API's, the lock file
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -q tests/unit/test_import_arrows.py
	$(PY) scripts/api_types.py --check
	$(PY) -m assistant.local_stack.web_build --run check
	$(PY) scripts/check_lock.py

bench: setup web ## the product beside its peers: every row of docs/benchmarks.md
	@$(PY) -m bench $(ARGS)

bench-%: setup web ## a row of it (bench-1b), its page anew (bench-page), a quick look (bench-smoke)
	@$(PY) -m bench $* $(ARGS)

screenshots: setup web ## each state of both pages, light and dark, phone and desktop; ARGS="talk ended"
	@$(PY) -m tests.screenshots $(ARGS)

format: setup ## rewrite the Python files in the project's format
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

schema: setup ## agents.schema.json from the models of agents.yaml
	@$(PY) -m assistant schema > agents.schema.json.new
	@mv agents.schema.json.new agents.schema.json

lock: ## requirements.lock from pyproject.toml; ARGS=--upgrade for newer versions
	@test -x $(PY) || python3 -m venv .venv
	$(PY) -m pip install --quiet uv==$(UV_VERSION)
	$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate $(EXTRAS) $(ARGS) \
	    --output-file requirements.lock pyproject.toml

clean: ## everything that was made here; the cached livekit-server stays
	rm -rf .venv .state web/node_modules web/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -type d -name __pycache__ -prune -exec rm -rf {} +
