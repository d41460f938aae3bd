"""A SeaweedFS of our own on free loopback ports, and the counter before it.

Both are children of the runner and are ended by their process id.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

BUCKET, REGION, ACCESS_KEY, SECRET_KEY = "bkt", "us-east-1", "testkey", "testsecret"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_EC2_METADATA_DISABLED": "true",
}
START_SECONDS, STOP_SECONDS = 60, 20
# The client has its answer before the counter has written its line: let it.
COUNTER_SETTLE_SECONDS = 0.3
ACTIONS = ["Admin", "Read", "List", "Tagging", "Write"]
# Every listening part of `weed mini` gets a port of its own; what is not needed is switched off.
PORT_FLAGS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)
OFF_FLAGS = (
    "master.telemetry=false",
    "webdav=false",
    "admin.ui=false",
    "s3.port.iceberg=0",
    "s3.port.lance=0",
    "volume.preStopSeconds=0",
)


def find_weed():
    """The binary in the tests' virtual environment, or on the PATH; `None` when there is none."""
    ours = Path(__file__).resolve().parent.parent / "target/venv/bin/weed"
    return str(ours) if ours.exists() else shutil.which("weed")


def free_ports(count):
    """Ports nobody listens on now. All are held until all are found, so that they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def end(process):
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Seaweed:
    """Use as a context: started and answering inside, ended and its data gone after."""

    def __init__(self, folder):
        self.folder, self.process, self.port = Path(folder), None, None

    def version(self):
        return (
            subprocess.run([find_weed(), "version"], capture_output=True, text=True, check=True)
            .stdout.strip()
            .splitlines()[0]
        )

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "data").mkdir(parents=True)
        config = self.folder / "s3.json"
        key = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        config.write_text(json.dumps({"identities": [{"name": "admin", "credentials": [key], "actions": ACTIONS}]}))
        ports = dict(zip(PORT_FLAGS, free_ports(len(PORT_FLAGS))))
        self.port = ports["s3.port"]
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [
                    find_weed(),
                    "mini",
                    f"-dir={self.folder / 'data'}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    f"-s3.config={config}",
                    f"-bucket={BUCKET}",
                    *(f"-{flag}" for flag in OFF_FLAGS),
                    *(f"-{flag}={port}" for flag, port in ports.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        try:
            self.wait_until_ready()
        except BaseException:
            end(self.process)
            raise
        return self

    def wait_until_ready(self):
        """Ready is when the bucket exists: without credentials it answers 403, a missing one 404."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{BUCKET}/", timeout=2)
                return
            except urllib.error.HTTPError as error:
                if error.code == 403:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise RuntimeError(f"SeaweedFS did not start; see {self.folder / 'log'}")

    def __exit__(self, *_):
        end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, prefix, port=None):
        return f"s3://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:{port or self.port}&region={REGION}"


class Counted:
    """The counter before `port`. Use as a context; `take` gives the requests since the last `take`."""

    def __init__(self, port, log, delay_ms=0):
        self.server_port, self.log, self.delay_ms, self.read_bytes = port, Path(log), delay_ms, 0
        self.process, self.port = None, None

    def __enter__(self):
        script = Path(__file__).with_name("s3_counter.py")
        self.process = subprocess.Popen(
            [
                sys.executable,
                script,
                "--to",
                f"127.0.0.1:{self.server_port}",
                "--log",
                self.log,
                "--delay-ms",
                str(self.delay_ms),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        end(self.process)
        self.process.stdout.close()

    def take(self):
        time.sleep(COUNTER_SETTLE_SECONDS)
        with open(self.log, encoding="utf-8") as log:
            log.seek(self.read_bytes)
            lines = log.readlines()
            self.read_bytes = log.tell()
        return [json.loads(line) for line in lines]


def by_verb(requests):
    counts = dict.fromkeys(("put", "get", "list", "head", "delete", "post"), 0)
    for request in requests:
        counts[request["verb"]] = counts.get(request["verb"], 0) + 1
    return counts


def bytes_of(requests, field):
    return sum(request[field] for request in requests)


def dependent_round_trips(requests):
    """The longest row of requests of which each began after the one before had ended."""
    trips, free_at = 0, 0.0
    for request in sorted(requests, key=lambda request: request["end_s"]):
        if request["start_s"] >= free_at:
            trips, free_at = trips + 1, request["end_s"]
    return trips
