# The course's commands; `make` alone lists them. Works with GNU make 3.81 and a plain shell.
#
# PYTHON=/path/to/python3   the Python to build .venv with (3.11 or newer; found by itself if not given)
# FOLDER=my-course          the folder to work in; LAB_ARGS="--port 9999"  more arguments for `make lab`
# SOLVED=1                  the answers, too, in `make site` and `make slides`
# BENCH_ARGS="--only mark"  a part of `make bench`; benchmarks/run.py --help has them all
# CAPSTONE_ARGS="--seeds 3" a part of `make capstone`; benchmarks/comparison.py --help has them all

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.set-up
TESTS := $(VENV)/.set-up-test
SITED := $(VENV)/.set-up-site
OTTER := $(VENV)/otter

FOLDER     ?= my-course
LAB_ARGS   ?=
TEST_ARGS  ?=
BENCH_ARGS ?=
CAPSTONE_ARGS ?=

# A folder that was moved or copied carries a .venv whose scripts still point to the old place.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
MOVED := moved
endif

# Two threads gain nothing on the course's small matrices; on a busy machine they wait for each other.
export OMP_NUM_THREADS ?= 1

.PHONY: help lab setup test test-all build lessons site slides bench capstone lint clean moved

help:
	@echo "make lab       set up once, then open JupyterLab in $(FOLDER)/, your copy of the lessons"
	@echo "make test      set up once, then the tests that a newcomer runs: every check, every lesson once"
	@echo "make test-all  every test: more seeds, learning, broken notebooks, nbgrader, a browser"
	@echo "make setup     the set-up alone: $(VENV) with what a student needs, and $(BIN)/rlcourse"
	@echo "make build     build the students' notebooks/ from solutions/"
	@echo "make lessons   run every lesson solved and print the processor seconds of each"
	@echo "make site      build the web site in build/site/html; SOLVED=1 with the answers"
	@echo "make slides    make the slides in build/slides, one file a lesson; SOLVED=1 with the answers"
	@echo "make bench     compare with Stable-Baselines3, side by side; takes hours"
	@echo "make capstone  run the comparison of lesson 20 again, seed by seed; takes about 13 minutes of CPU"
	@echo "make lint      check the style of the code"
	@echo "make clean     remove $(VENV) and the caches; lessons and answers stay"

lab: setup
	@[ -d $(FOLDER)/.rlcourse ] || $(BIN)/rlcourse start $(FOLDER)
	$(BIN)/rlcourse lab $(FOLDER) $(LAB_ARGS)

setup: $(STAMP)

test: $(TESTS)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not full" $(TEST_ARGS)

# Two workers leave a fifth of two cores idle, waiting for kernels, browsers and sleepers.
test-all: $(TESTS) $(SITED)
	$(BIN)/python -m pytest -n 3 --dist worksteal $(TEST_ARGS)

lessons: setup
	$(BIN)/rlcourse lessons

build: setup
	$(BIN)/rlcourse build

site: $(SITED)
	$(BIN)/rlcourse site $(if $(SOLVED),--solved)

slides: $(SITED)
	$(BIN)/rlcourse slides $(if $(SOLVED),--solved)

bench: $(TESTS)
	@$(BIN)/python -c 'import stable_baselines3' 2>/dev/null \
	|| $(BIN)/python -m pip install --disable-pip-version-check --root-user-action=ignore \
		--constraint constraints.txt --no-build-isolation --editable '.[test,bench]'
	@[ -x $(OTTER)/bin/otter ] || { $(BIN)/python -m venv $(OTTER) && \
		$(OTTER)/bin/python -m pip install --quiet --disable-pip-version-check 'otter-grader==7.0.*'; }
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)
	$(BIN)/python benchmarks/grading.py --otter $(OTTER)/bin/python

capstone: setup
	$(BIN)/python benchmarks/comparison.py $(CAPSTONE_ARGS)

lint: $(TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is installed is said in rlcourse/setup.py, which writes the stamps last: a set-up that was interrupted
# is taken up again. The tests and the site need what a student needs, and more.
$(STAMP) $(TESTS) $(SITED): pyproject.toml constraints.txt $(MOVED)
	@set -e; \
	new=$(BIN)/python; bare=; \
	if ! $$new -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		new=; \
		for python in $(PYTHON) $(if $(PYTHON),,python3.13 python3.12 python3.11 python3); do \
			"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
			if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then new=$$python; break; fi; \
			bare=$$python; \
		done; \
		if [ -z "$$new" ] && [ -n "$$bare" ]; then \
			echo "$$bare has no venv and pip: install them (on Debian and Ubuntu the package python3-venv), then run make again." >&2; exit 2; \
		elif [ -z "$$new" ]; then \
			echo "The course needs Python 3.11 or newer, and $(or $(PYTHON),this machine) has none: install one, or name it with make PYTHON=/path/to/python3." >&2; exit 2; \
		fi; \
	fi; \
	"$$new" -m rlcourse.setup $(patsubst $(STAMP)-%,--%,$(filter-out $(STAMP),$@))
