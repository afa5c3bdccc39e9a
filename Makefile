# Needs Python >= 3.10, make and a C++20 compiler; everything else goes into .venv by itself.
#
#   make demo       train on 5 % of the neurons beside the dense network, on real data where there is some
#   make test       the test suite, with the doctests
#   make bench      every measure, on this machine, into benchmarks/results; needs the data sets
#   make reproduce  the paper's experiments on small networks, in less than four minutes
#   make docs       the documentation into build/site, warnings as errors, and checks of what was built
#   make docs-serve the same while it is written, on http://127.0.0.1:8000
#   make instructions       the kernels' instruction counts against those kept (needs valgrind)
#   make instructions-keep  keep the counts of today
#   make wheel      the source distribution, and a wheel for this Python, into dist
#   make wheel-test         all tests that need no compiler, on that wheel in a clean environment without one
#   make wheel-check        the same with a minute's worth of tests
#   make lint       formats, rules, types and spelling
#   make sanitize   the C++ core's tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make format     rewrite the sources in the project's format
#   make clean      remove everything that make made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SANITIZE := build/sanitize
INSTRUCTIONS := build/instructions
REPORT := build/report
SITE := build/site
# Python itself leaks at exit; memory that cannot be had is refused to the caller, as without a sanitizer.
ASAN := detect_leaks=0:allocator_may_return_null=1:strict_init_order=1

PIP_INSTALL := -m pip install -qq --disable-pip-version-check
# Without isolation the compiler's folder survives between installs: a changed file recompiles alone.
PROJECT_INSTALL := $(PIP_INSTALL) --no-build-isolation --check-build-dependencies
BUILD_TOOLS := scikit-build-core nanobind cmake ninja

CORE := $(wildcard core/* core/*/*)
BUILD_FILES := pyproject.toml CMakeLists.txt $(CORE)
CPP := $(filter %.cpp %.h %.inl,$(CORE)) $(wildcard benchmarks/*.cpp)
PY := src tests examples benchmarks tools docs/generate
WORKFLOWS := $(wildcard .github/workflows/*.yml)
WORDS := $(PY) core docs/site README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md

# Tests that reach the core; the others would only run more Python under the sanitizers.
CORE_TESTS := $(filter-out $(addprefix tests/test_,bench% callbacks% cli% datasets% demo% docs% estimators% experiments% export_hub% export_onnx% pages% plot% progress% readme%), \
	$(wildcard tests/test_*.py))

.PHONY: demo test bench reproduce docs docs-serve instructions instructions-keep wheel wheel-test wheel-check lint sanitize \
	format clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

demo: $(VENV)/.core
	$(BIN)/python examples/demo.py

test: $(VENV)/.core $(VENV)/.test
	$(BIN)/python -m pytest

bench: $(VENV)/.core $(VENV)/.test
	$(BIN)/hashgrad bench --out benchmarks/results

reproduce: $(VENV)/.core $(VENV)/.test
	rm -rf $(REPORT)
	timeout 240 $(BIN)/hashgrad reproduce --quick --out $(REPORT)
	HASHGRAD_REPORT=$(REPORT)/report.html $(BIN)/python -m pytest -q tests/test_experiments_browser.py

# MkDocs tells, at every build, of a successor that is not there yet.
docs docs-serve: export NO_MKDOCS_2_WARNING := 1

docs: $(VENV)/.core $(VENV)/.test $(VENV)/.docs
	$(BIN)/mkdocs --quiet build --strict --clean
	HASHGRAD_SITE=$(SITE) $(BIN)/python -m pytest -q tests/test_docs_site.py

docs-serve: $(VENV)/.core $(VENV)/.docs
	$(BIN)/mkdocs serve

instructions: $(INSTRUCTIONS)/instructions
	$(BIN)/python benchmarks/instructions.py $<

instructions-keep: $(INSTRUCTIONS)/instructions
	$(BIN)/python benchmarks/instructions.py $< --write

$(INSTRUCTIONS)/instructions: benchmarks/instructions.cpp $(VENV)/.core
	$(BIN)/cmake -S . -B $(@D) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
		-DPython_EXECUTABLE=$(abspath $(BIN))/python -DCMAKE_BUILD_TYPE=Release > $(@D).log
	$(BIN)/cmake --build $(@D) --target instructions >> $(@D).log

wheel: $(VENV)/.dev
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/wheel.py --out dist

wheel-test: wheel
	$(PYTHON) tools/wheel_test.py dist

wheel-check: wheel
	$(PYTHON) tools/wheel_test.py dist --quick

lint: $(VENV)/.core $(VENV)/.test $(VENV)/.dev
	$(BIN)/ruff format --check $(PY)
	$(BIN)/ruff check $(PY)
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/codespell $(WORDS)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(WORKFLOWS)

format: $(VENV)/.dev
	$(BIN)/ruff format $(PY)
	$(BIN)/ruff check --fix $(PY)
	$(BIN)/clang-format -i $(CPP)

sanitize: $(SANITIZE)/.core
	ASAN_OPTIONS=$(ASAN) UBSAN_OPTIONS=print_stacktrace=1 \
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	$(SANITIZE)/venv/bin/python -m pytest -m "not slow" $(CORE_TESTS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis src/hashgrad/_core.pyi
	find $(PY) -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment and what builds the core.
$(VENV)/.tools:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "hashgrad needs Python 3.10 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) --upgrade pip
	$(BIN)/python $(PIP_INSTALL) $(BUILD_TOOLS)
	touch $@

# The package itself: edits of Python files count at once, edits of the core at the next make.
$(VENV)/.core: $(VENV)/.tools $(BUILD_FILES)
	@echo "building the C++ core (a minute the first time)"
	$(BIN)/python $(PROJECT_INSTALL) -e .
	cp "$$($(BIN)/python -c 'import hashgrad._core as c, pathlib; print(pathlib.Path(c.__file__).parent)')/_core.pyi" src/hashgrad/
	touch $@

# What tests, linters and the documentation need besides.
$(VENV)/.test $(VENV)/.dev $(VENV)/.docs: $(VENV)/.%: pyproject.toml | $(VENV)/.core
	$(BIN)/python $(PROJECT_INSTALL) -e '.[$*]'
	touch $@

# A second build of the core, in an environment of its own, with every check compiled in.
$(SANITIZE)/.core: $(BUILD_FILES)
	test -d $(SANITIZE)/venv || $(PYTHON) -m venv $(SANITIZE)/venv
	$(SANITIZE)/venv/bin/python $(PIP_INSTALL) --upgrade pip
	$(SANITIZE)/venv/bin/python $(PIP_INSTALL) $(BUILD_TOOLS)
	HASHGRAD_SANITIZE=ON $(SANITIZE)/venv/bin/python $(PROJECT_INSTALL) \
		-C build-dir=$(SANITIZE)/cmake -e '.[test]'
	touch $@
