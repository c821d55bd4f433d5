# Signals from Scratch. `make` lists the targets. No make on your machine? README has the same steps as plain commands.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
PYTHONS := $(shell sed -n 's/^requires-python = "\(.*\)"/\1/p' pyproject.toml)
REPORT := --junit-xml=reports/tests.xml --html=reports/tests.html --self-contained-html

# One thread a process: two notebooks that share two cores with two threads each take ten times as long.
export OMP_NUM_THREADS ?= 1

.PHONY: help lab test lint gentle-lint tests course book live bench lock clean

help:
	@echo "make lab      set up, write your copies of the notebooks into work/, open JupyterLab"
	@echo "make test     set up, then lint, unit tests, every notebook, every learner copy; report in reports/"
	@echo "make course   execute every notebook (time, memory, ok; copies in executed/), rebuild figures/"
	@echo "make book     execute what has changed, build the course as a site in build/book/site, serve it on this machine"
	@echo "make live     a page on this machine where the course's models hear your microphone; nothing is sent anywhere"
	@echo "make bench    time decoding, caching and a training epoch"
	@echo "make lock     write requirements.txt anew from pyproject.toml; UPGRADE=--upgrade takes the newest that fit"
	@echo "make clean    remove reports and executed notebooks; work/, data/ and .venv/ stay"

# Runs again only when a requirement has changed.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import re, sys; bound = {sign: tuple(map(int, v.split("."))) for sign, v in re.findall("(>=|<)([0-9.]+)", "$(PYTHONS)")}; ok = bound[">="] <= sys.version_info[:2] < bound.get("<", (4,)); ok or print("The course needs Python $(PYTHONS); $(PYTHON) is", sys.version.split()[0] + ". Try: make $(MAKECMDGOALS) PYTHON=python3.12"); sys.exit(not ok)'
	@echo "Installing the course's packages into $(VENV): one to three minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e .
	@touch $@

lab: $(READY)
	$(BIN)/python -m course_lib lab

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Both at once: types take half a minute of one core, which the first notebooks need more.
test: $(READY)
	$(MAKE) --no-print-directory -j 2 gentle-lint tests

gentle-lint:
	nice $(MAKE) --no-print-directory lint

# Commands are tried in processes of their own: compiled once, the library starts a second sooner in each.
tests: $(READY)
	PYTHONDONTWRITEBYTECODE= COURSE_CHECK=raise $(BIN)/python -m pytest -q -n 2 --dist worksteal --warm-kernels --nbmake --nbmake-timeout=300 --modules $(REPORT) \
	  $(NOTEBOOKS) tests

course: $(READY)
	$(BIN)/python -m course_lib run --all
	$(BIN)/python -m course_lib figures

book: $(READY)
	$(BIN)/python -m course_lib book

live: $(READY)
	$(BIN)/python -m course_lib live

bench: $(READY)
	$(BIN)/python -m pytest -q $(wildcard tests/benchmarks/bench_*.py) --benchmark-columns=min,median,stddev,rounds

# Direct dependencies only, on every system alike: a whole lock would name one machine's build of torch.
# The present pins stay as far as they fit, unless UPGRADE says otherwise ("--upgrade-package numpy").
lock: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	cp requirements.txt $(VENV)/lock.txt
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --universal --fork-strategy fewest $(UPGRADE) \
	  --no-header --annotation-style line --output-file $(VENV)/lock.txt
	sed '/^#/!d' requirements.txt > $(VENV)/requirements.txt
	sed -n '/(pyproject.toml)/s/ *#.*//p' $(VENV)/lock.txt >> $(VENV)/requirements.txt
	mv $(VENV)/requirements.txt requirements.txt

clean:
	rm -rf reports executed .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
