# make setup | check | test | demo | bench | docs. Everything happens in .venv; nothing needs root.
PYTHON ?= python3.11
BIN := .venv/bin
SHOP ?= demo-shop
OUT ?= out
SERVE ?= 1
export HF_HUB_OFFLINE ?= 1

.PHONY: help setup check format test demo bench docs clean

help:  ## List the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/installed  ## Make .venv and install the project with its development tools

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv || python3 -m venv .venv
	$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Aisle needs Python 3.11 or newer")'
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

check: setup  ## Format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: setup  ## Put the code into the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: setup  ## Run the tests
	$(BIN)/pytest -n 2

demo: setup  ## Make a simulated shop, train it, measure it, serve its page (SERVE=0: do not serve)
	$(BIN)/aisle demo $(SHOP) --replace $(if $(filter 0,$(SERVE)),--no-serve,--serve)

bench: setup  ## Run the benchmarks that need no real data; results in out/
	mkdir -p $(OUT)
	$(BIN)/python -m benchmarks.simulated | tee $(OUT)/simulated.json
	$(BIN)/python -m benchmarks.ingest | tee $(OUT)/ingest.json

docs: setup  ## Check that documentation and code agree
	$(BIN)/pytest tests/architecture

clean:  ## Remove what the targets above made, the environment included
	rm -rf .venv $(OUT) demo-shop
