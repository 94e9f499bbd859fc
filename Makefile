# Every target sets up what it needs by itself in .venv; a later start finds it ready.

CONFIG = configs/heavy.toml
ARGS =
export PYTHON

# The environment of the caller must not decide where packages go, which modules are found, or that each start compiles everything again.
unexport PIP_USER PIP_TARGET PIP_PREFIX PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help bench bench-bare bench-peers test test-all test-nightly check lint format man lock clean environment

help: ## Show this list
	@echo 'make TARGET, where TARGET is'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: CONFIG=FILE (bench), ARGS="..." (passed on to zcload run or pytest), PYTHON=INTERPRETER (3.11 or newer)'

bench: environment ## Run the study in configs/heavy.toml and print its report
	@exec .venv/bin/zcload run $(CONFIG) $(ARGS)

bench-bare: environment ## Compare zcload's windows with a sender and receiver in C (ARGS="--rounds 20 --sink discard")
	@exec .venv/bin/python benchmarks/bare/side_by_side.py $(ARGS)

bench-peers: environment ## Compare zcload's windows with iperf3 (ARGS="--write docs/performance.md")
	@exec .venv/bin/python benchmarks/peers/side_by_side.py $(ARGS)

test: environment ## Run the tests that need no long load; ARGS=--rewrite-golden: write golden files anew
	@exec .venv/bin/python .ci/test.py $(ARGS)

test-all: environment ## Run all tests, the slow ones too, as CI does
	@exec .venv/bin/python .ci/test.py --all $(ARGS)

test-nightly: environment ## Run the generated sets of faults and altered inputs, which take two hours
	@exec .venv/bin/python .ci/test.py --nightly $(ARGS)

check: lint ## Everything a change must pass: format, lint, types, all tests
	@$(MAKE) --no-print-directory test-all

lint: environment ## Check format, lint and types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

format: environment ## Format the code and apply the safe fixes
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

man: environment ## Write the man page, build/zcload.1, from the help of the commands
	@exec .venv/bin/python .ci/man.py $(ARGS)

lock: ## Renew the locks (ARGS=--upgrade: newest versions)
	@python=$$(.ci/environment --python) && exec "$$python" .ci/lock.py $(ARGS)

clean: ## Remove all that make and the tools made; results stay
	rm -rf .venv .venv-servers .venv-consumers .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find zcload tests benchmarks .ci -name __pycache__ -prune -exec rm -rf {} +

environment:
	@.ci/environment
