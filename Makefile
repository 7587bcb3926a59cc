# One set of commands for people and for CI. `make help` lists them.
# Everything lives in .venv; a stamp file there is older than what it was made from exactly when the step is due again.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
GET    := $(PIP) install --no-compile
JOBS   ?= auto

CORE   := CMakeLists.txt $(wildcard core/*.* core/*/*.*)
PEERS  := .venv-peers
TORCH  := requirements/torch-cpu.txt

export PIP_NO_INPUT = 1
# Installing without compiling saves a minute; the first import of a file then leaves its bytecode, if it may.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: demo test check fix bench bench-peers docs wheel clean help

demo: $(VENV)/.installed  ## train a BiLSTM on real data, next to two baselines (a few minutes the first time)
	$(BIN)/python -m tidegate demo

test: $(VENV)/.tested  ## run every test
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

check: $(VENV)/.tested  ## lint, formatting, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(filter %.h %.cc,$(CORE))
	$(BIN)/python -m pytest -q tests/laws/test_imports.py

fix: $(VENV)/.tested  ## mend what the linters can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(filter %.h %.cc,$(CORE))

bench: $(VENV)/.installed $(VENV)/.torch  ## measure the speed and write it to benchmarks/results (20 minutes; ARGS="--rounds 2" for less)
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(PEERS)/.ours  ## install what `make bench` measures beside Tidegate (once; 3 GB)

docs: $(VENV)/.documented  ## build the pages into docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "docs/_build/html/index.html"

wheel: $(VENV)/.tested  ## build a wheel into dist
	$(PIP) wheel --no-build-isolation --no-deps --wheel-dir dist .
	@ls dist

clean:  ## remove everything that was built or installed here
	rm -rf $(VENV) $(PEERS) build dist docs/_build docs/_pictures .mypy_cache .pytest_cache .ruff_cache .hypothesis

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- what the commands stand on -----------------------------------------------------------------------------------------

# Python, pip (25.1 is the first that reads dependency groups), and what builds the compiled core.
$(VENV)/.python: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tidegate needs Python 3.11 or newer; $(PYTHON) is older. Run: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Installing the build tools into $(VENV) (once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(GET) 'pip>=25.1'
	@$(GET) --group build
	@touch $@

# Our package: Python files are read where they stand, the core is compiled again when it changed.
$(VENV)/.installed: $(VENV)/.python $(CORE)
	@echo "Building Tidegate ..."
	@$(GET) --no-build-isolation --config-settings=cmake.define.TIDEGATE_DIGESTS=ON --editable '.[train,plot,data,onnx,keras,search,serve,lines,audio,translate]'
	@touch $@

# Torch for the CPU: what ours is compared with, and what `tg.nn` is for. Training and the demo do without.
$(VENV)/.torch: $(VENV)/.python $(TORCH)
	@echo "Installing torch into $(VENV) (once) ..."
	@$(GET) --retries 0 -r $(TORCH)
	@touch $@

$(VENV)/.tested: $(VENV)/.installed $(VENV)/.torch
	@$(GET) --group test --group lint
	@touch $@

# The rivals live in an environment of their own, so that what they ask for cannot change ours.
$(PEERS)/.installed: pyproject.toml $(TORCH)
	@echo "Installing the rivals into $(PEERS) (once) ..."
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --quiet install --no-compile 'pip>=25.1'
	@$(PEERS)/bin/python -m pip --quiet install --no-compile --retries 0 -r $(TORCH)
	@$(PEERS)/bin/python -m pip --quiet install --no-compile --group peers
	@touch $@

# Tidegate itself is there for `tg.accelerate`, which runs inside one of them.
$(PEERS)/.ours: $(PEERS)/.installed $(CORE) $(shell find src -name '*.py')
	@$(PEERS)/bin/python -m pip --quiet install --no-compile .
	@touch $@

$(VENV)/.documented: $(VENV)/.installed $(VENV)/.torch
	@$(GET) --group docs
	@touch $@
