# Tieout. `make help` lists the targets; each sets up what it needs by itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
# The interpreter for a new .venv; `make setup PYTHON=python3.12` chooses another.
export PYTHON
SETUP_PYTHON = $(firstword $(wildcard $(PY)) $(shell command -v python3 python3.13 python3.12 python3.11 $(PYTHON) 2>/dev/null))

.PHONY: help setup demo test start bench lint types format lock dags-page images check-docs clean

help:  ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup:  ## Bring up .venv from the pinned, hashed requirements
	@test -n "$(SETUP_PYTHON)" || { echo "setup: no Python found; install Python 3.11, 3.12 or 3.13." >&2; exit 1; }
	@$(SETUP_PYTHON) -I -S scripts/setup_venv.py

demo: setup  ## Run every integration once against the sandbox, in real Airflow, and show that it ties out
	@PYTHONPATH=.:plugins $(PY) scripts/demo.py

test: setup  ## Run all tests, those with real Airflow and real servers included
	@$(PY) -m pytest -n 3 --dist worksteal tests

start: setup  ## Sandbox and Airflow's UI at http://localhost:8080, until Ctrl-C
	@$(PY) scripts/start.py

bench: setup  ## Measure speed and memory beside other tools, and write docs/benchmarks.md
	@$(PY) -m benchmarks

lint: setup  ## Check style and formatting
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: setup  ## Repair style and formatting where a tool can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: setup  ## Check types
	@$(PY) -m mypy

lock: setup  ## Rebuild the lock files from requirements*.txt
	@$(PY) scripts/lock.py

dags-page: setup  ## Write docs/DAGS.md anew from the DAGs
	@$(PY) scripts/dags_page.py

images: setup  ## Take the documentation's pictures of the Tieout page anew
	@TIEOUT_IMAGES=$(CURDIR)/docs/images $(PY) -m pytest -q tests/integration/test_page.py

check-docs: setup  ## Check that the documentation names only what exists
	@$(PY) -m pytest -q tests/project/test_docs.py

clean:  ## Remove .venv, caches and build output; .airflow with its ledger stays
	@rm -rf .venv .venv.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist plugins/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
