# What a developer types. `.ci/run` is `make lint test`.

.PHONY: run build test soak lint fmt bench fuzz tools

run:
	cargo run --release

build:
	cargo build --release

# Everything on both engines and in both layouts. The binary first: the end-to-end suites start it as a user would. All targets at once,
# or the tests' own features would compile every dependency a second time.
test: tools
	cargo build --workspace --all-targets
	tests/postgres cargo test --workspace

# What takes too long for every day: kill -9, 20 times for each role, engine and layout, and 40 power cuts.
soak: tools
	cargo build --workspace --all-targets
	ONE_TEST_KILL_ROUNDS=20 tests/postgres cargo test -p tests --test mesh -- kill:: disk::

lint: tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
	tests/arrows
	cd proto && ../tests/node/node_modules/.bin/buf lint
	bash -n tests/install tests/postgres tests/redis fuzz/run .ci/run
	tests/python/.venv/bin/python -m compileall -q tests/python/*.py
	for file in tests/node/*.js; do node --check $$file; done

fmt:
	cargo fmt --all

# Ratios and CPU microseconds, from the operating system; and how long a burst and a mixed load wait.
bench:
	command -v strace >/dev/null || apt-get install -y -qq strace
	command -v redis-server >/dev/null || apt-get install -y -qq redis-server
	cargo build --release -p mesh -p bench
	target/release/bench

# Each fuzz target for FUZZ_SECONDS, 60 unless told; `make test` runs their seeds.
fuzz:
	fuzz/run

# Postgres, grpcurl, and Python and Node clients generated from the protos, where they are missing.
tools:
	tests/install
