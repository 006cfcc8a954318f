# What this repository can do, a line each: `make help`. Only cargo is needed for run, test, verify, proof and bench.
#
# One profile (dev) and one set of features (the whole workspace, its tests included) serve build, test, proof and peers,
# so that nothing is built twice. `make run` builds the one binary that it needs, and `make bench` in release;
# `make bench BENCH=--quick` passes its arguments on (`tests/bench/README.md`).

.DEFAULT_GOAL := help
.PHONY: help run test verify build proof soak peers bench

CARGO ?= cargo
# Nobody watches in CI: there the lock file is binding everywhere.
LOCKED := $(if $(CI),--locked,)

help: ## list the targets, a line each
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## run every service in one process on loopback: data in ./.latchkey-dev, Ctrl-C ends it
	@$(CARGO) run $(LOCKED) --package latchkey -- dev

# Property tests draw the same cases each time here, and new ones in `make proof`: what fails here fails again.
test: ## pass all tests; needs nothing but cargo
	@PROPTEST_RNG_SEED=$${PROPTEST_RNG_SEED:-1} $(CARGO) test $(LOCKED) --workspace --quiet $(if $(CI),--no-fail-fast,)

verify: ## check format, lints and documentation; changes nothing
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets --quiet -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

build: ## build all that test, proof and peers run
	@$(CARGO) build $(LOCKED) --workspace --all-targets

proof: build ## kill, cut power, plant bugs, draw new seeds: 10 minutes; only a wrong result fails, never a slow one
	@CARGO="$(CARGO)" ./.ci/proof short

soak: build ## the long form of proof: hours, all counts of the reliability targets
	@CARGO="$(CARGO)" ./.ci/proof long

peers: build ## install parts that others wrote (apt, pip, npm, go) into .cache, and test against them
	@CARGO="$(CARGO)" ./.ci/peers

bench: ## measure in release, in ten minutes, against bare handlers and, where they are installed, Redis and etcd
	@command -v redis-server >/dev/null && command -v etcd >/dev/null || \
		echo "bench: for all comparisons: apt-get install redis-server etcd-server" >&2
	@$(CARGO) run $(LOCKED) --quiet --release --package latchkey-bench -- $(BENCH)
