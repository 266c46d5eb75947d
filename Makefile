# Every target sets up what it needs in .venv, once, and says so. Settings, with their defaults:
#   PYTHON   the newest of Python 3.11 to 3.14 on this machine    which Python .venv is made with
#   VENV     .venv                                                where the environment lives
#   ARGS     none                                                 passed on, e.g. make test ARGS="-k cache"

VENV ?= .venv
PYTHON ?=
ARGS ?=
BIN := $(VENV)/bin
RECIPE := pyproject.toml constraints.txt tools/environment

export VENV PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test slow check format lint types types-strict types-tests imports sizes docs matrix bench lock clean

help:
	@echo "make demo    run the training example"
	@echo "make test    run the tests"
	@echo "make slow    run the long tests: real installs, chaos"
	@echo "make check   formatting, lint, types, import contract, sizes"
	@echo "make docs    build the site into site/"
	@echo "make matrix  write the table in docs/dialects.md: every pipeline in every dialect"
	@echo "make bench   measure what the engine costs"
	@echo "make lock    refresh the pinned versions in constraints.txt (needs uv)"
	@echo "make clean   remove .venv and everything that was built"

$(VENV)/.ready-%: $(RECIPE)
	@tools/environment $*
	@touch $@

demo: $(VENV)/.ready-demo
	@$(BIN)/penstock run examples/training/pipeline.py $(ARGS)

# In two processes, each with whole files; ARGS="-n 0" for one.
test: $(VENV)/.ready-dev
	@$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

slow: $(VENV)/.ready-dev
	@$(BIN)/python -m pytest -m slow $(ARGS)

# All of them, whatever the first ones find.
check: $(VENV)/.ready-dev
	@$(MAKE) --no-print-directory --keep-going format lint types imports sizes

format: $(VENV)/.ready-dev
	$(BIN)/ruff format --check

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check

types: types-strict types-tests

types-strict: $(VENV)/.ready-dev
	$(BIN)/basedpyright --pythonpath $(BIN)/python --project pyproject.toml

types-tests: $(VENV)/.ready-dev
	$(BIN)/basedpyright --pythonpath $(BIN)/python --project tests

imports: $(VENV)/.ready-dev
	$(BIN)/lint-imports

sizes: $(VENV)/.ready-dev
	$(BIN)/python tools/check_sizes.py src tests examples benchmarks tools

docs: $(VENV)/.ready-docs
	@$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --fresh-env --quiet --doctree-dir build/doctrees docs site
	@echo "The site is in site/index.html"

matrix: $(VENV)/.ready-dev
	@$(BIN)/python tests/dialects/matrix.py

bench: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks $(ARGS)

lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --quiet \
	  --extra frames --extra ml --extra pydantic --extra environments --extra postgres --extra objects --extra keyring --extra calendars --extra server --extra airflow --group dev --group docs \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file constraints.txt

clean:
	rm -rf $(VENV) site build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
