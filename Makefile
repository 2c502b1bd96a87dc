# The same commands at a desk and in CI. They need python3 (3.11 or newer) with pip and venv, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUESTION := Which licence does tenacity have?
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test check format constraints clean

help:
	@echo "make demo    install, fetch a small model, run the research example on real documents"
	@echo "make test    install what the tests need and run them"
	@echo "make check   format, lint, types and the order of imports"
	@echo "make format  put every file into the project's format"
	@echo "make clean   remove the environment and everything that was built"

demo: $(VENV)/installed
	$(BIN)/collegium models pull smollm2
	$(BIN)/collegium models pull minilm
	$(BIN)/collegium run research --yes "$(QUESTION)"

test: $(VENV)/installed-dev
	$(BIN)/pytest --numprocesses 2

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Pins what was tested, for every platform and for Python 3.11 and newer. Needs uv.
constraints:
	uv pip compile --quiet --universal --python-version 3.11 --upgrade --extra all --group dev \
		--no-annotate --no-header pyproject.toml \
		--output-file constraints.txt

clean:
	rm -rf $(VENV) .collegium build dist src/*.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv's own pip may be older than --group and than some wheels' tags; so it is brought up to date first.
$(VENV)/ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Collegium needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@touch $@

$(VENV)/installed: $(VENV)/ready pyproject.toml constraints.txt
	$(INSTALL) --editable ".[embedded]"
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) --group dev
	@touch $@
