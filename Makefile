# The verbs a person and CI use. `make` needs python3 and a package registry, nothing else.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
LOCK := --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11

.PHONY: setup up test soak lint types bench check lock clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

up: setup
	@$(BIN)/mangaassist up $(ARGS)

# Most tests wait for processes of their own: two at a time take half as long.
test: setup
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint deploy/Dockerfile

soak: setup
	$(BIN)/pytest -m soak $(ARGS)

types: setup
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m bench $(ARGS)

check: lint types test

lock: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile $(LOCK) --extra dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile $(LOCK) --extra build -c requirements.lock pyproject.toml -o deploy/requirements.lock

clean:
	rm -rf .venv .mangaassist .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
