# Everything sets itself up: a virtual environment in .venv, system packages through apt when run as root.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
BENCHES = $(filter-out __init__ generate clusters campaign,$(basename $(notdir $(wildcard bench/*.py))))

.PHONY: setup demo test check kernel coverage bench campaign clean system

setup: system $(STAMP)

system:
	@bash tools/system-packages.sh

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

demo: $(STAMP)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/demo.sh

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal -rs

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -m "not kernel and not uml and not browser and not slow"

kernel: setup
	$(BIN)/python -m pytest -m "kernel or uml" -rs

coverage: setup
	$(BIN)/python -m pytest -n 2 --cov=netsim --cov=iptables_gen --cov-report=term:skip-covered

bench: $(STAMP)
	@for part in $(BENCHES); do echo "== $$part"; $(BIN)/python -m bench.$$part || exit 1; done

campaign: setup
	$(BIN)/python -m bench.campaign

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
