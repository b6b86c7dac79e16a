# Set-up and checks; each target does all the set-up that it needs.

PYTHON ?= python3
BIN := .venv/bin
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
VIEW := .dev/radimpress

.PHONY: venv demo test test-faults test-bench test-vllm test-tgi lint proto proto-check check clean

venv: .venv/.done

# torch comes first: its wheel is much the largest, and the extras then find it there.
# The view is what type checkers and the import linter read; they cannot follow the editable install.
.venv/.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==$(TORCH)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	mkdir -p $(VIEW)
	for folder in reports clustering trainer eval server; do ln -sfn ../../$$folder $(VIEW)/$$folder; done
	ln -sfn ../../proto/radimpress/v1 $(VIEW)/v1
	touch $@

demo: venv
	$(BIN)/radimpress demo

# What takes longest has commands of its own: faults and fuzzing, and the benchmarks, which run as small as they can.
test: venv
	$(BIN)/pytest --ignore=tests/server/faults --ignore=tests/server/fuzz --ignore=tests/server/bench --ignore=tests/vllm

test-faults: venv
	$(BIN)/pytest tests/server/faults tests/server/fuzz

test-bench: venv
	$(BIN)/pytest tests/server/bench

# A real vLLM on the CPU, in an environment that the first run makes in the cache; VLLM_TEST_REQUESTS says how many.
test-vllm: venv
	$(BIN)/pytest tests/vllm

# Beside a TGI that runs, which RADIMPRESS_TGI_URL names: docs/deploy.md, "vLLM and TGI".
test-tgi: venv
	$(BIN)/pytest -rs tests/server/engines/test_tgi*.py

lint: venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=.dev $(BIN)/lint-imports
	$(BIN)/buf lint

proto: venv
	$(BIN)/python proto/generate.py

proto-check: venv
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(BIN)/python proto/generate.py "$$fresh" && \
	diff -r -x '*.proto' -x __init__.py -x py.typed -x __pycache__ "$$fresh/radimpress/v1" proto/radimpress/v1 && \
	echo 'The stubs are those of the .proto files.'

# One after the other even under -j, so that the tests' closing line stays the last.
check:
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory proto-check
	$(MAKE) --no-print-directory test

clean:
	rm -rf .venv .dev .cache build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
