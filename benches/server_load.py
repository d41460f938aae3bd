"""Clients of a `pagekeep serve`: many readers, syncs that go on, a download. What they take themselves is told, too:
they share the machine with the server."""

import asyncio
import dataclasses
import http.client
import json
import multiprocessing
import statistics
import threading
import time
import urllib.error
from pathlib import Path

from change_db import change

HEAD_END = b"\r\n\r\n"
PATIENCE_SECONDS = 30
PIECE_BYTES = 1 << 20
LOOK_SECONDS = 0.1


@dataclasses.dataclass
class Reading:
    """What the readers saw: milliseconds of each answer, sorted, and how many there were by status."""

    seconds: float
    millis: list
    statuses: dict
    answer_bytes: int
    # Requests that were sent later than planned, because the answer before was late or this client was.
    late: int
    cpu_seconds: float

    def share(self, part):
        return self.millis[min(len(self.millis) - 1, int(len(self.millis) * part))] if self.millis else None

    def median(self):
        return statistics.median(self.millis) if self.millis else None


def read(port, token, readers, per_second, seconds, path="/api/v1/databases"):
    """So many connections that are kept, each asking so often."""
    cpu, began = time.process_time(), time.monotonic()
    found = asyncio.run(read_all(port, token, readers, per_second, seconds, path))
    millis, statuses, sizes, late = [], {}, 0, 0
    for one in found:
        millis += one["millis"]
        late += one["late"]
        sizes = max(sizes, one["bytes"])
        for status, count in one["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    return Reading(time.monotonic() - began, sorted(millis), statuses, sizes, late, time.process_time() - cpu)


async def read_all(port, token, readers, per_second, seconds, path):
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    begin, every = time.monotonic() + 1, 1 / per_second
    starts = [begin + every * number / readers for number in range(readers)]
    return await asyncio.gather(*(read_one(port, request, start, every, begin + seconds) for start in starts))


async def read_one(port, request, due, every, until):
    found = {"millis": [], "statuses": {}, "bytes": 0, "late": 0}
    receive, send = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    while due < until:
        await asyncio.sleep(max(0, due - time.monotonic()))
        sent = time.monotonic()
        found["late"] += sent - due > every / 4
        try:
            send.write(request)
            head = await asyncio.wait_for(receive.readuntil(HEAD_END), PATIENCE_SECONDS)
            status, length = int(head[9:12]), content_length(head)
            body = await receive.readexactly(length)
        except (OSError, EOFError, asyncio.TimeoutError, asyncio.LimitOverrunError) as failure:
            status = type(failure).__name__
            found["statuses"][status] = found["statuses"].get(status, 0) + 1
            break
        found["millis"].append((time.monotonic() - sent) * 1000)
        found["statuses"][status] = found["statuses"].get(status, 0) + 1
        found["bytes"] = len(body)
        due = max(due + every, time.monotonic())
    send.close()
    return found


def content_length(head):
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


# --- syncs ---


class Syncs:
    """Use as a context: each of these databases is changed and synced again and again, by a process of its own."""

    def __init__(self, server, databases, remote):
        self.server, self.databases, self.remote = server, databases, remote
        self.over, self.done, self.working, self.looks = threading.Event(), 0, 0, 0
        self.stop, self.counts = multiprocessing.Event(), multiprocessing.Queue()
        arguments = (server.port, server.tokens["admin"], databases, remote, self.stop, self.counts)
        self.process = multiprocessing.Process(target=sync_all, args=arguments)
        self.thread = threading.Thread(target=self.look)

    def __enter__(self):
        self.process.start()
        while self.server.ask("/healthz")["working"] < len(self.databases) // 2:
            time.sleep(LOOK_SECONDS)
        self.thread.start()
        return self

    def look(self):
        """How many jobs are at work, on average."""
        while not self.over.wait(0.5):
            try:
                self.working += self.server.ask("/healthz")["working"]
                self.looks += 1
            except (OSError, urllib.error.URLError):
                return

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.stop.set()
        self.done, self.failed = self.counts.get(timeout=120)
        self.process.join()

    def at_work(self):
        return self.working / self.looks if self.looks else 0


def sync_all(port, token, databases, remote, stop, counts):
    ended = {}
    threads = [
        threading.Thread(target=sync_one, args=(port, token, name, path, remote, stop, ended))
        for name, path in databases.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [state for states in ended.values() for state in states]
    counts.put((len(every), sorted({state for state in every if state != "completed"})))


def sync_one(port, token, name, path, remote, stop, ended):
    ended[name], seed = [], 1
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(method, place):
        connection.request(method, place, b"{}" if method == "POST" else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {place}: {answer.status} {text[:300]}")
        return json.loads(text)["data"]

    try:
        while not stop.is_set():
            seed += 1
            change(path, "ten-rows", seed, checkpoint=True)
            job = ask("POST", f"/api/v1/databases/{name}/remotes/{remote}/sync")
            while job["state"] in ("pending", "in_progress"):
                time.sleep(LOOK_SECONDS)
                job = ask("GET", f"/api/v1/jobs/{job['id']}")
            ended[name].append(job["state"] if not job["error"] else f"{job['state']}: {job['error']['message']}")
    except (OSError, RuntimeError, http.client.HTTPException) as failure:
        ended[name].append(f"the client: {failure}")


# --- a download ---


@dataclasses.dataclass
class Download:
    seconds: float
    received_bytes: int
    is_same: bool
    first_seconds: float


def download(port, token, database, original):
    """The newest snapshot through the procedure; compared with the file it was made of while it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    began = time.monotonic()
    body = json.dumps({"database": database, "id": f"{database}@latest"})
    connection.request("POST", "/api/v1/procedures/sp_backup_download", body, headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"the download: {answer.status} {answer.read(600)}")
    first, received, same = None, 0, True
    with open(original, "rb") as file:
        while piece := answer.read(PIECE_BYTES):
            first = first or time.monotonic() - began
            received += len(piece)
            same = same and file.read(len(piece)) == piece
    same = same and received == Path(original).stat().st_size
    return Download(time.monotonic() - began, received, same, first)
