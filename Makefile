# make run | make test | make bench | make lint. Each installs what it needs into .venv.
.PHONY: run test bench lint pictures browser

PYTHON ?= python3
BIN := .venv/bin/python

run: .venv/run.stamp
	@$(BIN) -m honcho start

test: .venv/dev.stamp browser lint
	$(BIN) -m pytest -n 2 --dist loadfile

bench: .venv/dev.stamp browser
	$(BIN) -m bench all

lint: .venv/dev.stamp
	$(BIN) -m ruff check
	$(BIN) -m ruff format --check
	$(BIN) -m mypy
	.venv/bin/python -c "from importlinter.cli import lint_imports_command as c; c()"

pictures: .venv/run.stamp .venv/dev.stamp browser
	$(BIN) -m bench.pictures

.venv/run.stamp: requirements.txt
	@$(PYTHON) -m venv .venv || { [ "$$(id -u)" = 0 ] && apt-get update -qq \
	  && apt-get install -y -qq python3-venv && $(PYTHON) -m venv .venv; } \
	  || { echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }
	$(BIN) -m pip install -q --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements-dev.txt
	$(BIN) -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Browser tests use Debian's chromium; without it and without root they are skipped with a word.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } \
	  || echo "No chromium and no root to install it: browser tests will be skipped."
