# `make demo` and `make test` set up all they need in .venv; nothing is installed
# outside this folder. They want Python >= 3.10, a C++ compiler and make.
#
#   make demo     train a network on the host and on an emulated Cortex-M7
#   make test     every test: lit, pytest, and the lint of the lit tests
#   make lint     formatting, style, types
#   make format   format the sources in place
#   make docs     write the reference of ops and passes to build/docs
#   make wheel    build the wheel and try it in a fresh environment
#   make clean    remove what was built; `make distclean` removes .venv too
#
# Variables: PYTHON, CXX; JOBS (parallel compilations); INSTALL_AS=editable, where
# Python sources are used in place, or INSTALL_AS=wheel, where they are copied;
# PYTEST_ARGS, DEMO_ARGS; QUIET= shows what pip does.

PYTHON      ?= python3
INSTALL_AS  ?= editable
JOBS        ?= $(shell nproc 2>/dev/null || echo 2)
VENV        := .venv
BIN         := $(VENV)/bin
BUILD       := build
QUIET       ?= --quiet
PIP         := $(BIN)/python -m pip --disable-pip-version-check install $(QUIET)
EXTRAS      := dev,emulator,torch
PYTEST_ARGS ?=
DEMO_ARGS   ?=
# The kit's table generator, with its include folder.
KIT          = $(shell $(BIN)/python -c 'import mlir; print(mlir.__path__[0])')
TBLGEN       = $(KIT)/bin/mlir-tblgen -I . -I $(KIT)/include

# ccache, cmake and ninja are found on PATH; the last two come from PyPI.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export CXX
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)
unexport PYTHONPATH PYTHONHOME

# Folders are listed too: they change when a file is added or removed. So are the Python
# package's: the build links its files beside the bindings, where mypy reads them.
NATIVE_SOURCES := pyproject.toml CMakeLists.txt python/CMakeLists.txt \
  $(shell find cmake dialects lib tools python/bindings ! -name '*.py' ! -name '.*') \
  $(shell find python/tinytrain_mlir -type d ! -name __pycache__)
PYTHON_SOURCES := $(shell find python/tinytrain_mlir -name __pycache__ -prune -o ! -name '.*' -print)
CXX_SOURCES     = $(shell find dialects lib tools python/bindings examples -name '*.[ch]' -o -name '*.cpp')

ifeq ($(INSTALL_AS),editable)
  SOURCES := $(NATIVE_SOURCES)
  PACKAGE := --editable '.[$(EXTRAS)]'
else ifeq ($(INSTALL_AS),wheel)
  SOURCES := $(NATIVE_SOURCES) $(PYTHON_SOURCES)
  PACKAGE := '.[$(EXTRAS)]'
else
  $(error INSTALL_AS is editable or wheel, not '$(INSTALL_AS)')
endif
INSTALLED := $(VENV)/.installed-$(INSTALL_AS)

.PHONY: demo test lint format docs wheel clean distclean install
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	$(BIN)/python examples/digits.py --out $(BUILD)/demo $(DEMO_ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CXX_SOURCES)
	$(BIN)/python tools/check_lines.py test

format: $(INSTALLED)
	$(BIN)/ruff check --fix-only --exit-zero
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CXX_SOURCES)

docs: $(INSTALLED)
	mkdir -p $(BUILD)/docs
	$(TBLGEN) -gen-dialect-doc -dialect=tinytrain dialects/TinyTrainOps.td -o $(BUILD)/docs/dialect.md
	$(TBLGEN) -gen-pass-doc lib/Passes.td -o $(BUILD)/docs/passes.md

install: $(INSTALLED)

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "error: $(PYTHON) is missing or older than Python 3.10; set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "error: $(PYTHON) cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig as s; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' || \
	  { echo "error: the headers of $(PYTHON) are missing: apt-get install python3-dev" >&2; exit 1; }
	@command -v $(CXX) >/dev/null || \
	  { echo "error: no C++ compiler '$(CXX)': apt-get install g++, or set CXX=" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# What pip would put into an isolated build environment, kept so that the build
# directory stays valid and builds are incremental.
$(VENV)/build-requirements.txt: pyproject.toml tools/build_requirements.py $(VENV)/.created
	$(BIN)/python tools/build_requirements.py >$@
	$(PIP) --requirement $@

$(INSTALLED): $(SOURCES) $(VENV)/build-requirements.txt
	@echo "Building and installing: the first time takes some minutes."
	@rm -f $(VENV)/.installed-*
	$(PIP) --no-build-isolation --config-settings=build-dir=$(BUILD)/native $(PACKAGE)
	@touch $@

# A wheel must work without this folder and without the build requirements.
wheel: $(INSTALLED)
	rm -rf $(BUILD)/dist $(BUILD)/wheel-venv
	$(BIN)/python -m pip --disable-pip-version-check wheel $(QUIET) --no-deps --no-build-isolation \
	  --config-settings=build-dir=$(BUILD)/native --wheel-dir $(BUILD)/dist .
	$(PYTHON) -m venv $(BUILD)/wheel-venv
	$(BUILD)/wheel-venv/bin/pip --disable-pip-version-check install $(QUIET) $(BUILD)/dist/*.whl
	cd $(BUILD)/dist && ../wheel-venv/bin/python -c 'import tinytrain_mlir.dialects.tinytrain'
	$(BUILD)/wheel-venv/bin/tinytrain --version
	$(BUILD)/wheel-venv/bin/tinytrain-opt --version

clean:
	rm -rf $(BUILD) $(VENV)/.installed-* .mypy_cache .pytest_cache .ruff_cache

distclean: clean
	rm -rf $(VENV)
