# Two commands are all a newcomer needs: `make quickstart` and `make test`.
# Both set up .venv first; PYTHON=python3.12 chooses the interpreter.

VENV := .venv
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.10; do \
	"$$name" -c '$(SUPPORTED)' 2>/dev/null && { echo "$$name"; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow test-pi fuzz lint typecheck results studies zoo docs docs-serve types wheel release-check constraints chromium clean

help:
	@echo 'make quickstart   train, export, predict and benchmark on real digits (about 5 minutes)'
	@echo 'make test         the fast tests'
	@echo 'make test-slow    the tests that run TensorFlow, and those that build environments, on all cores'
	@echo 'make test-pi      the same answers on a Raspberry Pi: its systems under QEMU (about 8 minutes)'
	@echo 'make fuzz         damaged files for every reader (5 minutes each)'
	@echo 'make lint         ruff'
	@echo 'make typecheck    mypy --strict'
	@echo 'make results      train and measure on all of MNIST, and renew docs/results and the tables'
	@echo 'make studies      measure the runtime and the benchmark themselves, and renew their tables'
	@echo 'make zoo          export the published models, and count anew with the raw engines what they have right'
	@echo 'make docs         build the site in build/site, and check its links'
	@echo 'make docs-serve   the site, for a browser on this machine'
	@echo 'make wheel        build the wheel in dist/'
	@echo 'make release-check  build, check and try both archives: each extra in an environment of its own'
	@echo 'make constraints  renew the tested versions'
	@echo 'make clean        remove .venv, build and caches (never your runs)'

quickstart: $(VENV)/installed
	@$(VENV)/bin/edgeport quickstart --overwrite

# One worker a core, four at most: each may hold TensorFlow. WORKERS=0 runs one test after the other, as for a debugger.
WORKERS ?= auto
PARALLEL := --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed
	@OMP_NUM_THREADS=1 $(VENV)/bin/pytest $(PARALLEL)
	@echo 'Fast tests passed. Next: make quickstart (the whole job) or make test-slow (TensorFlow and all).'

test-slow: $(VENV)/installed chromium
	@$(VENV)/bin/pytest -m slow --durations 40 $(PARALLEL)

# OPTIONS='EXPORT --save' takes that export, and renews docs/results/test-pi.json.
test-pi: $(VENV)/installed
	@$(VENV)/bin/python tests/pi/run.py $(OPTIONS)

# OPTIONS='--seconds 30 manifest report' takes these alone, for less.
fuzz: $(VENV)/installed
	@$(VENV)/bin/python tests/robustness/fuzz.py $(OPTIONS)

lint: $(VENV)/installed
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

# mypy and the site's reference do not follow an editable install, so they are given the packages as links.
types:
	@mkdir -p build/types/edgeport
	@for layer in train export runtime benchmarks; do ln -sfn "../../../$$layer" "build/types/edgeport/$$layer"; done

typecheck: $(VENV)/installed types
	@$(VENV)/bin/mypy

# The variable hides an advertisement.
docs: $(VENV)/installed types
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict
	@echo 'Built build/site; look at it with: make docs-serve'

docs-serve: $(VENV)/installed types
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs serve --quiet --dev-addr 127.0.0.1:8000

results: $(VENV)/installed
	@docs/results/make.sh

studies: $(VENV)/installed
	@docs/results/studies.sh

zoo: $(VENV)/installed
	@docs/results/zoo.sh

# From a copy: setuptools would take modules that are gone from a build folder that it left behind.
wheel: $(VENV)/installed
	@rm -rf build/wheel && mkdir -p build/wheel
	@cp -R LICENSE README.md pyproject.toml train export runtime benchmarks build/wheel/
	@$(VENV)/bin/python -m build --outdir dist build/wheel

# OPTIONS='tflite all' tries these extras alone.
release-check: wheel
	@$(VENV)/bin/python tests/release/check.py $(OPTIONS)

# Overridden: 32-bit ARM's bound on numpy (it takes the runtime alone, with a numpy of its own), and
# backports.strenum, whose later versions refuse the newer Pythons that ai-edge-litert wants it on.
constraints:
	@$(PYTHON) -m venv build/resolver && build/resolver/bin/python -m pip install --quiet uv
	@printf 'numpy>=2\nbackports-strenum<1.3\n' >build/overrides.txt
	@{ echo '# Versions tested together, for every Python that edgeport supports; renew with: make constraints'; \
		build/resolver/bin/uv pip compile --quiet --universal --python-version 3.10 --python build/resolver/bin/python \
		--extra all --extra dev --upgrade --overrides build/overrides.txt \
		--no-emit-index-url --no-annotate --no-header pyproject.toml; \
	} >build/constraints.txt
	@mv build/constraints.txt constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

$(VENV)/installed: pyproject.toml constraints.txt
	@test -n '$(PYTHON)' || { echo 'edgeport needs Python 3.10 to 3.13, and none was found. Install one, or: make PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { echo 'edgeport needs Python 3.10 to 3.13, and PYTHON=$(PYTHON) is not one.' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory python-venv
	@echo 'Setting up $(VENV) with $(PYTHON) (TensorFlow included: this takes a minute or more) ...'
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

# Debian, Ubuntu and Raspberry Pi OS ship Python without its venv module.
.PHONY: python-venv
python-venv:
	@$(call apt_install,python3-venv,edgeport needs the module venv of $(PYTHON).)

# The tests open report.html in it.
chromium:
	@command -v chromium >/dev/null || { $(call apt_install,chromium,The slow tests open report.html in Chromium.); }

# $(1): a Debian package; $(2): why it is needed.
define apt_install
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq -y $(1) >/dev/null; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
		sudo apt-get update -qq && sudo apt-get install -qq -y $(1) >/dev/null; \
	else \
		echo "$(2) Run: sudo apt install $(1)" >&2; exit 1; \
	fi
endef
