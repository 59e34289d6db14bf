# make demo, make demo-midi, make test, make test-long, make shown, make torture, make bench: each makes the virtual environment if it is not there yet.
# Without make, or on Windows: see CONTRIBUTING.md for the plain commands.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo demo-midi test test-long shown torture bench lint clean

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

demo-midi: $(VENV)/.installed
	$(BIN)/python examples/demo_midi.py

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

test-long: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "long and not alone and not shown" -n auto --maxprocesses 2 --dist worksteal
	$(BIN)/python -m pytest -m alone -n auto --maxprocesses 2 --dist loadfile

shown: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m shown

torture: $(VENV)/.installed
	$(BIN)/python tests/torture.py

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/bench.py

lint: $(VENV)/.installed-dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

clean:
	rm -rf $(VENV) demo demo-midi

$(VENV)/.installed: requirements.txt
	$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14) and 'Python 3.10 to 3.13 is needed: make PYTHON=python3.12')"
	@echo "Installing TensorFlow and what else is needed into $(VENV): this takes some minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@# The first import compiles; two at the same time would leave each other's code in the cache.
	$(BIN)/python -c "import librosa.onset, librosa.feature.spectral"
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-tuning.txt requirements-fetch.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@
