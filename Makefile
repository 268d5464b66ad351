# The front door of development. `make` lists what there is; .ci/ holds the few lines of shell behind it.

SHELL := /bin/bash

GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.8.0
GITLEAKS_VERSION      := v8.30.1

LINT    := .tools/golangci-lint-$(GOLANGCI_LINT_VERSION)
LEAKS   := .tools/gitleaks-$(GITLEAKS_VERSION)
MODULES := $(foreach dir,workers supabase oidc browser powersync,test/$(dir)/node_modules/.package-lock.json)
STEP    := .ci/step

# What one fuzz target gets: long enough in CI to leave the seeds, short enough elsewhere to be run.
FUZZTIME ?= $(if $(CI),20s,10s)

# Packages whose tests run under the race detector, those that take longest first; test/ runs without, because it measures and
# starts other programs.
RACED := ./pkg/store ./cmd/... ./pkg/... ./config/...

# SQLite is C translated to Go: looking for races in it takes more time than all of ours.
UNRACED := $(foreach package,sqlite/lib libc,-gcflags=modernc.org/$(package)=-race=false)

# Packages whose tests want the machine for themselves: they look at times and memory, or take all there is.
ALONE := ./test/e2e ./test/faults ./test/bench/...

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps ready build fmt lint secure unit race exact fuzz e2e faults soak test bench bench-compare microbench vuln clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

deps: ## Install what tests need: Debian packages, pinned tools, the Workers runtime, a browser, clients
	@$(STEP) 'system packages' .ci/deps install
	@$(STEP) 'pinned tools' $(MAKE) --no-print-directory $(LINT) $(LEAKS) $(MODULES)

$(LINT):
	GOBIN=$(CURDIR)/.tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv .tools/golangci-lint $@

$(LEAKS):
	GOBIN=$(CURDIR)/.tools go install github.com/zricethezav/gitleaks/v8@$(GITLEAKS_VERSION)
	mv .tools/gitleaks $@

# workerd's install script only links its program to another place; the others have none.
$(MODULES): test/%/node_modules/.package-lock.json: test/%/package-lock.json
	npm ci --prefix test/$* --ignore-scripts --no-audit --no-fund
	touch $@

# root and CI install what is missing; anybody else is told.
ready:
	@if [ "$$(id -u)" = 0 ] || [ -n "$$CI" ]; then $(MAKE) --no-print-directory deps; \
		else .ci/deps check $(LINT) $(LEAKS) $(MODULES); fi

build: ## Build ./provisioner
	@$(STEP) build env CGO_ENABLED=0 go build -trimpath -o provisioner .

fmt: $(LINT) ## Format the Go code
	@$(LINT) fmt

lint: $(LINT) ## Check style, imports, format, go.mod and the links of the documentation
	@$(STEP) golangci-lint $(LINT) run --allow-parallel-runners
	@$(STEP) format $(LINT) fmt --diff
	@$(STEP) go.mod go mod tidy -diff
	@$(STEP) 'documentation links' .ci/links

secure: $(LEAKS) ## Look for secrets in the history, and for known vulnerabilities where their database can be reached
	@$(STEP) gitleaks .ci/gitleaks
	@$(STEP) vuln .ci/vuln $(GOVULNCHECK_VERSION)

unit: ## Run the tests of the packages, quickly (test runs them as race and exact)
	@$(STEP) unit .ci/gotest -shuffle=on $(RACED)

race: ## Run the tests of the packages under the race detector
	@$(STEP) race .ci/gotest -race $(UNRACED) -shuffle=on $(RACED)

exact: ## Run the packages whose files tagged !race count allocations or time
	@$(STEP) exact .ci/exact

e2e: ## Run the end-to-end tests against real servers
	@$(STEP) e2e .ci/gotest -shuffle=on $$(go list ./test/... | grep -vxFf <(go list $(ALONE)))
	@$(STEP) 'e2e, alone' .ci/gotest -p 1 -shuffle=on $(ALONE)

faults: ## Break everything around the services, with 100,000 requests through rolling restarts
	@$(STEP) faults env FAULTS=full go test ./test/faults -v -count=1 -timeout 1h

soak: ## Ask steadily for an hour, or SOAK=15m, and see that nothing grows
	@$(STEP) soak env SOAK=$${SOAK:-1h} go test ./test/faults -run 'TestSoak$$' -v -count=1 -timeout 0

fuzz: ## Run every fuzz target for FUZZTIME each (default 10s, in CI 20s)
	@$(STEP) fuzz .ci/fuzz $(FUZZTIME)

test: ready ## Run all that CI runs
	@$(STEP) 'make test' $(MAKE) --no-print-directory lint secure race exact e2e fuzz

bench: ## Measure the provisioner beside its peers, all in one run, for docs/performance.md
	@go run ./test/bench -docs docs -ratios test/bench/ratios.json $(BENCH)

bench-compare: ## Fail if a request costs over 15 % more than committed in test/bench/ratios.json
	@go run ./test/bench -peers two-processes,one-process,bare,provision,bare-provision -rounds 5 -compare test/bench/ratios.json $(BENCH)

microbench: ## Run the Go benchmarks of the packages
	@$(STEP) microbench go test -run '^$$' -bench . -benchmem $(RACED)

vuln: ## Look for known vulnerabilities (needs https://vuln.go.dev, or a mirror: GOVULNDB=…)
	@$(STEP) vuln .ci/vuln $(GOVULNCHECK_VERSION)

clean: ## Remove what the other targets made
	rm -rf provisioner coverage.out .tools test/*/node_modules
