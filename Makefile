# The tasks of this repository. `make run` and `make test` set up what they need by themselves.
# One build profile (release) for everything, so that RocksDB is compiled once, outside the working tree.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/sealgate/target
# RocksDB's bindings are generated with libclang, which does not know where gcc keeps stddef.h.
export BINDGEN_EXTRA_CLANG_ARGS ?= -I$(shell gcc -print-file-name=include)

CARGO ?= cargo
VENV := $(HOME)/.cache/sealgate/venv
BIN := $(CARGO_TARGET_DIR)/release/sealgate
# Arguments for `sealgate serve`: make run ARGS="--listen 127.0.0.1:9100"
ARGS ?=

# The client tests that run through an upstream, too. What is not here says nothing of a store (the README's commands, the
# configuration, the tables of threats, signatures), or is of keys more than of objects.
UPSTREAM_CLIENTS := $(addprefix tests/clients/test_, $(addsuffix .py, boto3 tagging acl access addressing attributes audit awscli \
	blocked bucket_keys cors edge edge_forms edge_input edge_keys kms kms_rotation \
	leaks metrics races rewrap tools_cli tools_minio unencrypted usage versioning versions ways))

# Of these files a part, as there is time for; all of them pass. The matrix: sources under one key of a kind, short ones for
# CopyObject and some long ones for UploadPartCopy (test_boto3 has parts copied from every mode). The surface: each operation's answer, and the parameters of multipart uploads,
# listings and deletions.
UPSTREAM_SOME := $(addprefix tests/clients/test_, $(addsuffix .py, matrix surface)) -k \
	"(test_matrix and not two and not single-UploadPartCopy and not multipart-CopyObject and not (multipart and (KMS or BK))) or \
	an_answer_has_these_members or \
	(does_what_it_says and (CompleteMultipartUpload or UploadPart or ListParts or ListMultipartUploads or ListObjects or \
	DeleteObject or UpdateObjectEncryption))"

UPSTREAM_OSS := $(addprefix tests/oss/test_, $(addsuffix .py, buckets cdn cross errors go_sdk hosts multipart objects ossutil \
	sse stored urls))

.PHONY: help setup build run test test-upstream check fmt fmt-check lint doc bench deny

help:
	@echo "make run    build, make a credential if there is none, and serve on 127.0.0.1:9000"
	@echo "make test   unit, property and client tests"
	@echo "make check  format, lints, tests, documentation, clean tree (as CI does)"
	@echo "make fmt | bench | deny"

setup:
	@.ci/setup --clients

build:
	@.ci/setup
	$(CARGO) build --release --locked --bin sealgate

run: build
	@deploy/run-local "$(BIN)" $(ARGS)

test: setup
# This builds the binary too, as integration tests need one: a build of its own would compile half the dependencies again,
# without the features that the tests' dependencies ask for.
	$(CARGO) test --release --locked
	@if [ -d tests/clients ]; then \
		SEALGATE_BIN="$(BIN)" PATH="$(VENV)/bin:$$PATH" \
			"$(VENV)/bin/pytest" -q -n 2 -p no:cacheprovider tests/clients && \
		SEALGATE_BIN="$(BIN)" PATH="$(VENV)/bin:$$PATH" \
			"$(VENV)/bin/pytest" -q -n 2 -p no:cacheprovider tests/oss && \
		SEALGATE_BIN="$(BIN)" PATH="$(VENV)/bin:$$PATH" \
			"$(VENV)/bin/pytest" -q -n 2 -p no:cacheprovider tests/durability; \
	fi
# One throw-away Ceph for all that needs an upstream. Where none can be had, this says what it left out.
	@tests/upstream/ceph.py try $(MAKE) --no-print-directory test-upstream

# Against the object store that SEALGATE_TEST_UPSTREAM names: what the store promises, fleets and faults, what
# deploy/ starts, and most of the client tests through it.
test-upstream:
	$(CARGO) test --release --locked --lib -- --include-ignored --test-threads 4 store::upstream \
		--skip ten_thousand_small_parts
# The same promises of an upstream that speaks OSS, which is another sealgate, and an upload of 10,000 parts, for which a Ceph on
# two cores takes minutes. OSS has no names that begin with a slash.
	SEALGATE_BIN="$(BIN)" PATH="$(VENV)/bin:$$PATH" tests/upstream/itself.py run \
		$(CARGO) test --release --locked --lib -- --include-ignored --test-threads 4 store::upstream \
		--skip names_that_look_like_paths_are_only_names --skip listings_agree_with_the_model
	SEALGATE_BIN="$(BIN)" PATH="$(VENV)/bin:$$PATH" \
		"$(VENV)/bin/pytest" -q -n 2 -p no:cacheprovider tests/upstream
	SEALGATE_BIN="$(BIN)" PATH="$(VENV)/bin:$$PATH" \
		"$(VENV)/bin/pytest" -q -n 2 -p no:cacheprovider $(UPSTREAM_CLIENTS)
	SEALGATE_BIN="$(BIN)" PATH="$(VENV)/bin:$$PATH" \
		"$(VENV)/bin/pytest" -q -n 2 -p no:cacheprovider $(UPSTREAM_SOME)
	SEALGATE_BIN="$(BIN)" PATH="$(VENV)/bin:$$PATH" \
		"$(VENV)/bin/pytest" -q -n 2 -p no:cacheprovider $(UPSTREAM_OSS)

check:
	@.ci/run

fmt:
	$(CARGO) fmt

fmt-check:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --release --locked --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --no-deps --lib

bench:
	$(CARGO) bench --locked --bench http
# The same upstream once more, with a CPU for the gateway alone, as on a machine of its own: here they share all.
	BENCH_ONLY=upstream tests/upstream/ceph.py try $(CARGO) bench --locked --bench http
	BENCH_ONLY=upstream BENCH_GATEWAY_CPUS=1 taskset -c 0 tests/upstream/ceph.py try $(CARGO) bench --locked --bench http

# Not part of `check`: installing cargo-deny takes about 11 minutes on two cores.
deny:
	@command -v cargo-deny >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check bans licenses sources
