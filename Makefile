# `make demo` and `make test` are all there is to know: each makes its own environment in .venv first.
# Settings: PYTHON=/path/to/python3 (3.11 or later), WORKERS=4 (test processes), ARGS="--port 0" (for demo, bench,
# fuzz and soak), EXAMPLES=1000 (for fuzz), ROUNDS=5 (for chaos).

PYTHON ?= python3
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null | awk '{ print ($$1 > 2 ? $$1 : 2) }')
ARGS ?=
EXAMPLES ?= 1000
ROUNDS ?= 5

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
PURE = $(shell $(PY) -c "import tomllib; print(','.join(tomllib.load(open('pyproject.toml', 'rb'))['tool']['claude-proxy']['pure']))")

.PHONY: help demo test check docs bench fuzz chaos soak clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the server on its built-in simulator, no account needed"
	@echo "make test    every test, with coverage"
	@echo "make check   linter, formatter, types, import rules"
	@echo "make docs    writes what the documentation takes from the code (docs/generate.py)"
	@echo "make bench   the benchmarks (benchmarks/run.py)"
	@echo "make fuzz    tries EXAMPLES=1000 hostile inputs in each way, against the real CLI too (tests/fuzz)"
	@echo "make chaos   every fault ROUNDS=5 times, and ten times as many clients and refusals (tests/chaos)"
	@echo "make soak    a day of use in some minutes, and whether anything grows (benchmarks/soak.py)"
	@echo "make clean   remove the environment and caches"

demo: $(VENV)/.runtime
	@$(VENV)/bin/claude-proxy serve --demo $(ARGS)

test: $(VENV)/.development
	$(PY) -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term
	$(PY) -m coverage report --include='$(PURE)' --fail-under=100

check: $(VENV)/.development
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest -q tests/test_imports.py

docs: $(VENV)/.runtime
	@$(PY) docs/generate.py

bench: $(VENV)/.development
	$(PY) benchmarks/run.py $(ARGS)

fuzz: $(VENV)/.development
	@$(PIP) install --group fuzz
	FUZZ_EXAMPLES=$(EXAMPLES) $(PY) -m pytest tests/fuzz --timeout=0 $(ARGS)
	[ "$$(uname)" != Linux ] || $(PY) tests/fuzz/guided.py $(EXAMPLES)000

chaos: $(VENV)/.development
	@for round in $$(seq $(ROUNDS)); do CHAOS_SCALE=10 $(PY) -m pytest tests/chaos --timeout=0 $(ARGS) || exit 1; done

soak: $(VENV)/.development
	$(PY) benchmarks/soak.py --plot soak.png $(ARGS)

clean:
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis

# -- The environment ---------------------------------------------------------------------------------------------------
# The stamps are older than pyproject.toml when it has changed: only then is anything installed again.

$(VENV)/.runtime: pyproject.toml | $(VENV)/bin/pip
	@echo 'installing claude-proxy and the official CLI (some 200 MB the first time)'
	@$(PIP) install --editable '.[cli]'
	@touch $@

# Test tools are dependency groups, which are no part of the published package. pip knows them since 25.1, so it is
# brought up to date first; the environment is ours, the system's pip stays as it is.
$(VENV)/.development: $(VENV)/.runtime
	@echo 'installing the tools for tests and checks'
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --group test --group check --group bench
	@$(VENV)/bin/npm install --silent --no-audit --no-fund --no-package-lock --prefix $(VENV) openai @anthropic-ai/sdk
	@touch $@

# `python -m venv` needs ensurepip, which Debian leaves out. Then pip comes from the system's pip (22.3 or later can
# install into another environment), or virtualenv does it all.
$(VENV)/bin/pip:
	@set -eu; \
	for python in '$(PYTHON)' python3.13 python3.12 python3.11; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	  python=''; \
	done; \
	if [ -z "$$python" ]; then \
	  echo 'Python 3.11 or later is needed: install it, or say which one: make PYTHON=/path/to/python3' >&2; exit 1; \
	fi; \
	fresh() { rm -rf $(VENV); "$$@" >/dev/null 2>&1; }; \
	echo "creating $(VENV) with $$python"; \
	fresh "$$python" -m venv $(VENV) \
	  || { fresh "$$python" -m venv --without-pip $(VENV) \
	       && "$$python" -m pip --python $(PY) install --quiet pip >/dev/null 2>&1; } \
	  || fresh "$$python" -m virtualenv $(VENV) \
	  || fresh virtualenv --python "$$python" $(VENV) \
	  || { rm -rf $(VENV); \
	       echo "$$python can't create an environment. On Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
