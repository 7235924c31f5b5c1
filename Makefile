# Everything runs in a project-local environment, made from Python 3.11+ alone.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
# The demo needs a few packages, and the rest takes a minute or more.
DEMO := $(VENV)/.installed-demo

# Each process that a test starts would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

# Four files of tests at a time on two cores, the first by name first: many wait for servers.
BESIDE := -n 4 --dist loadfile --no-loadscope-reorder
# What `make check` runs, in two halves of about the same length, side by side: what needs no other
# process, less what takes long.
FIRST := tests/asgi --ignore=tests/asgi/test_processes.py \
	--ignore=tests/asgi/test_lost_redis.py --ignore=tests/asgi/test_memory.py \
	--ignore=tests/asgi/guarded/test_random.py
SECOND := tests/policy tests/config tests/routing tests/http tests/engine tests/manager \
	tests/metrics tests/warming tests/test_architecture.py --ignore=tests/policy/test_fuzz.py \
	--ignore=tests/manager/identity/test_layouts.py \
	--ignore=tests/manager/test_event_loops.py --ignore=tests/manager/test_models.py

.DEFAULT_GOAL := help
.PHONY: help demo test check check-first check-second lint bench load soak compat uvicorn oldest constraints dashboards docs clean

help:
	@echo "make demo   two instances over an embedded server, and a page to try what they promise"
	@echo "make test   all tests, with a real server from a wheel"
	@echo "make check  ruff, mypy, pyright, and the tests that need no other process"
	@echo "make lint   ruff, mypy and pyright"
	@echo "make bench  the figures in benchmarks/README.md, measured again"
	@echo "make load   the same load on the demo with the cache and without it, and a table of both"
	@echo "make soak   the long runs"
	@echo "make compat   versions of frameworks, servers, Redis and Python; ONLY=litestar,redis selects"
	@echo "make uvicorn   the protocols for uvicorn on its versions, and its own tests on them"
	@echo "make dashboards   the board and the rules for alerts, made again"
	@echo "make docs   the documentation site, in site/; fails on what does not resolve"
	@echo "make constraints   exact versions of all packages of the tests, in constraints.txt"
	@echo "make oldest   the tests in process, of Redis and of tiers on the oldest packages"

$(VENV)/.installed-%: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable . --group $*
	@touch $@

demo: $(DEMO)
	$(BIN)/python -m demo_app.fleet

test: $(STAMP)
	$(BIN)/python -m pytest -m "not soak" $(BESIDE) --durations=20 \
		--cov --cov-report=term --cov-fail-under=95

check: lint
	@$(MAKE) --no-print-directory -j2 --output-sync=target check-first check-second

check-first: $(STAMP)
	$(BIN)/python -m pytest -q $(FIRST)

check-second: $(STAMP)
	$(BIN)/python -m pytest -q $(SECOND)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

bench: $(STAMP)
	$(BIN)/python -m benchmarks

load: $(STAMP)
	$(BIN)/python -m demo_app.fleet --load 15

soak: $(STAMP)
	$(BIN)/python -m pytest -m soak --timeout=0 -s

compat: $(STAMP)
	$(BIN)/python -m tests.compat $(ONLY)

uvicorn: $(STAMP)
	$(BIN)/python -m tests.uvicorn.supported

constraints: $(STAMP)
	$(BIN)/python -m tests.constraints

oldest: $(STAMP)
	$(BIN)/python -m tests.oldest -q -m "not soak" $(BESIDE) $(FIRST) $(SECOND) \
		tests/redis tests/tiers tests/compat tests/uvicorn

dashboards: $(STAMP)
	$(BIN)/python -m dashboards

# Its warnings are errors, less what the theme's authors say of other tools.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

clean:
	rm -rf $(VENV) .environments site .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
