# make run    the terminal on practice venues
# make test   everything that must hold, the same that runs in CI
# make venv   what both use: .venv with hftmm in it, book kernels compiled
# make clients  third-party clients from PyPI, unmodified, trade on the practice venues
# make soak   the properties at length, a hundred kill -9, memory over twenty minutes (over an hour)
# make clean  takes away what these made
#
# Another interpreter: make PYTHON=python3.12 venv. Options of hftmm: make run ARGS="--seed 11".

SHELL := /bin/sh

# numba supports Python up to 3.13, and a new machine's python3 may be newer than that.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c '$(SUPPORTED)' 2>/dev/null; then echo $$python; break; fi; done)

BIN := .venv/bin
INSTALLED := .venv/.installed
COMPILED := .venv/.compiled
KERNELS := hftmm/book/kernels.py hftmm/venues/tokens.py hftmm/venues/scan.py
CLIENTS := .venv-clients/bin

.PHONY: venv run test clients soak clean

venv: $(COMPILED)

run: venv
	@$(BIN)/hftmm $(ARGS)

test: venv
	@echo "== lint"
	@$(BIN)/ruff check
	@echo "== format"
	@$(BIN)/ruff format --check
	@echo "== types"
	@$(BIN)/mypy
	@echo "== layers"
	@$(BIN)/lint-imports
	@echo "== tests, with branch coverage"
	@$(BIN)/python -m pytest --numprocesses 2 --cov -m "not long"
	@echo "== long simulations and recordings, which coverage would make three times as long"
	@$(BIN)/python -m pytest --numprocesses 2 -m long

clients: venv .venv-clients/.installed
	@echo "== third-party clients on the practice venues"
	@HFTMM_COMMAND="$(CURDIR)/$(BIN)/hftmm" $(CLIENTS)/python -m pytest tests/clients

soak: venv .venv-clients/.installed
	@echo "== properties, at length"
	@HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest
	@echo "== a hundred times kill -9, as ccxt sees it"
	@HFTMM_KILLS=100 HFTMM_CLIENTS="$(CURDIR)/$(CLIENTS)/python" \
		$(BIN)/python -m pytest -rP tests/test_kill9.py
	@echo "== ten minutes of both strategies, as the venues and ccxt tell it"
	@HFTMM_MARKET_S=600 HFTMM_CLIENTS="$(CURDIR)/$(CLIENTS)/python" \
		$(BIN)/python -m pytest -rP tests/test_market_run.py
	@echo "== every drill"
	@HFTMM_DRILLS=all $(BIN)/python -m pytest -rP tests/test_drill.py
	@echo "== memory"
	@$(BIN)/python benchmarks/memory.py
	@echo "== simulated world"
	@$(BIN)/python -m hftmm.sim.world --seeds 500 --minutes 10 --jobs 0

.venv-clients/.installed: tests/clients/requirements.txt | $(INSTALLED)
	@echo "== environment of the third-party clients: .venv-clients"
	@$(PYTHON) -m venv .venv-clients
	@$(CLIENTS)/python -m pip install --quiet --disable-pip-version-check \
		--requirement tests/clients/requirements.txt
	@touch $@

clean:
	rm -rf .venv .venv-clients build dist .coverage .coverage.* htmlcov snapshot_report.html \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find hftmm tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { \
		echo "hftmm needs Python 3.11, 3.12 or 3.13; found none. Name one: make PYTHON=..." >&2; \
		exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { \
		echo "hftmm needs Python 3.11, 3.12 or 3.13; $(PYTHON) is none of them." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make environments: install its venv package" \
			"(Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "== environment: .venv"
	@$(PYTHON) -m venv .venv
	@echo "== installing hftmm and its tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# numba keeps a compiled kernel until its own source file changes. Of the kernels it calls in other
# files it keeps what they once were, so all are thrown away together.
$(COMPILED): $(INSTALLED) $(KERNELS)
	@echo "== compiling the book kernels, once"
	@find hftmm -name '*.nb[ic]' -delete
	@$(BIN)/python -c "import hftmm.venues.scan"
	@touch $@
