# Everything runs in .venv, installed with the pinned versions of constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: run test coverage lint docs setup
run: setup
	$(BIN)/sfcore app

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0

# Takes twice as long, for every line of Python is counted.
coverage: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: setup
	$(BIN)/mkdocs build --strict

setup: .venv/installed

# torch comes first and by its exact version, so that a CPU build named in pip's configuration is taken.
.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,docs]"
	touch $@
