# The commands of the project. Each sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup python demo test test-slow leakage balance repro ui lint lock

VENV := .venv
# The Pythons of requires-python, for which all that is pinned has wheels. A .venv that is there stays in use, whichever
# of them it is of. For a new one the newest that runs is taken: a name on the PATH may be a shim with nothing behind it.
PYTHONS := 3.13 3.12 3.11
OUTSIDE := $(PATH)
version = $(shell PATH='$(OUTSIDE)' '$(1)' -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
fitting = $(filter $(PYTHONS),$(call version,$(1)))
newest = $(firstword $(foreach name,$(PYTHONS:%=python%) python3,$(if $(call fitting,$(name)),$(name))))
MADE := $(wildcard $(VENV)/pyvenv.cfg)
PYTHON ?= $(if $(MADE),$(VENV)/bin/python,$(newest))
RANGE := Python $(lastword $(PYTHONS)) to $(firstword $(PYTHONS))
need = $(if $(1),,$(error $(2)))
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
export PYTHONUNBUFFERED := 1
# The network of `make leakage`, and its settings: the default one, at a size that makes twenty runs affordable.
MODEL ?= efficientnet_lite0
LEAKAGE ?= -S 'models.efficientnet_lite0.input=[96,96]'
# Settings that make the demonstration short: few drawn smears, small pictures, few epochs.
DEMO := -S data.source=smears -S 'models.efficientnet_lite0.input=[96,96]' -S models.efficientnet_lite0.epochs=4 \
	-S augment.target_per_class=90

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/ready  ## install every pinned package and this project into .venv

# The bytecode is compiled at once: TensorFlow then starts in 4 s instead of 12.
$(VENV)/ready: requirements.lock pyproject.toml | python
	test -x $(VENV)/bin/pip || '$(PYTHON)' -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check "uv$$(sed -n 's/^uv\(==.*\)/\1/p' requirements.lock)"
	$(VENV)/bin/uv pip install --quiet --system-certs --compile-bytecode --python $(VENV)/bin/python -r requirements.lock
	$(VENV)/bin/uv pip install --quiet --system-certs --no-deps --python $(VENV)/bin/python --editable .
	touch $@

# Stops in one line where no Python fits, and before a .venv of another Python, which only its owner may remove.
python:
ifdef MADE
	$(call need,$(call fitting,$(VENV)/bin/python),$(VENV) has no $(RANGE): remove it)
endif
	$(call need,$(call fitting,$(PYTHON)),$(RANGE) is needed: make PYTHON=/path/to/python$(firstword $(PYTHONS)))
ifdef MADE
	$(call need,$(filter $(call version,$(VENV)/bin/python),$(call version,$(PYTHON))),$(VENV) is of another Python than \
		$(PYTHON): remove it to have that one)
endif
	@:

demo: setup  ## run the whole pipeline on drawn smears, as an experiment that leaves the work tree clean
	dvc exp run --temp --force --name demo $(DEMO)
	wbc show demo

test: setup  ## run the default tests
	pytest -n 2 --dist loadfile

test-slow: setup  ## run the tests that train or run whole pipelines
	pytest -m slow -n 2 --dist loadgroup

leakage: setup  ## measure what a leaky split is worth, for docs/leakage.md: twenty runs
	dvc exp run --queue -S model=$(MODEL) $(LEAKAGE) -S split.folds=null -S split.test=0.2 \
		-S 'split.strategy=leaky,random,grouped,blocks' -S 'seed=1,2,3,4,5' evaluate
	dvc exp run --run-all --jobs 2
	python -m upkeep.leakage --model $(MODEL)

balance: setup  ## measure what each way to balance the classes is worth, for docs/balance.md
	dvc repro clean
	python -m benchmarks.balance

repro: setup  ## run what is out of date on the real photographs, and write the cards of data and model
	dvc repro
	wbc data-card
	wbc model-card

ui: setup  ## compare models in MLflow's pages at http://127.0.0.1:5000
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow server --host 127.0.0.1 --port 5000 \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" --default-artifact-root mlartifacts

lint: setup  ## check style and types
	ruff check .
	ruff format --check .
	mypy

lock: setup  ## pin the newest versions that fit pyproject.toml
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate --extra dev \
		pyproject.toml --output-file requirements.lock
