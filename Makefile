# Skipscope. `make` lists what there is to run. PYTHON names the interpreter that .venv is made with.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev
DOCS_READY := $(VENV)/.ready-docs
SKIPSCOPE := $(VENV)/bin/skipscope
STORE ?= runs/demo
BENCH ?= runs/bench
BUDGETS ?= 0.01,0.03
COUNT ?= 32
EXAMPLE := dashboard/example
MINI ?= runs/glide-mini
UPSAMPLER ?= runs/glide-upsampler
SD_MINI ?= runs/sd-mini

.PHONY: help demo paper bench dashboard example screenshots test test-slow coverage lint docs architecture wheel train-mini train-glide-upsampler train-sd-mini

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(RUN_READY) ## sweep the bundled glide-mini over Ray into runs/demo, find its phases, recommend and validate policies
	$(SKIPSCOPE) sweep configs/demo.yaml --store $(STORE)
	$(SKIPSCOPE) summary $(STORE) --sheet $(STORE)/reports/sheet.png
	$(SKIPSCOPE) phases $(STORE)
	compgen -G '$(STORE)/policies/*.json' >/dev/null || \
		$(SKIPSCOPE) recommend $(STORE) --max-damage $(BUDGETS) --count 24 -o $(STORE)/policies
	$(SKIPSCOPE) validate --keep --count $(COUNT) $(STORE)/policies/*.json
	@echo 'a picture by a policy, enlarged to 64x64 by the upsampler at full compute:'
	$(SKIPSCOPE) sample --policy "$$(ls $(STORE)/policies/*.json | head -n 1)" --model glide-mini-64 \
		--prompt 'a rocket above an apple on a gray background' -o $(STORE)/reports/sample-64.png
	@echo 'to look at all of it:    make dashboard'
	@echo 'to sample by a policy:   $(SKIPSCOPE) sample --policy $(STORE)/policies/mse-damage-0.01.json --prompt "a cat on a blue background" -o cat.png'
	@echo 'to apply it in Python:   policy = SkipPolicy.load("$(STORE)/policies/mse-damage-0.01.json")'
	@echo '                         with applied(policy, pipe): ...    # see the README'

paper: $(RUN_READY) ## the seed paper's study on glide-mini, into runs/paper: its claims beside what is found here
	$(SKIPSCOPE) paper configs/paper.yaml --store runs/paper

bench: $(RUN_READY) ## samplers and published methods side by side on glide-mini, into runs/bench (hours on a CPU); run again, it resumes
	$(SKIPSCOPE) bench configs/bench.yaml --out $(BENCH)

dashboard: $(RUN_READY) ## look at runs/demo (or the bundled example) in the browser, on 127.0.0.1
	$(SKIPSCOPE) dashboard $(if $(wildcard $(STORE)/sweep.json),$(STORE))

example: demo ## make the dashboard's example store again: a smaller sweep, with the demo's policies
	$(SKIPSCOPE) sweep configs/example.yaml --store $(EXAMPLE)
	cp $(STORE)/policies/*.json $(STORE)/policies/*.png $(EXAMPLE)/policies/

screenshots: $(DEV_READY) ## take the documentation's pictures of the dashboard on runs/demo
	$(PY) -m tests.browser.screenshots --store $(STORE)

test: $(DEV_READY) ## all tests but the slow ones
	$(PY) -m pytest -m "not slow"

test-slow: $(DEV_READY) ## the tests that take minutes
	$(PY) -m pytest -m slow

coverage: $(DEV_READY) ## the tests of `make test`, and the share of each file that they run
	rm -rf build/coverage && mkdir -p build/coverage
	$(PY) -m coverage run -m pytest -m "not slow"
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

lint: $(DEV_READY) ## style (ruff), types (mypy), who may import whom (import-linter)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

docs: $(DOCS_READY) ## build the documentation's site into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

architecture: $(DEV_READY) ## draw the picture of docs/architecture.md from the code
	$(PY) docs/draw_architecture.py

wheel: $(RUN_READY) ## build the wheel into dist/
	rm -rf build/lib build/bdist.*
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

train-mini: $(RUN_READY) ## train glide-mini from nothing into runs/glide-mini (hours on a CPU); run again, it resumes
	$(SKIPSCOPE) train-mini -o $(MINI)

train-glide-upsampler: $(RUN_READY) ## train glide-mini's upsampler into runs/glide-upsampler (an hour on a CPU); run again, it resumes
	$(SKIPSCOPE) train-glide-upsampler -o $(UPSAMPLER)

train-sd-mini: $(RUN_READY) ## train sd-mini on its bundled autoencoder into runs/sd-mini (an hour or two on a CPU); run again, it resumes
	$(SKIPSCOPE) train-sd-mini -o $(SD_MINI)

$(PY):
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; Python 3.11 or newer is needed (PYTHON=... names it)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $$($(PYTHON) --version) is too old; Python 3.11 or newer is needed (PYTHON=... names it)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN_READY): requirements.txt pyproject.toml | $(PY)
	@echo "installing requirements.txt into $(VENV) (minutes the first time; torch alone is large)"
	$(PIP) install --quiet -r requirements.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_READY): requirements-dev.txt $(RUN_READY)
	$(PIP) install --quiet -r requirements-dev.txt
	@touch $@

$(DOCS_READY): requirements-docs.txt | $(PY)
	$(PIP) install --quiet -r requirements-docs.txt
	@touch $@
