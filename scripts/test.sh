#!/usr/bin/env bash
# Runs every test, from a clean checkout: brings what the tests need, starts an S3 server, stops it again.
#
#   scripts/test.sh [--no-seaweed] [CARGO_TEST_ARGUMENTS...] [-- TEST_ARGUMENTS...]
#
# --no-seaweed               no S3 server; the tests that need one skip themselves
# PAGEKEEP_TEST_OFFLINE=1    download nothing; what is there already is used
#
# Everything lands under target/, and is reused by the next run:
#   target/venv                      SeaweedFS, and the packages of tools/restore.py
#   target/data/real/<family>/       real databases; sorted names are successive releases
#   target/data/fuzz/*.db            malformed images out of SQLite's fuzz corpus
#   target/data/proj-inplace/NN.db   one database edited from release to release; each is the next state
#
# The tests are told by PAGEKEEP_TEST_DATA, PAGEKEEP_TEST_PYTHON and PAGEKEEP_TEST_S3_*; a test whose variable is not
# set, or whose data are not there, says so and passes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

data=$root/target/data
python=$root/target/venv/bin/python
servers=$root/target/seaweedfs   # one folder for each running test.sh, named by its process id
server=$servers/$$

download_limit_s=600   # everything takes 45 s on a quiet machine with two cores
inplace_states=8       # releases of proj; editing one into the next takes under 1 s

say() { echo "test.sh: $*" >&2; }

offline() { [ "${PAGEKEEP_TEST_OFFLINE-}" = 1 ]; }

# --- what the tests need -------------------------------------------------------------------------------------------

install_packages() {
    if offline; then
        [ -x "$python" ] || say "offline, and target/venv is not there: no S3 server, no independent reader"
        return
    fi
    if ! scripts/seaweedfs.sh install; then
        say "the packages of scripts/requirements.txt could not be installed"
        say "without a package registry, run: PAGEKEEP_TEST_OFFLINE=1 scripts/test.sh"
        exit 1
    fi
}

install_browser() {
    if offline || command -v chromedriver >/dev/null; then
        return
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing chromium for the dashboard's test"
        { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium chromium-driver; } >/dev/null && return
    fi
    say "no chromium and chromedriver: the dashboard is not tried in a browser (Debian: apt-get install chromium-driver)"
}

bring_databases() {
    if offline; then
        say "offline: no databases are downloaded"
        return
    fi
    local python_with_pip=python3 status=0
    [ -x "$python" ] && python_with_pip=$python
    say "bringing real databases into target/data/real (reused when there)"
    "$python_with_pip" tests/data/get_databases.py "$data/real" --time-limit "$download_limit_s" \
        >"$data/real.log" || status=$?
    case $status in
        0) say "$(grep -c . "$data/real.log") packages of databases are there" ;;
        3)
            say "skipped, so tests run with fewer databases:"
            grep ' skip ' "$data/real.log" | grep -v 'as the others' >&2 || true
            ;;
        *)
            cat "$data/real.log" >&2
            say "get_databases.py failed"
            exit 1
            ;;
    esac
}

extract_fuzz_images() {
    local corpus=$data/real/sqlite_fuzzdata script=tests/data/extract_fuzz_images.py list=$data/fuzz.tsv
    [ -d "$corpus" ] || return 0
    if [ "$list" -nt "$corpus" ] && [ "$list" -nt "$script" ]; then
        return
    fi
    rm -rf "$data/fuzz" "$list"
    python3 "$script" "$corpus" "$data/fuzz" >"$list.part"
    mv "$list.part" "$list"   # only a list that is complete is found by the next run
    say "$(grep -c . "$list") fuzz images are in target/data/fuzz"
}

make_inplace_history() {
    local script=tests/data/inplace_upgrade.py out=$data/proj-inplace number=0 release state previous
    local -a releases=("$data"/real/proj/*.db)
    [ -e "${releases[0]}" ] || return 0
    if [ "$out" -nt "$data/real/proj" ] && [ "$out" -nt "$script" ]; then
        return
    fi
    rm -rf "$out" "$out.part" "$out.log"
    mkdir "$out.part"
    for release in "${releases[@]:0:inplace_states}"; do
        number=$((number + 1))
        state=$out.part/$(printf '%02d' "$number").db
        if [ "$number" = 1 ]; then
            cp "$release" "$state"
        else
            python3 "$script" "$previous" "$release" "$state" >>"$out.log"
        fi
        previous=$state
    done
    mv "$out.part" "$out"
    say "$number states of one database are in target/data/proj-inplace"
}

# --- the S3 server -------------------------------------------------------------------------------------------------

start_server() {
    trap stop_server EXIT
    scripts/seaweedfs.sh start "$server"
    set -a
    # shellcheck source=/dev/null
    . "$server/env"
    set +a
}

stop_server() {
    local status=$?
    scripts/seaweedfs.sh stop "$server" || say "SeaweedFS in $server could not be stopped"
    rm -rf "$server"
    exit "$status"
}

# What a run that was killed has left: its process is gone, so nobody else will stop its server.
stop_abandoned_servers() {
    local folder
    for folder in "$servers"/*; do
        if [ -d "$folder" ] && ! kill -0 "$(basename "$folder")" 2>/dev/null; then
            scripts/seaweedfs.sh stop "$folder"
            rm -rf "$folder"
        fi
    done
}

# --- all of it -----------------------------------------------------------------------------------------------------

seaweed=yes
cargo_arguments=()
test_arguments=()
while (($# > 0)); do
    case $1 in
        --no-seaweed) seaweed=no ;;
        --)
            shift
            test_arguments=("$@")
            break
            ;;
        *) cargo_arguments+=("$1") ;;
    esac
    shift
done

# A signal becomes an ordinary exit, so that the server is stopped whatever happens.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir -p "$data"
install_packages
install_browser
bring_databases
extract_fuzz_images
make_inplace_history

cargo build --locked --release --bin pagekeep

export PAGEKEEP_TEST_DATA=$data
if [ -x "$python" ]; then
    export PAGEKEEP_TEST_PYTHON=$python
fi
stop_abandoned_servers
if [ "$seaweed" = yes ] && [ -x "$root/target/venv/bin/weed" ]; then
    start_server
fi

# Two at a time: many tests start processes of their own, and measure what they do.
cargo test --locked --release "${cargo_arguments[@]}" -- --test-threads=2 "${test_arguments[@]}"

# The extension is a workspace of its own. When some tests were asked for by name, they are not in there.
if ((${#cargo_arguments[@]} + ${#test_arguments[@]} == 0)); then
    # In the same folder, so that what both depend on is built once.
    cargo test --locked --release --manifest-path ext/Cargo.toml --target-dir target -- --test-threads=2
fi
