SHELL := /bin/bash

# Nothing that runs here reports on its users.
export VLLM_NO_USAGE_STATS := 1
export RAY_USAGE_STATS_ENABLED := 0
# Serve's proxy reads a request's body no faster than it is taken from there.
export RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH := deployments.serving.body_flow:pace_proxy
# Kill a replica that fails its health checks. By default Serve waits for its requests, and a hung one never ends them.
export RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS := 1
# Ray starts its workers at nice 15, where decoders starve beside ordinary processes: 26-33 s instead of 7-13 s.
export RAY_worker_niceness := 0
# SVT-AV1, in which some films are written, prints its settings on every start; errors alone will do.
export SVT_LOG := 1

# Every test run starts dozens of Python processes. Compiling torch and vLLM anew takes each of them seconds:
# 18 s of CPU instead of 9 s for an engine.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Two workers: with a core each, the running graph and the other tests proceed side by side (tests/conftest.py).
WORKERS := -n 2 --dist loadscope --no-loadscope-reorder
PAGE_TOOLS := web/node_modules/.package-lock.json
PAGE_ENV := PATH="$(CURDIR)/$(BIN):$$PATH"
COMPILE := .uv/bin/uv pip compile -q --python-version 3.11 --override requirements/overrides.txt \
	--no-annotate --custom-compile-command "make requirements"

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-fast test-slow test-services truth truth-mutations bench-decode bench-engine bench-graph bench-gpu train-demo-model check check-page format requirements clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## install everything into this folder (ACCELERATOR=cpu or cuda overrides the choice)
	@tools/setup.sh

demo: setup  ## start the server on the embedded model and ask it about a film
	@$(BIN)/python -m tools.demo

serve: setup  ## start the server of serve_config.yaml
	$(BIN)/serve run serve_config.yaml

test: setup  ## run the tests
	$(PYTEST) $(WORKERS) --durations=15 -m "not slow and not gpu and not services"

test-fast: setup  ## run the tests that need no other process: no Ray, no vLLM, no browser, no decoder (two minutes)
	$(PYTEST) $(WORKERS) -m "not graph and not own_servers and not processes and not slow and not gpu and not services"

test-slow: setup  ## run the tests that take minutes
	$(PYTEST) -m "slow and not gpu and not services"

test-services: setup  ## run the tests that need Chromium, PostgreSQL or another service of the machine
	@command -v chromium >/dev/null || { apt-get update && apt-get install -y --no-install-recommends chromium; }
	$(PYTEST) -m services

truth: setup  ## measure how true the embedded model's answers are, on films it never saw
	@$(BIN)/python -m tools.truth

truth-mutations: setup  ## break the system on purpose and see that the truth tests notice
	@$(BIN)/python -m tools.truth.mutations

bench-decode: setup  ## measure what decoding costs, beside the ways that others have (half an hour)
	@$(BIN)/python -m benchmarks.decode

bench-engine: setup  ## measure what feeding the engine and asking again cost (ten minutes)
	@$(BIN)/python -m benchmarks.engine

bench-graph: setup  ## measure the graph beside vLLM's own server (fifteen minutes)
	@$(BIN)/python -m benchmarks.graph

bench-gpu: setup  ## measure the graph on a GPU, with Qwen3-VL-8B's shapes
	@$(BIN)/python -m benchmarks.gpu

train-demo-model: setup  ## train the embedded model; goes on where it was stopped (hours on a CPU, minutes on a GPU)
	@OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m tools.demo_model.training

check: setup  ## lint, formatting, types, the rules of import, and that names, tests and texts are in order; the page's too
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tools.checks
	$(MAKE) --no-print-directory check-page

check-page: $(PAGE_TOOLS)  ## types and lint of the page's code
	cd web && $(PAGE_ENV) node_modules/.bin/tsc
	cd web && $(PAGE_ENV) node_modules/.bin/biome lint --error-on-warnings

# npm writes this file last. Node takes the machine's certificates, as pip and uv do.
$(PAGE_TOOLS): web/package-lock.json web/.npmrc | setup
	@cd web && $(PAGE_ENV) NODE_USE_SYSTEM_CA=1 npm ci --loglevel=error || \
	  { echo 'check-page: npm could not install web/package-lock.json; npm_config_registry names another registry' >&2; exit 1; }
	@touch $@

format: setup  ## format the code and fix what lint can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

requirements: setup  ## resolve requirements/*.in to exact versions again
	$(COMPILE) requirements/cpu.in -o requirements/cpu.txt
	$(COMPILE) requirements/cuda.in -o requirements/cuda.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.txt
	@! grep -n '://' requirements/*.txt  # a pin with a URL holds on one machine only

clean:  ## remove caches, logs and generated films; .venv, .uv and a training under way stay
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build/bdist.* build/clips build/lib build/truth build/page build/screenshots build/*.mp4 dist *.egg-info .setup.log
	find . \( -name .venv -o -name .uv -o -name .git \) -prune -o -name __pycache__ -type d -exec rm -rf {} +
