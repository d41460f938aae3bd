"""Litestream as a daemon: it sees every commit, so its increment is the pages of the transaction."""

import shutil
import subprocess
import time

from measure import folder_files, wait, written_bytes
from peers import Litestream
from results import Figure

NAME = "litestream, running"
POLL_SECONDS, QUIET_SECONDS, PATIENCE_SECONDS = 0.25, 4, 180


class RunningLitestream(Litestream):
    """Use as a context: replicating inside, ended after. `peak_bytes` is known then."""

    name = NAME

    def __enter__(self):
        self.start()
        self.peak_bytes = None
        self.process = subprocess.Popen(
            ["litestream", "replicate", "-log-level", "error", self.database, self.url],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_):
        self.process.terminate()
        _, self.peak_bytes = wait(self.process, time.perf_counter())

    def files(self):
        """The files of level 0 alone: each commit once. The merged levels above it are left out, to its favour."""
        return folder_files(self.remote / "ltx" / "0")

    def wait_until_quiet(self):
        """Until there are files and none was new for a while."""
        seen, since, deadline = None, time.monotonic(), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            files = self.files()
            if files != seen:
                seen, since = files, time.monotonic()
            elif files and time.monotonic() - since > QUIET_SECONDS:
                return files
            time.sleep(POLL_SECONDS)
        raise TimeoutError(f"litestream was not quiet for {QUIET_SECONDS} s within {PATIENCE_SECONDS} s")


def measure_running(bench, scene):
    """The mixed change, with a daemon that follows it; the time is from the end of the change to the last file."""
    database = bench.copy_of(bench.live, "own-running", "app.db")
    figures = []
    try:
        with RunningLitestream(bench.work / "tools", database) as daemon:
            before = daemon.wait_until_quiet()
            for _ in range(bench.rounds):
                # Not checkpointed: while the daemon runs it alone decides when pages leave the WAL.
                bench.seed += 1
                bench.script("change_db.py", database, "mixed", "--seed", bench.seed)
                changed_at = time.time_ns()
                after = daemon.wait_until_quiet()
                newest = max(modified for _, _, modified in after.values())
                figures.append(
                    Figure(
                        scene,
                        NAME,
                        seconds=max(0.0, (newest - changed_at) / 1e9),
                        written_bytes=written_bytes(before, after),
                        database_bytes=database.stat().st_size,
                    )
                )
                before = after
        for figure in figures:
            figure.peak_bytes = daemon.peak_bytes
            bench.results.add(figure)
            bench.say(f"  {scene}: {NAME}: written {figure.written_bytes}")
    except TimeoutError as failure:
        bench.failed(scene, NAME, failure)
    shutil.rmtree(database.parent, ignore_errors=True)
