# What CI runs, in parts. `.ci/run` installs the tools that these need, and runs `just ci`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Everything that a change must pass before it is proposed
default: format lint test

# Every test that needs no root, Docker or network
test:
    cargo test --workspace

# Formatting, as rustfmt.toml says
format:
    cargo fmt --all -- --check
    cargo fmt --manifest-path cloudron-dns-update/Cargo.toml -- --check
    # A link in the repository leads somewhere else on every other computer.
    ! git ls-files --stage | grep '^120000'

# Warnings are errors, with all features together and each provider by itself
lint:
    cargo clippy --workspace --all-targets --features cloudron-e2e/e2e -- -D warnings
    for provider in cloudflare digitalocean hetzner powerdns rfc2136 wildcard; do \
        cargo clippy -q -p cloudron-dns --lib --features $provider -- -D warnings; \
    done
    cargo clippy -q -p cloudron-acme --lib -- -D warnings
    cargo clippy -q -p cloudron-provision --lib --features ec2 -- -D warnings
    cargo clippy -q -p cloudron-proxy --lib --no-default-features -- -D warnings
    for part in cloud digitalocean hetzner conformance; do \
        cargo clippy -q -p cloudron-provision --lib --features $part -- -D warnings; \
    done
    for part in rest reqwest aws-sdk aws-instance; do \
        cargo clippy -q -p cloudron-http --lib --features $part -- -D warnings; \
    done

# Documentation without a broken link
docs:
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps

# The features of cloudron-dns that the workspace does not turn on, and its adapter to some 70 hosts
providers:
    cargo test -p cloudron-dns --features route53 --lib --test route53
    cargo test -p cloudron-dns --features dkim --lib --test dkim_key
    cargo test --manifest-path cloudron-dns-update/Cargo.toml --target-dir target/dns-update

# Everything that reads the bytes of others, for so many seconds
fuzz seconds="60":
    CLOUDRON_FUZZ_SECONDS={{ seconds }} cargo test --workspace --lib no_input_makes_a_parser_panic

# Backups that are killed, at so many points
kill rounds="60":
    CLOUDRON_TEST_ROUNDS={{ rounds }} cargo test --workspace --test sweeps kill::a_backup

# Somebody who adds or overwrites objects in a repository, for so many rounds of each right
adversary rounds="200":
    CLOUDRON_TEST_ROUNDS={{ rounds }} cargo test --workspace --test adversary -- --test-threads 1

# Licences, sources, duplicate crates and advisories
deny:
    .ci/deny

# The libraries as crates.io gets them
package:
    cargo package --workspace --exclude cloudron-e2e --exclude cloudron-examples --exclude cloudron-testkit \
        --allow-dirty --no-verify

# The examples that are scripts, with the program built before
examples:
    examples/session.sh target/debug/cloudron

# The program on a Debian server, booted with systemd in a container. Needs root and Docker
e2e:
    e2e/image.sh
    e2e/image.sh cloud
    cargo test --workspace --features cloudron-e2e/e2e --test harness --test generic --test clouds --test ssh_port --test firewall --test units -- --test-threads 1
