# langidd: `make demo` shows it, `make test` tests it. Both make .venv first.

PYTHON ?= python3
VENV := .venv
LOWEST := .venv-lowest
BIN := $(VENV)/bin
PIP := PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/pip --disable-pip-version-check
TORCH_INDEX := https://download.pytorch.org/whl/cpu
SOURCES := langidd training tests benchmarks

.PHONY: help demo test test-slow test-gpu test-lowest check format soak booted bench model clean

help:
	@echo "make demo       install, and show langidd at work on a recording (about a minute)"
	@echo "make test       install what tests need, and run them"
	@echo "make check      types, style, and who may import whom"
	@echo "make test-slow  the tests that take minutes;  make test-gpu  those that need CUDA"
	@echo "make test-lowest  the tests with the lowest versions that pyproject.toml allows"
	@echo "make soak       faults, again and again, on the running daemon; prints a table"
	@echo "make booted     the service under a real systemd, in a tree of its own; wants root"
	@echo "make bench      how fast the model is here, and how many sources this machine carries"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "langidd needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv is missing: sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -e .
	@touch $@

# PyPI's torch for Linux on x86-64 comes with gigabytes of CUDA, PyTorch's own index has one
# without. Where that cannot be reached, what pip finds is taken.
$(VENV)/.tests: $(VENV)/.runs
	@[ "$$(uname -sm)" != "Linux x86_64" ] || \
	  $(PIP) install --quiet --no-deps --retries 0 --timeout 5 --index-url $(TORCH_INDEX) torch || \
	  echo "no torch at $(TORCH_INDEX): taking the one that pip finds elsewhere"
	$(PIP) install --quiet -e '.[train,dev]'
	@touch $@

demo: $(VENV)/.runs
	@$(BIN)/langidd demo

test: $(VENV)/.tests
	$(BIN)/python -m pytest -m 'not slow and not gpu'

test-slow: $(VENV)/.tests
	$(BIN)/python -m pytest -m slow --timeout 1800

test-gpu: $(VENV)/.tests
	$(BIN)/python -m pytest -m gpu

# torch stays the build that .venv has: its lowest version is gigabytes of CUDA.
$(LOWEST)/.tests: $(VENV)/.tests
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/pip install --quiet uv
	$(BIN)/python -c 'from importlib.metadata import version as v; print("torch==" + v("torch").split("+")[0])' \
	  > $(LOWEST)/torch.txt
	VIRTUAL_ENV=$(CURDIR)/$(LOWEST) UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" \
	  $(LOWEST)/bin/uv pip install --resolution lowest-direct --constraint $(LOWEST)/torch.txt \
	  -e '.[train,dev]'
	@touch $@

test-lowest: $(LOWEST)/.tests
	$(LOWEST)/bin/python -m pytest -m 'not slow and not gpu'

check: $(VENV)/.tests
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.tests
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

soak: $(VENV)/.tests
	$(BIN)/python -m tests.faults.soak

booted:
	tests/booted/run.sh

bench: $(VENV)/.runs
	@$(BIN)/langidd bench

clean:
	rm -rf $(VENV) $(LOWEST) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
