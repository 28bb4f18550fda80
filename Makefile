# Every target sets up what it needs, in a virtual environment .venv-X.Y named after the Python that tools/find-python
# takes. The environment is made again when pyproject.toml or that Python changes. `make help` lists the targets.

ifeq ($(wildcard tools/find-python),)
$(error run make in the folder of this Makefile, as with make -C FOLDER)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run test test-by-python check lint format docs bench bench-own conformance compat apps stress soak liveness autobahn fuzz clean

EXAMPLE ?= asgi
APP_asgi := asgi:app
APP_wsgi := wsgi:app
APP_flask := flask_app:app
APP_django := django_app:application
APP_starlette := starlette_app:app
APP_fastapi := fastapi_app:app
APP_echo := echo:app
APP_chat := chat:app
APP_tenants := --config examples/tenants/snakepit.toml
OPTIONS_chat := --interpreters 1
SET_UP_tenants = @$(PYTHON_IN_VENV) examples/tenants/set_up.py
FRAMEWORK := $(filter flask django starlette fastapi,$(EXAMPLE:chat=starlette))

# `make help` and `make clean` work where there is no Python
ifneq ($(filter-out help clean,$(MAKECMDGOALS)),)
PYTHON_TAKEN := $(shell PYTHON='$(PYTHON)' tools/find-python)
ifeq ($(PYTHON_TAKEN),)
$(error no Python to work with, see above)
endif
VENV := .venv-$(shell '$(PYTHON_TAKEN)' -c 'import sys; print("%d.%d" % sys.version_info[:2])')
PYTHON_IN_VENV := $(VENV)/bin/python
PIP := $(PYTHON_IN_VENV) -m pip --disable-pip-version-check
MADE := $(VENV)/made-with
DEV := $(VENV)/has-dev
RUN := $(VENV)/has-run-$(or $(FRAMEWORK),package)
BENCH_VENV := $(subst .venv-,.venv-bench-,$(VENV))
BENCH := $(BENCH_VENV)/has-bench
FUZZ := $(VENV)/has-fuzz
COMPAT_VENV := $(subst .venv-,.venv-compat-,$(VENV))
COMPAT := $(COMPAT_VENV)/has-compat
export PIP_ROOT_USER_ACTION := ignore

# -qq leaves nothing but errors
$(MADE): pyproject.toml
	@echo "Setting up $(VENV)" >&2
	@rm -rf $(VENV)
	@'$(PYTHON_TAKEN)' -m venv $(VENV)
	@$(PIP) install -qq -U pip
	@echo '$(PYTHON_TAKEN)' >$@

ifneq ($(shell cat $(MADE) 2>/dev/null),$(PYTHON_TAKEN))
.PHONY: $(MADE)
endif

$(DEV): $(MADE)
	@echo "Installing the package and the tools that develop it into $(VENV)" >&2
	@$(PIP) install -qq --group dev -e .
	@touch $@

$(FUZZ): $(DEV)
	@echo "Installing the fuzzer into $(VENV)" >&2
	@$(PIP) install -qq --group fuzz
	@touch $@

$(BENCH): pyproject.toml
	@echo "Setting up $(BENCH_VENV) with Snakepit and its peers" >&2
	@'$(PYTHON_TAKEN)' -m benchmarks.environment $(BENCH_VENV)

# Some have no wheel, mysqlclient for Linux, others for 3.15; where they can't be built, the suite says so. Each by
# itself, since pip installs all or nothing.
$(COMPAT): COMPAT_BUILT = $(shell '$(PYTHON_TAKEN)' -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["compat-built"])')
$(COMPAT): pyproject.toml
	@echo "Setting up $(COMPAT_VENV) with Snakepit and the packages of the compatibility suite" >&2
	@rm -rf $(COMPAT_VENV)
	@'$(PYTHON_TAKEN)' -m venv $(COMPAT_VENV)
	@$(COMPAT_VENV)/bin/python -m pip --disable-pip-version-check install -qq -U pip
	@$(COMPAT_VENV)/bin/python -m pip --disable-pip-version-check install -qq --group compat -e .
	@for package in $(COMPAT_BUILT); do \
		$(COMPAT_VENV)/bin/python -m pip --disable-pip-version-check install -qq $$package 2>/dev/null || \
			echo "$$package could not be built; on Debian, install gcc, pkg-config, libhdf5-dev, libmariadb-dev" >&2; \
	done
	@touch $@

$(RUN): $(MADE)
	@echo "Installing the package$(if $(FRAMEWORK), and $(FRAMEWORK)) into $(VENV)" >&2
	@$(PIP) install -qq $(if $(FRAMEWORK),--group $(FRAMEWORK)) -e .
	@touch $@
endif

help: ## explain the targets
	@echo "Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s  %s\n", $$1, $$2 }' Makefile
	@echo "Variables:"
	@echo "  EXAMPLE=NAME                              what make run serves: asgi (default), wsgi, flask, django,"
	@echo "                                            starlette, fastapi, echo, chat, tenants (several apps)"
	@echo "  SNAKEPIT_PORT=8001 and the like           the server's options, for make run"
	@echo "  PYTHON=/path/to/python                    use this Python (default: the best that tools/find-python finds)"
	@echo "  RUNTIMES='process thread'                 further passes of the end-to-end tests"
	@echo "  ARGS='-k name'                            more arguments for test, stress, bench, conformance, compat and apps"
	@echo "  ARGS='raw --pythons 3.14,3.15,3.15-jit'   these, for example, for bench: cases and options"

run: $(if $(APP_$(EXAMPLE)),$(RUN),unknown-example) ## serve an example on 127.0.0.1:8000
	$(SET_UP_$(EXAMPLE))
	@exec $(PYTHON_IN_VENV) -m snakepit run $(if $(SET_UP_$(EXAMPLE)),,--app-dir examples) $(APP_$(EXAMPLE)) $(OPTIONS_$(EXAMPLE))

.PHONY: unknown-example
unknown-example:
	@echo "EXAMPLE must be asgi, wsgi, flask, django, starlette, fastapi, echo, chat or tenants, not '$(EXAMPLE)'" >&2
	@exit 1

test: $(DEV) ## run all tests except the stress tests; the end-to-end tests that depend on the runtime, with each of them (as root on Debian, installs a browser and Pebble)
	@tools/install-debian-packages
	@$(PYTEST)
	@set -e; for runtime in $(RUNTIMES); do \
		echo "The end-to-end tests with --runtime $$runtime:"; \
		export SNAKEPIT_RUNTIME=$$runtime; $(IN_E2E); \
	done

RUNTIMES ?= process thread
# Nothing where ARGS name other tests; and nothing is wrong where they select none of these, pytest's status 5.
NAMED = $(filter tests/%,$(ARGS))
PYTEST = $(PYTHON_IN_VENV) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)
IN_E2E = { $(if $(NAMED),$(if $(filter tests/e2e%,$(NAMED)),$(PYTEST),true),$(PYTEST) tests/e2e) || test $$? = 5; }

# Where Pythons differ: interpreters, private copies, the end of threads, event loops, processes, lazy imports.
BY_PYTHON := tests/interpreters tests/unit $(patsubst %,tests/e2e/test_%.py,\
	asgi check domains extensions jit_switch lazy_imports wsgi)

test-by-python: $(DEV) ## run the tests of code that behaves differently on other Pythons (on 3.15 and 3.13)
	@$(PYTEST) $(BY_PYTHON)

check: lint docs test ## what CI runs on Python 3.14 (.ci/run): lint, docs, test

lint: $(DEV) ## check style and types: ruff, mypy
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m ruff format --check .
	@$(PYTHON_IN_VENV) -m mypy --strict

format: $(DEV) ## rewrite the code in the project's style
	@$(PYTHON_IN_VENV) -m ruff check --fix .
	@$(PYTHON_IN_VENV) -m ruff format .

docs: $(DEV) ## build the documentation into docs/_build; warnings are errors
	@$(PYTHON_IN_VENV) -m sphinx -q -E -W --keep-going -b html docs docs/_build

bench: $(BENCH) ## compare Snakepit with other servers, and print ratios; takes half an hour, needs wrk; ARGS=--help lists more
	@$(BENCH_VENV)/bin/python -m benchmarks.peers $(ARGS)

conformance: $(BENCH) ## try what HTTP demands of servers on Snakepit and its peers, and print tables; takes a minute
	@$(BENCH_VENV)/bin/python -m conformance $(ARGS)

bench-own: $(DEV) ## measure Snakepit by itself: parallelism, memory, threads, backpressure, connections, apps beside each other, slow clients
	@$(PYTHON_IN_VENV) -m benchmarks $(ARGS)

INSTALL_MISSING = \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing $$missing" >&2; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	elif [ -n "$$missing" ]; then \
		echo "The servers that are needed are not installed; on Debian: apt-get install $$missing" >&2; exit 1; \
	fi

compat: $(COMPAT) ## try packages in parallel interpreters, in an environment of its own; takes long
	@missing="$$($(COMPAT_VENV)/bin/python -m compat.services)"; $(INSTALL_MISSING)
	@$(COMPAT_VENV)/bin/python -m compat $(ARGS)

apps: $(DEV) ## serve real applications (Django, Gradio, …), each in an environment of its own; ARGS=--quick three, '-k NAME' one
	@tools/install-debian-packages
	@$(if $(findstring --quick,$(ARGS)),true,missing="$$($(PYTHON_IN_VENV) -m compat.services postgresql)"; $(INSTALL_MISSING))
	@$(PYTHON_IN_VENV) -m pytest -q tests/applications -m applications $(ARGS)

stress: $(DEV) ## run the stress tests, which take minutes
	@missing="$$($(PYTHON_IN_VENV) -m compat.services postgresql)"; $(INSTALL_MISSING)
	@$(PYTHON_IN_VENV) -m pytest tests/stress -m stress $(ARGS)

soak: $(DEV) ## ten million requests with replacements and attacks in between, for an hour or more; ARGS='--requests N' fewer
	@$(PYTHON_IN_VENV) tests/stress/soak.py $(ARGS)

liveness: $(DEV) ## check that the server answers in every second, under many kinds of load; takes 40 minutes, with ARGS=--quick one
	@$(PYTHON_IN_VENV) tests/liveness/run.py $(ARGS)
	@$(if $(findstring --quick,$(ARGS)),true,SNAKEPIT_TEST_INTERRUPTIONS=1 $(PYTHON_IN_VENV) -m pytest -q tests/interleavings)

autobahn: $(DEV) ## run Autobahn's WebSocket test suite (needs Python 2.7; ARGS=--quick takes two minutes)
	@$(PYTHON_IN_VENV) tests/autobahn/run.py $(ARGS)

fuzz: $(FUZZ) ## look for inputs that the code which reads them can't bear, 60 s for each kind; ARGS='--seconds 120 h1 websocket'
	@$(PYTHON_IN_VENV) -m fuzz $(ARGS)

clean: ## remove the virtual environments and all generated files
	@rm -rf .venv-* .apps-* .autobahn .cache/fuzz build dist docs/_build examples/tenants/*/.venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
