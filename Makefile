# `make help` says what there is. Everything is installed into .venv, made with $(PYTHON) where it is not there yet.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help course test quick demo gallery book lint bench clean

help:  ## what there is
	@awk -F ':.*##  *' '/^[a-z]+:.*##/ {printf "  make %-9s %s\n", $$1, $$2}' Makefile
	@echo "  CPU=1 make course (or test) takes the small CPU build of torch and torchvision"

course: $(VENV)/course.stamp  ## install the course and open JupyterLab at its start page
	$(BIN)/styletx lab

test: $(VENV)/dev.stamp  ## install what tests need and run them
	$(BIN)/python -m pytest

quick: $(VENV)/dev.stamp  ## the fast tests, in a minute and a half
	$(BIN)/python -m pytest -m "not slow" --ignore tests/browser

demo: $(VENV)/course.stamp  ## every method on a real photo, into one HTML gallery
	$(BIN)/styletx demo

gallery: $(VENV)/course.stamp  ## make the slow tables and strips that lectures show
	$(BIN)/python -m styletx.recipes.gallery

book: $(VENV)/dev.stamp  ## build the book strictly, into book/_build/html
	$(BIN)/python book/make.py build

lint: $(VENV)/dev.stamp  ## style, format and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

bench: $(VENV)/dev.stamp  ## speed and memory beside what people would use instead
	$(BIN)/python -m tests.benchmarks

clean:  ## remove what was built (not .venv)
	rm -rf book/_build book/_vendor build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find styletx tests notebooks book -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is as old as the last installation: pyproject.toml is installed again only when it has changed.
$(VENV)/course.stamp: pyproject.toml | $(VENV)/made.stamp
	$(BIN)/python -m pip install -e ".[course]"
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/made.stamp
	$(BIN)/python -m pip install -e ".[dev]"
	@touch $(VENV)/course.stamp $@

$(VENV)/made.stamp:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name it: make course PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "styletx needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name a newer one: make course PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make environments. On Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip
ifdef CPU
	$(BIN)/python -m pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu
endif
	@touch $@
