SHELL := /bin/bash

# Nothing that runs here reports on its users.
export VLLM_NO_USAGE_STATS := 1
export RAY_USAGE_STATS_ENABLED := 0
# Ray starts its workers at nice 15, where decoders starve beside ordinary processes: 26-33 s instead of 7-13 s.
export RAY_worker_niceness := 0

BIN := .venv/bin
COMPILE := .uv/bin/uv pip compile -q --python-version 3.11 --override requirements/overrides.txt \
	--no-annotate --custom-compile-command "make requirements"

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-slow check format requirements clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## install everything into this folder (ACCELERATOR=cpu or cuda overrides the choice)
	@tools/setup.sh

demo: setup  ## start the server on a small model and ask it about a video
	@$(BIN)/python -m tools.demo

serve: setup  ## start the server of serve_config.yaml
	$(BIN)/serve run serve_config.yaml

test: setup  ## run the tests
	$(BIN)/python -m pytest -m "not slow and not gpu"

test-slow: setup  ## run the tests that take minutes
	$(BIN)/python -m pytest -m "slow and not gpu"

check: setup  ## lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup  ## format the code and fix what lint can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

requirements: setup  ## resolve requirements/*.in to exact versions again
	$(COMPILE) requirements/cpu.in -o requirements/cpu.txt
	$(COMPILE) requirements/cuda.in -o requirements/cuda.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.txt
	@! grep -n '://' requirements/*.txt  # a pin with a URL holds on one machine only

clean:  ## remove caches and logs; .venv, .uv and models stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info .setup.log
	find . \( -name .venv -o -name .uv -o -name .git \) -prune -o -name __pycache__ -type d -exec rm -rf {} +
