#!/usr/bin/env bash
# Fuzzes decoders under libFuzzer, guided by coverage, on stable Rust.
#
#   scripts/fuzz_guided.sh [SECONDS] [TARGET...]     each target (all) for so long (60), two at a time
#
# An input that a target panics on is left in target/fuzz/findings, and the run ends with 1. Inputs that reach something
# new are kept in target/fuzz/corpus, and the next run begins with them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-60}
shift || true
host=$(rustc -vV | sed -n 's/^host: //p')
out=target/fuzz

# The instrumentation that libFuzzer reads. With --target it is left out of build scripts and macros.
coverage=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    -Ccodegen-units=1
)
RUSTFLAGS="${coverage[*]}" cargo build --manifest-path fuzz/Cargo.toml --features guided --bin guided \
    --target "$host" --target-dir "$out"
mkdir -p "$out/corpus" "$out/findings"
all=$(PAGEKEEP_FUZZ_SEEDS="$out/corpus" "$out/$host/debug/guided")

fuzz_one() {
    local target=$1 log
    log=$(mktemp)
    if PAGEKEEP_FUZZ_TARGET=$target "$out/$host/debug/guided" "$out/corpus/$target" \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=65536 \
        -artifact_prefix="$out/findings/$target-" >"$log" 2>&1; then
        echo "$target: $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") inputs, no finding;" \
            "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1) edges, $(find "$out/corpus/$target" -type f | wc -l) inputs kept"
        rm -f "$log"
    else
        echo "$target: a finding"
        tail -30 "$log"
        rm -f "$log"
        return 1
    fi
}
export -f fuzz_one
export seconds out host
printf '%s\n' "${@:-$all}" | xargs -P 2 -I '{}' bash -c 'fuzz_one "$1"' - '{}'
