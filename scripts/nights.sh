#!/usr/bin/env bash
# A running server through the nights of 23 and 25 hours in Berlin, 120 times as fast: its daily run, planned for half past
# two, comes exactly once. Needs `faketime` (Debian: apt install faketime) and a release build.
#
#   scripts/nights.sh [PAGEKEEP]
set -euo pipefail
program=$(realpath "${1:-"$(dirname "${BASH_SOURCE[0]}")/../target/release/pagekeep"}")
export TZ=UTC
work=$(mktemp -d)
server='' writer=''
stop() {
    # The wrapper waits for the server, and passes no signal on.
    [[ -z $server ]] || { pkill -P "$server"; wait "$server" || true; }
    [[ -z $writer ]] || { kill "$writer" && wait "$writer" || true; } 2>>"$work/noise"
    server='' writer=''
}
trap 'stop; rm -rf "$work"' EXIT

# night NAME FROM SECONDS WANTED: serves from this time (UTC) on for so many real seconds.
night() {
    local name=$1 from=$2 seconds=$3 wanted=$4 folder=$work/$1 runs
    mkdir -p "$folder"
    cd "$folder"
    faked() { faketime -m -f "@$from x120" "$@"; }
    if [[ ! -e shop.db ]]; then
        python3 -c "import sqlite3; sqlite3.connect('shop.db', isolation_level=None).executescript('PRAGMA journal_mode = WAL; CREATE TABLE sale (at TEXT)')" >>"$work/noise"
        faked "$program" -q init shop.db 2>>"$work/noise"
        faked "$program" -q backup configure --enabled true --schedule '30 2 * * *' --timezone Europe/Berlin >>"$work/noise"
    fi
    python3 -c "
import sqlite3, time
db = sqlite3.connect('shop.db', timeout=30, isolation_level=None)
while True:
    db.execute('INSERT INTO sale VALUES (hex(randomblob(8)))')
    time.sleep(0.2)" &
    writer=$!
    faketime -m -f "@$from x120" "$program" serve --listen 127.0.0.1:0 --verbose 2>>log &
    server=$!
    sleep "$seconds"
    stop
    runs=$(grep -c 'begun as process' log || true)
    echo "$name, served from $from for $((seconds * 2)) minutes: $runs run(s): $(grep 'completed in' log | cut -d. -f1 | tr '\n' ' ')"
    [[ $runs == "$wanted" ]] || { cat log; exit 1; }
}

night hours-25 '2026-10-24 23:50:00' 85 1
night hours-23 '2027-03-28 00:20:00' 75 1
# Stopped before, started afterwards: what was missed is made up once.
night missed '2026-10-24 23:50:00' 10 0
night missed '2026-10-25 02:10:00' 25 1
