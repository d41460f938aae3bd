"""A `pagekeep serve` of our own and the databases it serves; what the kernel says of it (Linux: /proc).

The server is a child of the runner and is ended by its process id.
"""

import concurrent.futures
import dataclasses
import json
import os
import re
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from make_db import make_database
from measure import run
from s3 import CREDENTIALS, end

START_SECONDS = 120
TICKS = os.sysconf("SC_CLK_TCK")
AT_ONCE = os.cpu_count() or 2
# A file that was written within so short a time before it was looked at may have been written again since.
RACY_SECONDS = 3
JOBS, WAITING = 10, 1000


@dataclasses.dataclass
class Usage:
    """What a stretch of time took."""

    seconds: float
    # Of the server alone, and of the jobs that ended meanwhile.
    cpu_seconds: float
    jobs_cpu_seconds: float
    # The most that was seen: the kernel's own peak of the server, its descriptors, its threads; its jobs side by side, in a look each second.
    peak_bytes: int
    descriptors: int
    threads: int
    jobs: int
    jobs_bytes: int
    rss_bytes: int


class Server:
    """Use as a context: `pagekeep serve` in `home`, answering inside, ended after."""

    def __init__(self, binary, home, log="serve.log"):
        self.binary, self.home, self.log = binary, Path(home), Path(home) / log
        self.process, self.port, self.tokens = None, None, {}

    def __enter__(self):
        for scope in ("read", "admin"):
            self.tokens[scope] = pagekeep(self.binary, self.home, "token", "create", "--scope", scope).strip()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--config", "pagekeep.toml"],
                cwd=self.home,
                env=environment(self.home),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(r"served at http://[^:]+:(\d+)", self.said()):
                self.port = int(found.group(1))
                return self
            time.sleep(0.05)
        if self.process.poll() is None:
            end(self.process)
        raise RuntimeError(f"the server did not start: {self.said()[-600:]}")

    def __exit__(self, *_):
        end(self.process)

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ask(self, path, body=None, scope="admin"):
        """The data of an answer of success."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", f"Bearer {self.tokens[scope]}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=130) as answer:
            return json.load(answer)["data"]

    def description(self):
        """What the server says of its routes."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/openapi.json", timeout=60) as answer:
            return json.load(answer)

    # --- what the kernel says ---

    def proc(self, name):
        return Path(f"/proc/{self.process.pid}/{name}")

    def status(self, field):
        found = re.search(rf"^{field}:\s+(\d+)", self.proc("status").read_text(), re.M)
        return int(found.group(1)) if found else 0

    def memory(self):
        return self.status("VmRSS") * 1024

    def peak(self):
        return self.status("VmHWM") * 1024

    def forget_peak(self):
        """From here on the kernel's peak is that of what comes."""
        self.proc("clear_refs").write_text("5")

    def cpu(self):
        """Seconds of the server, and of the jobs it has waited for."""
        fields = stat_fields(self.process.pid)
        return (int(fields[11]) + int(fields[12])) / TICKS, (int(fields[13]) + int(fields[14])) / TICKS

    def jobs(self):
        """Resident bytes of each job at work."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                fields = stat_fields(name)
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                found.append(int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
        return found


def stat_fields(pid):
    """The fields of /proc/PID/stat after the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


class Watch:
    """Use as a context: looks at a server each second; `usage` afterwards."""

    def __init__(self, server):
        self.server, self.over, self.usage = server, threading.Event(), None
        self.descriptors = self.threads = self.jobs = self.jobs_bytes = 0
        self.thread = threading.Thread(target=self.look)

    def __enter__(self):
        self.server.forget_peak()
        self.cpu, self.began = self.server.cpu(), time.monotonic()
        self.thread.start()
        return self

    def look(self):
        while True:
            self.descriptors = max(self.descriptors, len(os.listdir(self.server.proc("fd"))))
            self.threads = max(self.threads, self.server.status("Threads"))
            jobs = self.server.jobs()
            self.jobs, self.jobs_bytes = max(self.jobs, len(jobs)), max(self.jobs_bytes, sum(jobs))
            if self.over.wait(1):
                return

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        if self.server.process.poll() is not None:
            return  # whatever was asked of it failed, and says so
        own, jobs = self.server.cpu()
        self.usage = Usage(
            time.monotonic() - self.began,
            own - self.cpu[0],
            jobs - self.cpu[1],
            self.server.peak(),
            self.descriptors,
            self.threads,
            self.jobs,
            self.jobs_bytes,
            self.server.memory(),
        )


# --- databases ---


def environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PAGEKEEP_", "BACKUP_", "S3_"))}
    return kept | CREDENTIALS | {"HOME": str(home)}


def pagekeep(binary, folder, *arguments):
    return run([binary, *arguments], env=environment(folder), cwd=folder).stdout


def serve_folders(home, folders, roots=()):
    home.mkdir(parents=True, exist_ok=True)
    (home / "pagekeep.toml").write_text(
        f'listen = "127.0.0.1:0"\nfolders = {json.dumps(folders)}\nroots = {json.dumps(list(roots))}\n'
        f"jobs = {JOBS}\nwaiting = {WAITING}\n",
        encoding="utf-8",
    )


def keep(binary, folder, name, remotes, bytes_wanted=None, seed=1, every="10m"):
    """A database in a folder of its own, kept, scheduled, and brought to its remotes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.db"
    if bytes_wanted:
        make_database(path, bytes_wanted, seed, "wal")
    pagekeep(binary, folder, "init", path.name)
    for remote, url in remotes.items():
        pagekeep(binary, folder, "backup", "add", remote, url)
    if every:
        pagekeep(binary, folder, "backup", "configure", "--every", every)


def sync(binary, folder, name):
    pagekeep(binary, folder, "backup", "sync", "--all", "--db", name)


def keep_many(binary, data, count, bytes_wanted, remotes, every):
    """So many databases, each in a folder of its own."""
    names = [f"db{number:04}" for number in range(count)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        made = [
            pool.submit(keep, binary, data / name, name, remotes, bytes_wanted, number, every)
            for number, name in enumerate(names)
        ]
        for one in made:
            one.result()
        time.sleep(RACY_SECONDS)
        for one in [pool.submit(sync, binary, data / name, name) for name in names]:
            one.result()


def keep_together(binary, data, count, bytes_wanted, remotes, every):
    """So many databases, all in one folder."""
    data.mkdir(parents=True, exist_ok=True)
    names = [f"db{number:04}" for number in range(count)]
    for number, name in enumerate(names):
        make_database(data / f"{name}.db", bytes_wanted, number, "wal")
    pagekeep(binary, data, "init", *(f"{name}.db" for name in names))
    for remote, url in remotes.items():
        pagekeep(binary, data, "backup", "add", remote, url, "--db", names[0])
    time.sleep(RACY_SECONDS)
    for name in names:
        pagekeep(binary, data, "backup", "configure", "--every", every, "--db", name)
        sync(binary, data, name)
