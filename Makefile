# Everything runs in a virtual environment of the checkout's own; nothing else on the machine is changed.
# Another interpreter: make demo PYTHON=python3.13      Another place: make test VENV=/path/to/venv

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))
VENV ?= .venv
BIN := $(VENV)/bin
PINS := pyproject.toml constraints.txt

# A stamp remembers that an installation is done; it is redone only when a dependency or a pin changes.
MADE := $(VENV)/.made
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev

# The one test command. README and CONTRIBUTING name it; .ci/run comes here.
TEST := $(BIN)/python -m pytest -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo lab test test-slow check bench clean

help: ## say what each target does
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1: \2/p' Makefile

demo: $(RUN) ## the whole journey on the example data, from a file to a watched model
	$(BIN)/workbench demo

lab: $(RUN) ## JupyterLab on the example project, on this machine only
	@test -d demo || $(BIN)/workbench init demo --example credit
	cd demo && $(abspath $(BIN))/workbench lab

test: $(DEV) ## the tests
	$(TEST)

test-slow: $(DEV) ## the tests that take more than 20 seconds each
	$(TEST) -m slow

check: $(DEV) ## lint, format, types, layers, and notebooks without outputs; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/nbstripout --verify --keep-id --extra-keys metadata.language_info notebooks/*.ipynb

bench: $(DEV) ## the benchmarks, each against its peer
	$(BIN)/python -m tests.benchmarks

clean: ## remove the environment, caches and builds; a project's own files stay
	rm -rf $(VENV) build dist .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@test -n "$(PYTHON)" || { echo "No Python found. Install Python 3.11, 3.12 or 3.13, or say which: make PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version); Python 3.11, 3.12 or 3.13 is needed: make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(RUN): $(MADE) $(PINS)
	@echo "Installing into $(VENV); the first time takes some minutes."
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e .
	touch $@

$(DEV): $(MADE) $(PINS)
	@echo "Installing into $(VENV); the first time takes some minutes."
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	touch $(RUN) $@
