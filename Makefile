# SPDX-License-Identifier: Apache-2.0
SHELL := /bin/bash
.DEFAULT_GOAL := help
TOOLS := $(CURDIR)/bin/tools
LDFLAGS := -s -w

.PHONY: help build demo test race interop bench check generate lint fuzz clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/chartseal, bin/chartseal-provider and bin/chartseal-gator
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

demo: build ## Judge a handful of charts, offline, and leave them in ./demo
	@go run ./test/demo/cmd -chartseal bin/chartseal -dir demo $(if $(SERVE),-serve)

test: ## Run every test that needs only Go, make, gpg and a C compiler
	go test ./...

race: ## Run the same tests under the race detector
	go test -race -timeout 30m ./...

interop: build tools ## Run the tests against real helm, gpg, cosign, gator and registries
	CHARTSEAL_TOOLS=$(TOOLS) CHARTSEAL_BIN=$(CURDIR)/bin/chartseal CHARTSEAL_GATOR_BIN=$(CURDIR)/bin/chartseal-gator go test -count=1 -timeout 30m ./test/interop/...

soak: build ## Hold the provider that is shipped against a long time of load and change, SOAK=60s
	CHARTSEAL_SOAK=$(or $(SOAK),60s) CHARTSEAL_PROVIDER_BIN=$(CURDIR)/bin/chartseal-provider go test -count=1 -v -timeout 60m ./test/soak/...

.PHONY: soak

bench: build tools ## Measure against real helm, cosign, gator and Ratify in one run, then our parts alone
	test/tools/build.sh $(TOOLS) ratify
	CHARTSEAL_TOOLS=$(TOOLS) CHARTSEAL_BIN=$(CURDIR)/bin/chartseal CHARTSEAL_PROVIDER_BIN=$(CURDIR)/bin/chartseal-provider CHARTSEAL_GATOR_BIN=$(CURDIR)/bin/chartseal-gator go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./test/bench/...
	go test -run '^$$' -bench . -benchmem ./builtins/...

.PHONY: tools
tools: # real helm, cosign and registry, built from modules of their own
	test/tools/build.sh $(TOOLS) helm3 helm4 gatekeeper gator cosign2 cosign3 registry

e2e: cluster-tools tools build ## Run all of it in a real cluster: API server, Gatekeeper, registry, E2E_SECONDS=60
	E2E_SECONDS=$(E2E_SECONDS) CHARTSEAL_CLUSTER_TOOLS=$(CURDIR)/bin/cluster CHARTSEAL_TOOLS=$(TOOLS) CHARTSEAL_PROVIDER_BIN=$(CURDIR)/bin/chartseal-provider \
		CHARTSEAL_BIN=$(CURDIR)/bin/chartseal go test -count=1 -v -timeout 40m ./test/cluster/...

.PHONY: e2e cluster-tools
cluster-tools: # etcd, kube-apiserver, kubectl and Gatekeeper, built from a module of their own; takes minutes, once
	test/cluster/build.sh bin/cluster

# The library and the policies as one bundle of OPA, signed if KEY names a private key in PEM.
OUT := dist
CHARTSEAL := bin/chartseal
bundle: build ## Build dist/bundle.tar.gz of library and policies, VERSION=0.1.0, signed with KEY=… ALG=ES256
	@rm -rf $(OUT)/bundle && mkdir -p $(OUT)/bundle
	@cp -r rego/lib rego/engines/opa/. policies $(OUT)/bundle/
	@find $(OUT)/bundle -type f ! -name '*.rego' -delete && find $(OUT)/bundle -name '*_test.rego' -delete
	@echo '{"roots": ["lib", "main", "policies", "system"], "rego_version": 1}' > $(OUT)/bundle/.manifest
	$(CHARTSEAL) build --bundle $(OUT)/bundle --revision $(or $(VERSION),0.1.0) -o $(OUT)/bundle.tar.gz $(if $(KEY),--signing-key $(KEY) --signing-alg $(or $(ALG),ES256))

.PHONY: bundle

image: ## Build container images into OCI layouts in dist/images, VERSION=0.1.0
	go run ./deploy/image build --version $(or $(VERSION),0.1.0)

push: ## Push the images to REGISTRY, registry.example.com/chartseal say
	go run ./deploy/image push --version $(or $(VERSION),0.1.0) $(REGISTRY)

dist: ## Build the binaries of a release, with checksums, completions and man pages
	deploy/release/build.sh dist/release $(or $(VERSION),0.1.0)

.PHONY: image push dist

check: ## Check formatting, generated files, lint and Rego
	.ci/check

generate: ## Write what follows from the table of built-ins and from the policies
	go generate ./...

clean: ## Remove what was built
	rm -rf bin demo dist
