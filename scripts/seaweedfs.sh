#!/usr/bin/env bash
# An S3 server for the tests: SeaweedFS, all in one process, on loopback only.
#
#   scripts/seaweedfs.sh install     virtual environment target/venv with what requirements.txt pins
#   scripts/seaweedfs.sh start DIR   a server of its own, with its data in DIR; writes DIR/env and DIR/pid
#   scripts/seaweedfs.sh stop DIR    ends that server, and nothing else
#
# `. DIR/env` gives PAGEKEEP_TEST_S3_ENDPOINT, _BUCKET, _KEY and _SECRET. Several servers run side by side: each has
# its own DIR and its own ports. DIR must be new, empty, or from an earlier `start`, whose data is then dropped.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/target/venv
weed=$venv/bin/weed
requirements=$root/scripts/requirements.txt

bucket=bkt
access_key=testkey
secret_key=testsecret

ready_timeout_s=60   # a quiet machine needs about 1 s; a busy one with two cores has taken 5
start_tries=3        # a port found free can be taken by someone else before SeaweedFS binds it
term_timeout_s=15    # SeaweedFS drains for 2 to 6 s after TERM

say() { echo "seaweedfs: $*" >&2; }
die() { say "$*"; exit 1; }

# --- install -------------------------------------------------------------------------------------------------------

install() {
    local stamp=$venv/requirements.installed
    if cmp -s "$requirements" "$stamp" && [ -x "$weed" ]; then
        return
    fi
    trap 'rm -rf "$venv"' EXIT   # half an environment must not be taken for a whole one
    say "installing the packages of scripts/requirements.txt into target/venv"
    rm -rf "$venv"
    mkdir -p "$root/target"
    # A Python without ensurepip leaves a half-made environment behind, so each way starts from nothing.
    if python3 -m venv "$venv" >/dev/null 2>&1; then
        pip_install
    elif rm -rf "$venv" && python3 -m virtualenv -q "$venv" >/dev/null 2>&1; then
        pip_install
    else
        install_with_outer_pip
    fi
    [ -x "$weed" ] || die "pip ran, but $weed is not there"
    cp "$requirements" "$stamp"
    trap - EXIT
}

pip_install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
}

# For a Python with pip but without ensurepip: the environment is made empty and filled from outside.
install_with_outer_pip() {
    rm -rf "$venv"
    python3 -m venv --without-pip "$venv"
    python3 -m pip --version >/dev/null 2>&1 \
        || die "Python 3 has neither ensurepip, virtualenv nor pip; install one (Debian: apt-get install python3-venv)"
    local site
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    python3 -m pip install --quiet --disable-pip-version-check --target "$site" pip --requirement "$requirements"
    ln -sf "$site/bin/weed" "$weed"
}

# --- start ---------------------------------------------------------------------------------------------------------

start() {
    local dir=$1
    [ -x "$weed" ] || die "not installed; run: scripts/seaweedfs.sh install"
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    if is_running "$dir"; then
        die "already running in $dir (process $(cat "$dir/pid")); run: scripts/seaweedfs.sh stop $dir"
    fi
    if [ -n "$(ls -A "$dir")" ] && [ ! -e "$dir/ports" ]; then
        die "$dir is neither empty nor from an earlier start"
    fi

    local try
    for ((try = 1; try <= start_tries; try++)); do
        launch "$dir"
        if await_ready "$dir"; then
            return
        fi
        say "try $try of $start_tries did not come up; the end of $dir/weed.log:"
        tail -n 5 "$dir/weed.log" >&2
        stop "$dir"
    done
    die "could not be started in $dir"
}

launch() {
    local dir=$1
    local -a ports
    read -r -a ports <<<"$(free_ports 10)"
    rm -rf "$dir/data" "$dir/logs" "$dir/env"
    mkdir -p "$dir/data" "$dir/logs"
    echo "${ports[*]}" >"$dir/ports"
    cat >"$dir/s3.json" <<JSON
{"identities":[{"name":"admin","credentials":[{"accessKey":"$access_key","secretKey":"$secret_key"}],"actions":["Admin","Read","List","Tagging","Write"]}]}
JSON
    # Every part that listens gets a port of ours, or is switched off. The two sockets are relative to $dir since a
    # socket's path may have no more than 107 bytes. A missing bucket must be an error, as it is on S3: hence
    # autoCreateBucket=false.
    local -a options=(
        -dir=data
        -ip=127.0.0.1
        -ip.bind=127.0.0.1
        -master.port="${ports[0]}"
        -master.port.grpc="${ports[1]}"
        -volume.port="${ports[2]}"
        -volume.port.grpc="${ports[3]}"
        -filer.port="${ports[4]}"
        -filer.port.grpc="${ports[5]}"
        -filer.localSocket=filer.sock
        -s3.port="${ports[6]}"
        -s3.port.grpc="${ports[7]}"
        -s3.localSocket=s3.sock
        -s3.port.iceberg=0
        -s3.port.lance=0
        -s3.config=s3.json
        -s3.autoCreateBucket=false
        -bucket="$bucket"
        -admin.port="${ports[8]}"
        -admin.port.grpc="${ports[9]}"
        -admin.ui=false
        -webdav=false
        -master.telemetry=false
    )
    (
        cd "$dir"
        exec "$weed" -logdir=logs mini "${options[@]}" </dev/null >weed.log 2>&1
    ) &
    echo $! >"$dir/pid"
}

# DIR/env appears only once the bucket has taken a write.
await_ready() {
    local dir=$1
    local -a ports
    read -r -a ports <"$dir/ports"
    local endpoint=http://127.0.0.1:${ports[6]}
    local deadline=$((SECONDS + ready_timeout_s))
    until python3 "$root/scripts/s3_put.py" "$endpoint" "$bucket" "$access_key" "$secret_key" .ready 2>"$dir/put.log"; do
        # Our own child: kill -0 answers for it even before it has become weed, where is_running would not.
        if ! kill -0 "$(cat "$dir/pid")" 2>/dev/null || ((SECONDS >= deadline)); then
            tail -n 1 "$dir/put.log" >&2
            return 1
        fi
        sleep 0.1
    done
    cat >"$dir/env" <<ENV
PAGEKEEP_TEST_S3_ENDPOINT=$endpoint
PAGEKEEP_TEST_S3_BUCKET=$bucket
PAGEKEEP_TEST_S3_KEY=$access_key
PAGEKEEP_TEST_S3_SECRET=$secret_key
ENV
}

# Ports below the ephemeral range, so that no outgoing connection takes one between here and SeaweedFS's own bind.
free_ports() {
    python3 - "$1" <<'PYTHON'
import random, socket, sys

held = []
for port in random.sample(range(15000, 32000), 2000):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", port))
    except OSError:
        continue
    held.append(s)  # bound until the end, so that none is found twice
    if len(held) == int(sys.argv[1]):
        break
print(*(s.getsockname()[1] for s in held))
PYTHON
}

# --- stop ----------------------------------------------------------------------------------------------------------

stop() {
    local dir=$1
    [ -e "$dir/pid" ] || return 0
    dir=$(cd "$dir" && pwd)
    local pid
    pid=$(cat "$dir/pid")
    if is_running "$dir"; then
        kill -TERM "$pid" 2>/dev/null || true
        local deadline=$((SECONDS + term_timeout_s))
        while is_running "$dir" && ((SECONDS < deadline)); do
            sleep 0.1
        done
        if is_running "$dir"; then
            say "process $pid did not end in $term_timeout_s s; killing it"
            kill -KILL "$pid" 2>/dev/null || true
        fi
    fi
    remove_sockets "$dir"
    rm -f "$dir/pid" "$dir/env"
}

# Whether the process in DIR/pid is alive and is our server: numbers are reused, and a dead child that nobody has
# waited for still has its number, but neither has our port among its arguments.
is_running() {
    local dir=$1 pid s3_port arguments
    [ -e "$dir/pid" ] && [ -e "$dir/ports" ] || return 1
    pid=$(cat "$dir/pid")
    s3_port=$(cut -d' ' -f7 "$dir/ports")
    if [ -r "/proc/$$/cmdline" ]; then
        arguments=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || return 1
    else
        arguments=$(ps -o args= -p "$pid") || return 1
    fi
    [[ $arguments == *"weed "*"-s3.port=$s3_port "* ]]
}

# SeaweedFS keeps gRPC sockets named by port in /tmp and leaves them there when it is killed.
remove_sockets() {
    local -a ports
    read -r -a ports <"$1/ports"
    local port
    for port in "${ports[@]}"; do
        rm -f /tmp/seaweedfs-*-grpc-"$port".sock
    done
}

case "${1-} $#" in
    "install 1") install ;;
    "start 2") start "$2" ;;
    "stop 2") stop "$2" ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
