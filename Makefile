# The two commands are `make demo` and `make test`; each does all its own set-up in .venv/.

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ORACLE := .venv-oracle
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help demo studio test format lint types unit contract e2e test-slow generated-samples images test-containers oracle lock release clean clean-demo

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## run the whole chain on the six sample songs and print where the new pieces are
	$(BIN)/python scripts/demo.py

studio: $(INSTALLED) ## open the page on which one works with songs and pieces
	$(BIN)/python -m ambient.studio --open

test: $(INSTALLED) ## everything that must pass: format, lint, types, unit, contract, end to end
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks scripts
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report term -rs

format: $(INSTALLED) ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(INSTALLED) ## ruff
	$(BIN)/ruff check .

types: $(INSTALLED) ## mypy
	$(BIN)/mypy
	$(BIN)/mypy benchmarks scripts

unit contract e2e: $(INSTALLED) ## one kind of test alone
	$(BIN)/python -m pytest tests/$@

test-slow: $(INSTALLED) ## the tests at real size, minutes
	$(BIN)/python -m pytest -m slow

generated-samples: $(INSTALLED) ## compose and render samples/generated anew, after a change of the composer or of the sound
	$(BIN)/python -m stages.generate --inputs samples/midi --length 640 --save_path samples/generated
	$(BIN)/python -m stages.render --input samples/generated --output samples/generated --picture

images: ## build the four images; ENGINE= and BASE_IMAGE= choose with what (see scripts/build_images.sh)
	scripts/build_images.sh

test-containers: $(INSTALLED) images ## stages and chain in the images, without network
	$(BIN)/python -m pytest -m container tests/container tests/unit/localpach/test_container.py
test-containers: export LOCALPACH_TEST_IMAGE = ambient-music-generation/generate:$(VERSION)
ifdef ENGINE
test-containers: export LOCALPACH_ENGINE = $(ENGINE)
endif

oracle: $(INSTALLED) $(ORACLE)/.installed ## compare transcriber and tokens with Magenta's own code (2 GB, Python 3.11)
	$(ORACLE)/bin/python tests/oracle/magenta_reference.py $(ORACLE)/reference 2>$(ORACLE)/log || { tail -5 $(ORACLE)/log >&2; exit 1; }
	$(ORACLE)/bin/python tests/oracle/note_seq_reference.py $(ORACLE)/reference 2>>$(ORACLE)/log || { tail -5 $(ORACLE)/log >&2; exit 1; }
	AMBIENT_ORACLE=$(ORACLE)/reference $(BIN)/python -m pytest -m oracle -s tests/oracle

lock: $(INSTALLED) ## resolve requirements/*.lock anew from pyproject.toml (needs uv)
	for group in audio generate onsets-and-frames music-transformer gpu studio dev; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --extra $$group pyproject.toml -o requirements/$$group.lock --quiet || exit 1; done

release: $(INSTALLED) ## check version and changelog, run the tests, build the wheel into dist/, set the tag
	$(BIN)/python scripts/release.py check
	$(MAKE) test
	$(BIN)/python scripts/release.py build

clean: ## remove the environments and caches; .localpach/ and demo/ stay
	rm -rf $(VENV) $(ORACLE) .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info

clean-demo: ## remove what localpach keeps here (all repos and results in .localpach/) and demo/
	rm -rf .localpach demo

$(INSTALLED): requirements/dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no python3 found; Python 3.11 to 3.13 is needed. Install it or run make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("error: $(PYTHON): Python %d.%d; TensorFlow needs 3.11 to 3.13. Run make PYTHON=/path/to/python3.11" % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(ORACLE)/.installed: requirements/oracle.lock
	@command -v python3.11 >/dev/null || { echo "error: no python3.11 found; Magenta's code needs it. Install it" >&2; exit 1; }
	python3.11 -m venv --clear $(ORACLE)
	$(ORACLE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements/oracle.lock
	@touch $@
