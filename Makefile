# `make demo` and `make test` do all the set-up themselves and are quick when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-all check clean

demo: $(VENV)/vlmake.installed ## Evaluate the built-in model on a built-in benchmark
	$(BIN)/vlmake run --model TinyVLM --data ShapesMME

test: check ## Everything that must hold
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

test-all: check ## The same with the slowest tests
	$(BIN)/pytest -n 2 --dist loadfile

check: $(VENV)/development.installed ## Format, lint, types, spelling
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pre-commit run --all-files --show-diff-on-failure

clean: ## Remove the environment; results stay
	rm -rf $(VENV)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("vlmake needs Python 3.11 or newer: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); apt-get install --yes python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/vlmake.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/development.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev,slurm]'
	touch $@ $(VENV)/vlmake.installed
