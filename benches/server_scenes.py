"""What is done with a `pagekeep serve` in which order, and each figure beside what is to be reached (see server.py)."""

import contextlib
import dataclasses
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import server_junk
import server_load
from make_db import make_database
from measure import folder_files, run, written_bytes
from s3 import Counted, Seaweed, by_verb, find_weed
from server_host import Server, Watch, keep, keep_many, keep_together, serve_folders, sync
from targets import bytes_text, seconds_text, verdict

SCENES = ("few", "fleet", "one")
KNOWN = {
    "database": ["shop"],
    "snapshot": ["latest", "1", "shop@1", "@yesterday", "latest~9"],
    "remote": ["offsite", "none"],
}
BUSY, REMOTE, BUCKET = 10, "offsite", "bucket"
MEMORY_LIMIT_BYTES, DESCRIPTORS_LIMIT, IDLE_LIMIT_PERCENT, P99_LIMIT_MS = 250e6, 200, 1, 100
# A larger file needs no more memory: the caches of a download are bounded.
DOWNLOAD_GROWTH_LIMIT = 1.2


@dataclasses.dataclass
class Row:
    scene: str
    what: str
    measured: str
    to_reach: str = ""
    verdict: str = "shown"
    also: str = ""


class Scenes:
    def __init__(self, options):
        self.options, self.rows = options, []
        self.binary = Path(options.pagekeep).resolve()
        self.work = Path(options.work).resolve()

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def row(self, scene, what, measured, to_reach="", met=None, also=""):
        self.rows.append(Row(scene, what, measured, to_reach, "shown" if met is None else verdict(met), also))
        self.say(f"  {what}: {measured} {self.rows[-1].verdict} {also}")

    # --- scenes ---

    def few(self):
        home = self.fresh("few")
        serve_folders(home, ["busy/*", "large", "shop"], ["out"])
        (home / "out").mkdir()
        (home / "out" / "junk").write_text("not a database", encoding="utf-8")
        busy = self.busy(home)
        large = home / "large" / "large.db"
        large.parent.mkdir()
        if self.options.database:
            shutil.copyfile(self.options.database, large)
        else:
            make_database(large, self.options.bytes, 1, "wal")
        keep(self.binary, large.parent, "large", {REMOTE: f"file://{home}/far"}, every=None)
        sync(self.binary, large.parent, "large")
        keep(self.binary, home / "shop", "shop", {REMOTE: f"file://{home}/far"}, 1_000_000)
        sync(self.binary, home / "shop", "shop")
        with Server(self.binary, home) as server:
            self.download(server, "large", large, beside=self.download(server, *next(iter(busy.items()))))
            self.read(server, "few", busy, f"{BUSY + 2} databases")
        with Server(self.binary, home) as server:
            self.junk(server)
        # Jobs that the junk left waiting would be waited for.
        with Server(self.binary, home) as server:
            self.schemathesis(server)
        shutil.rmtree(home)

    def fleet(self):
        with self.many("fleet", keep_many) as (server, home, counter, busy):
            self.idle(server, home, counter, "fleet", "each in a folder of its own")
            self.read(server, "fleet", busy, f"{self.options.databases + BUSY} databases")

    def one(self):
        with self.many("one", keep_together) as (server, home, counter, _):
            self.idle(server, home, counter, "one", "all in one folder")

    @contextlib.contextmanager
    def many(self, scene, keep_them):
        """The databases made, kept and at their remotes, and a server for them."""
        home, count = self.fresh(scene), self.options.databases
        with contextlib.ExitStack() as stack:
            counter, remotes = None, {REMOTE: f"file://{home}/far"}
            if find_weed():
                store = stack.enter_context(Seaweed(self.work / "seaweed"))
                counter = stack.enter_context(Counted(store.port, self.work / "server-requests.log"))
                remotes[BUCKET] = store.url("fleet", counter.port)
            else:
                self.say("  no SeaweedFS (`weed`): requests are not counted")
            one = keep_them is keep_together
            serve_folders(home, ["data"] if one else ["data/*", "busy/*"])
            busy = {} if one else self.busy(home)
            began = time.monotonic()
            keep_them(self.binary, home / "data", count, self.options.small_bytes, remotes, self.options.every)
            size = sum(path.stat().st_size for path in (home / "data").rglob("*.db")) / count
            self.say(f"  {count} databases of {bytes_text(size)} kept in {time.monotonic() - began:.0f} s")
            began = time.monotonic()
            with Server(self.binary, home) as server:
                self.row(scene, f"start with {count} databases", seconds_text(time.monotonic() - began))
                yield server, home, counter, busy
        shutil.rmtree(home)

    def busy(self, home):
        """Databases that are never at rest: name to path."""
        first, found = None, {}
        for number in range(BUSY):
            name = f"busy{number}"
            path = home / "busy" / name / f"{name}.db"
            path.parent.mkdir(parents=True)
            if first is None:
                make_database(path, self.options.busy_bytes, 1, "wal")
            else:
                shutil.copyfile(first, path)
            first, found[name] = first or path, path
            keep(self.binary, path.parent, name, {REMOTE: f"file://{home}/far"}, every=None)
            sync(self.binary, path.parent, name)
        return found

    # --- figures ---

    def idle(self, server, home, counter, scene, how):
        count, seconds = self.options.databases, self.options.idle_seconds
        kept = f"{count} databases, {how}"
        time.sleep(5)
        if counter:
            counter.take()
        before, looks = folder_files(home / "far"), server.said().count("begun as process")
        with Watch(server) as watch:
            time.sleep(seconds)
        usage, jobs = watch.usage, server.said().count("begun as process") - looks
        share, of_jobs = 100 * usage.cpu_seconds / usage.seconds, 100 * usage.jobs_cpu_seconds / usage.seconds
        every = f"every {self.options.every}, for {usage.seconds:.0f} s"
        self.row(scene, f"idle, {kept}: memory", bytes_text(usage.peak_bytes), f"at most {bytes_text(MEMORY_LIMIT_BYTES)}",
                 usage.peak_bytes <= MEMORY_LIMIT_BYTES, f"VmHWM; VmRSS at the end {bytes_text(usage.rss_bytes)}")  # fmt: skip
        self.row(scene, f"idle, {kept}: descriptors", str(usage.descriptors), f"at most {DESCRIPTORS_LIMIT}",
                 usage.descriptors <= DESCRIPTORS_LIMIT, f"{usage.threads} threads")  # fmt: skip
        self.row(scene, f"idle, {kept}: processor", f"{share:.2f} % of a core", f"below {IDLE_LIMIT_PERCENT} %",
                 share < IDLE_LIMIT_PERCENT, every)  # fmt: skip
        self.row(scene, f"idle, {kept}: with its jobs", f"{share + of_jobs:.2f} % of a core", f"below {IDLE_LIMIT_PERCENT} %",
                 share + of_jobs < IDLE_LIMIT_PERCENT, f"{jobs} jobs begun")  # fmt: skip
        if counter:
            asked = {verb: number for verb, number in by_verb(counter.take()).items() if number}
            self.row(scene, f"idle, {kept}: requests to S3", str(sum(asked.values())), "0", not asked,
                     ", ".join(f"{number} {verb.upper()}" for verb, number in asked.items()) or "counted")  # fmt: skip
        written = written_bytes(before, folder_files(home / "far"))
        self.row(scene, f"idle, {kept}: bytes written to file://", bytes_text(written), "0 B", written == 0)

    def read(self, server, scene, busy, kept):
        token, options = server.tokens["read"], self.options
        with server_load.Syncs(server, busy, REMOTE) as syncs, Watch(server) as watch:
            found = server_load.read(server.port, token, options.readers, options.per_second, options.read_seconds)
        wrong = {status: count for status, count in found.statuses.items() if status != 200}
        kept = f"{options.readers} readers, {kept}" + (", ahead of other programs" if options.ahead else "")
        p99 = found.share(0.99)
        also = (
            f"median {found.median():.1f} ms, p99.9 {found.share(0.999):.1f} ms, most {found.millis[-1]:.0f} ms; "
            f"{len(found.millis)} answers of {bytes_text(found.answer_bytes)} in {found.seconds:.0f} s, {found.late} asked late; "
            f"on average {syncs.at_work():.1f} syncs at work, {syncs.done} ended"
        )
        self.row(scene, f"{kept}: p99", f"{p99:.1f} ms", f"below {P99_LIMIT_MS} ms", p99 < P99_LIMIT_MS, also)
        self.row(scene, f"{kept}: answers other than 200", str(sum(wrong.values())), "0", not wrong, str(wrong or ""))
        self.row(
            scene,
            f"{kept}: syncs that failed",
            str(len(syncs.failed)),
            "0",
            not syncs.failed,
            "; ".join(syncs.failed)[:300],
        )
        usage = watch.usage
        shares = ", ".join(
            f"{name} {100 * seconds / usage.seconds:.0f} %"
            for name, seconds in (
                ("server", usage.cpu_seconds),
                ("jobs", usage.jobs_cpu_seconds),
                ("readers' client", found.cpu_seconds),
            )
        )
        self.row(scene, f"{kept}: memory", bytes_text(usage.peak_bytes), f"at most {bytes_text(MEMORY_LIMIT_BYTES)}",
                 usage.peak_bytes <= MEMORY_LIMIT_BYTES,
                 f"{usage.descriptors} descriptors; of a core: {shares}; jobs {bytes_text(usage.jobs_bytes)} together")  # fmt: skip

    def download(self, server, name, path, beside=None):
        """Returns by how much the server grew; `beside` is that of a smaller file."""
        before = server.memory()
        with Watch(server) as watch:
            found = server_load.download(server.port, server.tokens["read"], name, path)
        grown = max(0, watch.usage.peak_bytes - before)
        what, speed = f"sp_backup_download of {bytes_text(found.received_bytes)}", found.received_bytes / found.seconds
        limit = "" if beside is None else f"at most {DOWNLOAD_GROWTH_LIMIT} x that of the smaller one"
        self.row("few", f"{what}: growth of memory", bytes_text(grown), limit,
                 None if beside is None else grown <= DOWNLOAD_GROWTH_LIMIT * beside,
                 f"from {bytes_text(before)} to {bytes_text(watch.usage.peak_bytes)}")  # fmt: skip
        self.row("few", f"{what}: same bytes", "yes" if found.is_same else "no", "yes", found.is_same)
        self.row("few", f"{what}: speed", f"{speed / 1e6:.0f} MB/s",
                 also=f"{seconds_text(found.seconds)}, the first bytes after {seconds_text(found.first_seconds)}; compared while it came")  # fmt: skip
        return grown

    def junk(self, server):
        with Watch(server) as watch:
            found = server_junk.throw(
                server.port,
                server.description(),
                server.ask("/api/v1/procedures"),
                server.tokens,
                self.options.junk,
            )
        statuses = ", ".join(f"{count} × {status or 'closed'}" for status, count in sorted(found.statuses.items()))
        faults = [line for line in server.said().splitlines() if ": 500 " in line or "panicked" in line]
        alive = (
            server.process.poll() is None
            and server.ask("/healthz")["databases"] > 0
            and server.ask("/api/v1/databases/shop")
        )
        bad = len(found.faults) + found.statuses[-1]
        for status, request in found.faults[:20]:
            self.say(f"  {status}: {request!r}")
        for line in faults[:20]:
            self.say(f"  {line}")
        self.row("few", f"{found.sent} junk requests: server errors", str(bad), "0", bad == 0 and not faults,
                 f"{statuses}; in {found.seconds:.0f} s, {server_junk.SLOW} slow senders beside, {found.slow_closed} of them closed")  # fmt: skip
        self.row("few", f"{found.sent} junk requests: serves afterwards", "yes" if alive else "no", "yes", bool(alive),
                 f"memory {bytes_text(watch.usage.peak_bytes)}, {watch.usage.descriptors} descriptors")  # fmt: skip

    def schemathesis(self, server):
        program = self.options.schemathesis or shutil.which("schemathesis")
        if not program:
            return self.row("few", "schemathesis: server errors", "not installed", "0")
        described = self.work / "openapi.json"
        described.write_text(json.dumps(narrowed(server.description())), encoding="utf-8")
        told = subprocess.run(
            [
                program,
                "run",
                described,
                f"--url=http://127.0.0.1:{server.port}",
                f"--header=Authorization: Bearer {server.tokens['admin']}",
                "--checks=not_a_server_error",
                "--phases=coverage,fuzzing",
                "--continue-on-failure",
                f"--max-examples={self.options.examples}",
                "--seed=1",
                "--request-timeout=150",
                "--no-color",
            ],
            cwd=self.work,
            capture_output=True,
            text=True,
            check=False,
        )
        (self.work / "schemathesis.log").write_text(told.stdout + told.stderr, encoding="utf-8")
        cases = re.search(r"(\d+) generated", told.stdout)
        found = sum(map(int, re.findall(r"Server error: (\d+)", told.stdout)))
        # While a database is restored, 503 is the answer that is promised.
        restoring = len(re.findall(r"^\[503\][^`]*`[^`]*\"code\":\"restoring\"", told.stdout, re.M))
        errors = found - restoring
        ended = told.returncode in ((1,) if found else (0,)) and server.process.poll() is None
        self.row(
            "few",
            "schemathesis: server errors",
            str(errors) if ended else "failed, see its log",
            "0",
            ended and errors == 0,
            f"{cases.group(1) if cases else '?'} requests, {run([program, '--version']).stdout.strip()}"
            + (f"; {restoring} kind of request met a restore, and 503" if restoring else ""),
        )

    # --- the whole ---

    def fresh(self, name):
        home = self.work / name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        return home


def narrowed(description):
    """The description with a database that there is in place of any, so that what lies behind it is reached; without the upload
    of a file, which schemathesis cannot make."""
    for routes in description["paths"].values():
        for method, route in list(routes.items()):
            for one in route.get("parameters", ()):
                if one["name"] in KNOWN:
                    one["schema"] = {"type": "string", "enum": KNOWN[one["name"]]}
            kinds = route.get("requestBody", {}).get("content", {"application/json": None})
            if "application/json" not in kinds:
                del routes[method]
    return description
