PYTHON ?= python3
VLLM_PYTHON ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .cache/bin
VLLM := .cache/vllm
MATRIX := .cache/matrix
OLDEST_PYTHON ?= python3.10
NEWEST_PYTHON ?= python3.13
QUICK := -m "not slow" --numprocesses logical --maxprocesses 8 --dist worksteal

.PHONY: report
report: $(VENV)/main  # make a real report of this machine, and show where it is
	@$(BIN)/otel-usage report

.PHONY: test
test: lint $(TOOLS)/otelcol-usage $(TOOLS)/jaeger $(TOOLS)/kafka  # all checks and all tests
	$(BIN)/pytest --cov

.PHONY: unit
unit: $(VENV)/test  # the quick part, for the daily loop
	$(BIN)/pytest $(QUICK)

.PHONY: test-matrix
test-matrix: $(MATRIX)/oldest/ready $(MATRIX)/newest/ready  # the quick part with the oldest Python and OpenTelemetry, and with the newest
	$(MATRIX)/oldest/bin/pytest $(QUICK)
	$(MATRIX)/newest/bin/pytest $(QUICK)

.PHONY: soak
soak: $(VENV)/test  # the tests that have two sizes, in the larger one: takes most of an hour
	nice $(BIN)/pytest --soak -m soak --timeout 3600 --durations 0

.PHONY: mutants
mutants: $(VENV)/test  # mutation testing of the modules that carry the promises; MODULES=otel_usage/consent.py for some
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[mutants]'
	nice $(BIN)/python tests/mutants/run.py $(MODULES)

.PHONY: test-vllm
test-vllm: $(VENV)/test $(VLLM)/ready  # the real vLLM, end to end; 7 GB and a quarter of an hour
	$(BIN)/pytest tests/vllm

.PHONY: lint
lint: $(VENV)/test  # style, types and the import contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check otel_usage
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: docs
docs: $(VENV)/test  # write what is generated again: the tables of docs/facts.md, the report in README.md, and collector-config/
	$(BIN)/python tests/support/generated.py

.PHONY: otelcol
otelcol: $(TOOLS)/otelcol-usage  # the collector that collector-config/ is for

.PHONY: demo
demo: $(TOOLS)/otelcol-usage $(TOOLS)/jaeger $(VENV)/insights  # collector and Jaeger on this machine with reports in them, and a page that draws them
	@$(BIN)/python tests/support/demo.py

.PHONY: bench
bench: $(VENV)/test  # figures, as ratios within one run
	$(BIN)/python tests/bench/run.py

.PHONY: bench-insights
bench-insights: $(VENV)/test  # how fast a million collected spans are counted, and in what memory; 3 GB of disk
	$(BIN)/python tests/bench/insights.py

.PHONY: bench-gateway
bench-gateway: $(VENV)/test $(TOOLS)/otelcol-usage  # how much a gateway takes, with fsync and without
	PYTHONPATH=tests/support $(BIN)/python tests/bench/gateway.py

.PHONY: bench-vllm
bench-vllm: $(VENV)/test $(VLLM)/ready  # the same of the real vLLM, with the plugin and without
	$(BIN)/python tests/bench/real_vllm.py

.PHONY: clean
clean:  # remove what was made here
	rm -rf $(VENV) .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "otel_usage needs Python 3.10 or newer: set PYTHON=python3.x" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "this Python can't make a virtual environment: install its venv module (Debian: python3-venv)" >&2; exit 1; }

$(VENV)/main: $(VENV)/bin/python pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/insights: $(VENV)/bin/python pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[insights]'
	@touch $@ $(VENV)/main

$(VENV)/test: $(VENV)/bin/python pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/main $(VENV)/insights

$(MATRIX)/oldest/ready: pyproject.toml
	@$(OLDEST_PYTHON) -m venv $(MATRIX)/oldest
	@$(MATRIX)/oldest/bin/pip install --quiet --disable-pip-version-check --editable '.[test-any]' \
		'opentelemetry-api==1.27.*' 'opentelemetry-sdk==1.27.*' 'opentelemetry-exporter-otlp==1.27.*'
	@touch $@

$(MATRIX)/newest/ready: pyproject.toml
	@$(NEWEST_PYTHON) -m venv $(MATRIX)/newest
	@$(MATRIX)/newest/bin/pip install --quiet --disable-pip-version-check --upgrade --editable '.[test]'
	@touch $@

$(TOOLS)/otelcol-usage: collector-config/builder.yaml
	@.ci/tools otelcol

$(TOOLS)/jaeger:
	@.ci/tools jaeger

$(TOOLS)/kafka: tests/support/kafka/pom.xml
	@.ci/tools kafka

$(VLLM)/ready: tests/vllm/scripts/install.py pyproject.toml
	@$(VLLM_PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python $<
	@touch $@
