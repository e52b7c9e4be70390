# Two commands do all the set-up: `make demo` and `make test`. They need Python 3.11+ and, on Debian and Ubuntu,
# `sudo apt install python3-venv make`. Options of the command go into ARGS: make demo ARGS="--learners 200"

VENV ?= .venv
BOOTSTRAP = VENV="$(VENV)" python3 scripts/bootstrap.py
BIN = $(VENV)/bin
ARGS ?=
REPORTS ?= build/tests

.DEFAULT_GOAL := help
.PHONY: help demo serve test bench load audit lint format docs openapi settings metrics tables lock clean

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | column -t -s '|' 2>/dev/null || grep '## ' Makefile

demo: ## Import a course, let 1,000 learners work in it, compute and print everybody's completion.
	@$(BOOTSTRAP) $(if $(findstring --from-logs,$(ARGS)),tracking,standalone)
	@$(BIN)/completion-aggregator demo $(ARGS)

serve: ## Serve the site on http://127.0.0.1:8000/, and keep progress current beside it.
	@$(BOOTSTRAP) standalone
	@$(BIN)/completion-aggregator serve $(ARGS)

test: ## Run every test that needs no server; say which were skipped and how to run them.
	@$(BOOTSTRAP) test
	@$(BIN)/python scripts/run_tests.py $(REPORTS) make-test --numprocesses=auto $(ARGS)

bench: ## Measure us beside the package we replace; needs MariaDB and ../shared beside the project.
	@$(BOOTSTRAP) test mysql
	@VENV=.venv-peer VENV_READY= python3 scripts/bootstrap.py peer
	@$(BIN)/python -m benchmarks $(ARGS)

load: ## Put a site under load while things go wrong; needs ARGS="--database URL --broker redis".
	@$(BOOTSTRAP) test
	@$(BIN)/python -m tests.load $(ARGS)

lint: ## Check format, rules, types and import contracts.
	@$(BOOTSTRAP) dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: ## Ask whether a locked version is known to be vulnerable, or was withdrawn.
	@VENV=.venv-audit python3 scripts/bootstrap.py audit
	@.venv-audit/bin/python scripts/audit.py

format: ## Format the code and mend what can be mended by machine.
	@$(BOOTSTRAP) dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: ## Build the documentation into build/docs; a warning is an error.
	@$(BOOTSTRAP) docs
	@$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet docs build/docs
	@echo "build/docs/index.html"

openapi: ## Write docs/reference/openapi.yaml anew, after a change of the API.
	@$(BOOTSTRAP) test
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/reference/openapi.yaml

settings: ## Write the tables of docs/reference/settings.md anew, after a change of a setting.
	@$(BOOTSTRAP) test
	@$(BIN)/python scripts/settings_page.py

metrics: ## Write the tables of docs/reference/metrics.md anew, after a change of a metric.
	@$(BOOTSTRAP) test
	@$(BIN)/python scripts/metrics_page.py

tables: ## Write the tables of docs/reference/tracking-tables.md anew, after a change of a table of tracking logs.
	@$(BOOTSTRAP) test
	@$(BIN)/python scripts/tables_page.py

lock: ## Compile requirements/*.in into the hashed locks (UPGRADE=--upgrade: to the newest versions).
	@$(BOOTSTRAP) dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/lock.sh $(UPGRADE)

clean: ## Remove what these commands made, the virtual environment included; your data stays.
	rm -rf "$(VENV)" build dist completion_aggregator.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
