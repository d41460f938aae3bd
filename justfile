# What is done often; `just --list` shows it.

# Every test, with what the tests need brought first.
test *arguments:
    scripts/test.sh {{arguments}}

# What must be clean before a change is shown.
lint:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo fmt --all --check --manifest-path ext/Cargo.toml
    cargo clippy --locked --all-targets --manifest-path ext/Cargo.toml --target-dir target -- -D warnings

# The benchmark against other programs; benches/README.md.
bench *arguments:
    python3 benches/run.py {{arguments}}

# Mutations of good inputs for every decoder: `just fuzz map 120 7` is one target, seconds, seed.
fuzz target="all" seconds="60" seed="1":
    cargo run --manifest-path fuzz/Cargo.toml --target-dir target/fuzz -- {{target}} {{seconds}} {{seed}}
