# The two commands a newcomer needs are `make demo` and `make test`; `make quick` after a change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PYTEST_ARGS ?=
export OMP_NUM_THREADS := 1
# Tests and demo start many processes; each would compile the whole package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup setup-bench demo test quick wheel-check fresh soak lint clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "twintier needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[twins,sumo,embedded,plots,onnx,onnx-export,dev]'
	touch $@

setup-bench: setup
	$(BIN)/pip install --quiet -c constraints.txt -e '.[bench]'

demo: setup
	$(BIN)/twintier demo $(ARGS)

# One worker a core; tests/conftest.py says which tests must not run beside one another.
test: setup
	$(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

# Under a minute and without services: what to run after each change.
quick: setup
	$(BIN)/python -m pytest -n auto --hypothesis-profile quick \
		-m 'not system and not slow and not soak and not wheel' $(PYTEST_ARGS)

# Builds the wheel and runs it in a fresh environment; wants a package index.
wheel-check: setup
	$(BIN)/python -m pytest -m wheel tests/system/test_wheel.py

# Half an hour: the two commands on a minimal Debian; wants root and debootstrap.
fresh: setup
	$(BIN)/python -m pytest -rs -m soak tests/system/test_fresh.py

# Over an hour; wants what `fresh` does, nats-server, and Debian's rabbitmq-server for its cluster.
soak: setup
	mkdir -p docs/benchmarks
	$(BIN)/python -m bench soak --json docs/benchmarks/soak.json

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
