# The set-up happens once: the stamp is older than pyproject.toml or constraints.txt only when one of them changed.
PYTHON ?= python3
VENV   ?= .venv
HOST   ?= 127.0.0.1
PORT   ?= 8000
ARGS   ?=
# Processes that share the tests; 0 runs them in one, as a debugger wants it.
WORKERS ?= 3
SEEDS  ?= seeds
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test test-postgres check format bench chaos fuzz seeds conformance notebook organisms licences \
  audit-dependencies clean

help:
	@echo "make run        set up, start API, pages and worker, print the address   (HOST, PORT)"
	@echo "make test       set up, run every test                                   (ARGS for pytest, WORKERS)"
	@echo "make test-postgres  the tests of storage, services and API on PostgreSQL           (ARGS, WORKERS)"
	@echo "make check      ruff, mypy, import-linter"
	@echo "make format     let ruff put the code in order"
	@echo "make bench      the benchmarks                                           (ARGS)"
	@echo "make chaos      kill workers and server a hundred times while they work  (ARGS)"
	@echo "make fuzz       thousands of made-up requests and uploads                (GENERATED_REQUESTS, BAD_UPLOADS)"
	@echo "make seeds      train organisms over seeds and architectures and audit each (SEEDS, a folder)"
	@echo "make conformance  every architecture of transformers against the truth; writes docs/architectures.md"
	@echo "make notebook   execute docs/notebooks again and write their outputs"
	@echo "make organisms  train the model organisms again; the weights are shipped, so this is rarely needed"
	@echo "make audit-dependencies  which pinned versions have a known vulnerability; status 3 where nobody could be asked   (ARGS)"
	@echo "make licences   write docs/licences.md"
	@echo "make install    the set-up alone"
	@echo "make clean      remove the set-up and caches; the data folder stays"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@PYTHON="$(PYTHON)" .ci/venv "$(VENV)"
	@.ci/pango "$(BIN)/python"
	@echo "installing into $(VENV); this happens once and takes some minutes"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

run: $(STAMP)
	@exec $(BIN)/expertscope serve --host $(HOST) --port $(PORT) $(ARGS)

test: $(STAMP)
	@.ci/chromium
	@.ci/postgres
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadscope $(ARGS)

test-postgres: $(STAMP)
	@.ci/postgres
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadscope --database postgresql tests/backend/db tests/backend/services tests/backend/api $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	@for name in capture recovery criteria statistics coverage tuning_cost dashboard; do $(BIN)/python -m benchmarks.$$name $(ARGS) || exit 1; done

# About half an hour on two cores.
chaos: $(STAMP)
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

fuzz: $(STAMP)
	GENERATED_REQUESTS=$${GENERATED_REQUESTS:-50} BAD_UPLOADS=$${BAD_UPLOADS:-10000} \
	  $(BIN)/python -m pytest tests/backend/api/test_generated_requests.py tests/backend/api/test_bad_uploads.py --capture=no $(ARGS)

# Two hours on two cores; may be cut off and taken up again.
seeds: $(STAMP)
	@mkdir -p $(SEEDS)
	@$(BIN)/python -m benchmarks.seeds train $(SEEDS) planted --families qwen3_moe olmoe qwen2_moe deepseek_v3 --seeds 5
	@$(BIN)/python -m benchmarks.seeds train $(SEEDS) attention --families qwen3_moe olmoe qwen2_moe deepseek_v3 mixtral --seeds 4
	@$(BIN)/python -m benchmarks.seeds audit $(SEEDS) --record $(SEEDS)/record.jsonl

conformance: $(STAMP)
	@rows=$$(mktemp) && trap 'rm -f "$$rows"' EXIT && $(BIN)/expertscope conformance --json $(ARGS) > "$$rows" \
	  && $(BIN)/python -m analysis.conformance.page < "$$rows" > docs/architectures.md

notebook: $(STAMP)
	@.ci/chromium
	$(BIN)/python -m tests.notebooks

organisms: $(STAMP)
	@$(BIN)/expertscope organism list | cut -f1 | while read -r name; do \
	  $(BIN)/expertscope organism train $$name --out analysis/organisms/weights/$$name || exit 1; done

audit-dependencies: $(STAMP)
	@$(BIN)/python -m tests.vulnerabilities $(ARGS)

licences: $(STAMP)
	@$(BIN)/python -m tests.licences

clean:
	rm -rf $(VENV) dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache test-results
	find analysis backend app tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
