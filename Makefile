# picluster: `make lab` boots a rack of stand-ins, pulls a plug and shows how it heals; `make test` proves that it works.
# Both install what they need and say so; run again, they are quick.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= $(shell command -v /usr/bin/python3 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := python3-venv python3-nftables mmdebstrap systemd-container nftables iproute2 openssh-client openssl \
	busybox-static podman runc containernetworking-plugins conntrack
# Only the tests need servers of etcd and of images; those that Debian starts with the packages are stopped again.
TEST_PACKAGES := etcd-server docker-registry
NODES ?= 3

.PHONY: help
help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

.PHONY: packages test-packages
test-packages: PACKAGES += $(TEST_PACKAGES)
packages test-packages:
	@missing=(); for name in $(PACKAGES); do \
		dpkg-query -W -f '$${db:Status-Status}' "$$name" 2>/dev/null | grep -qx installed || missing+=("$$name"); done; \
	if [ $${#missing[@]} -eq 0 ]; then exit 0; fi; \
	if [ "$$(id -u)" -ne 0 ]; then echo "not root, so these Debian packages stay missing: $${missing[*]}" >&2; exit 0; fi; \
	echo "==> installing Debian packages: $${missing[*]}"; \
	export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; \
	apt-get install -y -qq --no-install-recommends "$${missing[@]}" > /dev/null; \
	if [ ! -d /run/systemd/system ]; then exit 0; fi; \
	if [[ " $${missing[*]} " == *" etcd-server "* ]]; then systemctl disable -q --now etcd; fi; \
	if [[ " $${missing[*]} " == *" docker-registry "* ]]; then systemctl disable -q --now docker-registry; fi

# The virtual environment is as new as pyproject.toml; a half-made one has no stamp and is made again.
$(VENV)/.made-for-%: pyproject.toml
	@echo "==> making $(VENV) ($*)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { echo "cannot make $(VENV): install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$*]'
	@touch $@

.PHONY: lab
lab: packages $(VENV)/.made-for-cli ## Boot a rack, provision it, run an application, pull a plug, watch it heal (root)
	@[ "$$(id -u)" -eq 0 ] || { echo "boards need root: sudo make lab" >&2; exit 1; }
	$(BIN)/picluster lab up --nodes $(NODES)
	$(BIN)/picluster apply -f docs/examples/web.yaml --wait
	$(BIN)/picluster drill run power-cut --yes
	@$(BIN)/picluster status
	@echo; echo "The lab stays up. Next: $(BIN)/picluster --help; kubectl: $(BIN)/picluster kubeconfig > ~/.kube/picluster"
	@echo "Remove it with: sudo $(BIN)/picluster lab down"

.PHONY: test
test: test-packages $(VENV)/.made-for-dev lint ## All tests that can run here; says which tiers it left out and why
	$(BIN)/pytest -q

.PHONY: test-quick
test-quick: test-packages $(VENV)/.made-for-dev lint ## Everything but the boards
	$(BIN)/pytest -q -m "not lab and not slow"

.PHONY: bench
bench: $(VENV)/.made-for-dev ## Measure; a table to read, JSON on standard output
	@$(BIN)/python tests/bench/run.py

.PHONY: lint
lint: $(VENV)/.made-for-dev ## Style, types, import contracts
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports > /dev/null || $(BIN)/lint-imports

.PHONY: clean
clean: ## Remove what make made here, and the lab
	@if [ -x $(BIN)/picluster ] && [ "$$(id -u)" -eq 0 ]; then $(BIN)/picluster lab down; fi
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
