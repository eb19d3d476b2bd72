# Headwater. `make demo` and `make test` need nothing but Python 3.11 or later.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
UV     := $(shell command -v uv 2>/dev/null)
# Where `make e2e` installs LocalStack for host mode; several checkouts may share a folder.
HEADWATER_LOCALSTACK ?= .localstack
export HEADWATER_LOCALSTACK

.PHONY: help demo test check format bench cases package up e2e down clean

help:            ## what there is
	@grep -hE '^[a-z0-9]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Headwater needs Python 3.11 or later; this is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 ..."; exit 2; }
ifeq ($(UV),)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary=:all: --no-binary=localstack-client --constraint constraints.txt --editable '.[dev]'
else
	uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	uv pip install --quiet --python $(BIN)/python --only-binary :all: --no-binary headwater --no-binary localstack-client --constraint constraints.txt --editable '.[dev]'
endif
	@touch $@

demo: $(READY)   ## the main job on embedded parts: no Docker, no account
	@$(BIN)/headwater demo

test: $(READY)   ## all tests
	$(BIN)/python -m pytest -q -n 2

check: $(READY)  ## format, lint, types, tests: what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2

format: $(READY) ## rewrite the code in the house's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## measure; each figure stands beside its raw limit of the same run
	$(BIN)/python -m benchmarks

cases: $(READY)  ## inputs that once failed, where ../shared/cases is beside the checkout
	$(BIN)/python -m pytest -q tests/cases

# HOME is a folder of entities only on make's command line, and must not become the home of the tools that run.
ifeq ($(origin HOME),command line)
PACKAGE_HOME := --home '$(HOME)'
unexport HOME
endif
ARCH ?= both
OUT  ?= dist/lambda

package: $(READY) ## zips for Lambda: CA_BUNDLE=file CA_SHA256=hex, or CA_BUNDLE=none [HOME=folder] [ARCH=arm64] [OUT=folder]
	@$(BIN)/python -m cfn.packaging --arch '$(ARCH)' --out '$(OUT)' --ca-bundle '$(CA_BUNDLE)' --ca-sha256 '$(CA_SHA256)' --python313 '$(PYTHON313)' $(PACKAGE_HOME)

up: .env         ## LocalStack and SQL Server in Docker, on loopback ports
	docker compose up --detach --wait --wait-timeout 300

.env:
	@umask 077 && $(PYTHON) -c 'import secrets; print("MSSQL_SA_PASSWORD=Aa1-" + secrets.token_urlsafe(24))' >$@.new && mv $@.new $@

e2e: $(READY)    ## end-to-end tests: the runtime on what `make up` started, else on a LocalStack without Docker; the deployment on one
	@PYTHON='$(PYTHON)' tests/localstack/host install "$$HEADWATER_LOCALSTACK" || exit; \
	tests/iam/install "$$HEADWATER_LOCALSTACK/iam" || exit; \
	PYTHON='$(PYTHON)' tests/localstack/ministack "$$HEADWATER_LOCALSTACK/ministack" || exit; \
	if $(BIN)/python tests/localstack_server.py && [ -f .env ]; then \
	  . ./.env; : "$${HEADWATER_TEST_MSSQL=mssql+pymssql://sa:$$MSSQL_SA_PASSWORD@127.0.0.1:1433/master}"; fi; \
	export HEADWATER_TEST_MSSQL; exec $(BIN)/python -m pytest -q tests/localstack

down:            ## end what `make up` started; the volumes stay
	docker compose down

clean:           ## remove what the other targets made
	rm -rf $(VENV) .localstack .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
