# Short names for what is done often. .ci/run holds the stages.
.DEFAULT_GOAL := help
.PHONY: help test race lint format fuzz chaos vet-all features bench ci full

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: ## run the tests
	go test ./...

race: ## run the tests under the race detector
	.ci/run race

lint: ## check form and lint
	.ci/run format lint

format: ## rewrite the code in the wanted form
	.ci/run reformat

fuzz: ## run every fuzz target for some seconds (FUZZTIME=5m make fuzz)
	.ci/run fuzz

chaos: ## kill rows, workers and drivers for a while (CHAOSTIME=10m make chaos)
	.ci/run chaos

vet-all: ## vet for Linux, macOS and Windows
	.ci/run vet

features: ## write docs/features.md anew
	go run scripts/features.go

bench: ## measure against the floors
	go run ./cmd/xme bench

ci: ## what every change must pass, as the build server does it
	.ci/run

full: ## all that can be checked
	.ci/run full
