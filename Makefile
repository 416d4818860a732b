# Everything happens inside $(VENV). Needed: Python 3.11 or newer, make, and a package registry that pip can reach.

# The first of these that is new enough is used; name one to insist on it: make PYTHON=python3.12 test
PYTHON ?= python3 python3.13 python3.12 python3.11
VENV ?= .venv
DEMO ?= demo
DEMO_ARGS ?=
TEST_ARGS ?=
JUPYTER_ARGS ?=
MLFLOW_PORT ?= 5000

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
IS_USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

define find_python
python=; for candidate in $(PYTHON); do \
  if $$candidate -c '$(IS_USABLE)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
done; \
if [ -z "$$python" ]; then \
  echo "None of these is Python 3.11 or newer with its venv module: $(PYTHON)." >&2; \
  echo "Install one (on Debian and Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python3 ..." >&2; \
  exit 3; \
fi
endef

export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint notebooks mlflow constraints clean

help:
	@echo "make demo         the whole flow on a synthetic county, into $(DEMO)/ (options: DEMO_ARGS='--households 800')"
	@echo "make test         all tests"
	@echo "make lint         format, lint, types and import floors"
	@echo "make notebooks    JupyterLab on the notebooks, which read $(DEMO)/"
	@echo "make mlflow       the tracking pages of the runs in $(DEMO)/ (MLFLOW_PORT=$(MLFLOW_PORT))"
	@echo "make constraints  renew the pinned versions"
	@echo "make clean        remove $(DEMO)/ and what tools leave behind; $(VENV) stays"

$(VENV)/.created:
	@$(find_python); \
	echo "Creating $(VENV) with $$($$python --version) ..."; \
	$$python -m venv $(VENV)
	@touch $@

$(VENV)/.base: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing the pinned packages into $(VENV) (some minutes the first time, seconds later) ..."
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.full: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing the pinned packages and tools into $(VENV) (some minutes the first time, seconds later) ..."
	@$(PIP) install --constraint constraints.txt --editable '.[database,dev,notebooks,spark]'
	@touch $(VENV)/.base $@

demo: $(VENV)/.base
	@$(BIN)/relapse-risk demo --out $(DEMO) $(DEMO_ARGS)

test: $(VENV)/.full
	@$(BIN)/pytest --numprocesses auto --dist loadfile $(TEST_ARGS)

lint: $(VENV)/.full
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

notebooks: $(VENV)/.full
	@test -d $(DEMO) || $(MAKE) --no-print-directory demo
	@RELAPSE_RISK_DEMO=$(abspath $(DEMO)) $(BIN)/jupyter lab $(JUPYTER_ARGS) notebooks

mlflow: $(VENV)/.base
	@test -d $(DEMO) || $(MAKE) --no-print-directory demo
	@cd $(DEMO) && $(abspath $(BIN))/mlflow ui --backend-store-uri sqlite:///experiments/mlflow.db --port $(MLFLOW_PORT)

# Names and versions only: where packages come from is each machine's own setting.
constraints:
	@$(find_python); \
	fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	echo "Resolving the newest versions in a fresh environment (some minutes) ..."; \
	$$python -m venv "$$fresh" && \
	"$$fresh/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --editable '.[database,dev,notebooks,spark]' && \
	{ echo "# Made by 'make constraints' with $$($$python --version)."; \
	  "$$fresh/bin/python" -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ @/]+$$' | LC_ALL=C sort -f; \
	} > constraints.new && mv constraints.new constraints.txt
	@echo "constraints.txt: $$(grep -c == constraints.txt) packages"

clean:
	@rm -rf $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
