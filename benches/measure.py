"""Runs a program and says how long it took and how much memory it held; counts the bytes of a folder.

A program's peak memory is what the kernel reports when it is waited for (`ru_maxrss`, the program and the
children it waited for). A new process starts with the peak of the one that made it, so no figure is smaller
than this runner itself: it stays under 30 MB, and figures near that say no more than "at most".
"""

import dataclasses
import os
import shlex
import statistics
import subprocess
import tempfile
import time

KEPT_ERROR_CHARS = 600


class CommandFailed(Exception):
    """A program ended with an exit code other than 0."""


@dataclasses.dataclass
class Run:
    seconds: float
    peak_bytes: int
    stdout: str
    # What the program told about itself, when it tells it (see pagekeep.py).
    report: dict = dataclasses.field(default_factory=dict)


def run(argv, env=None, cwd=None):
    """Runs `argv` to its end. Raises `CommandFailed` with the end of its stderr."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in argv], env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        seconds, peak_bytes = wait(process, started)
        out.seek(0)
        stdout = out.read().decode(errors="replace")
        if process.returncode != 0:
            err.seek(0)
            talk = (err.read().decode(errors="replace") or stdout).strip()[-KEPT_ERROR_CHARS:]
            command = " ".join(shlex.quote(str(part)) for part in argv)
            raise CommandFailed(f"`{command}` ended with {process.returncode}: {talk}")
        return Run(seconds, peak_bytes, stdout)


def wait(process, started):
    """Waits for a child; returns its wall time since `started` and its peak memory."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def shell(*commands, **keywords):
    """Runs several commands, each a list, one after another as one measured program."""
    script = " && ".join(" ".join(shlex.quote(str(part)) for part in command) for command in commands)
    return run(["sh", "-c", script], **keywords)


def quiet_disk():
    """Lets what earlier steps wrote reach the disk, so that the next one does not pay for it."""
    os.sync()


def folder_files(folder):
    """Every file below `folder`: its path to (inode, size, modification time)."""
    files = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            try:
                facts = os.lstat(path)
            except FileNotFoundError:  # a program that still runs may remove its own temporary files
                continue
            files[path] = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return files


def total_bytes(files):
    return sum(size for _, size, _ in files.values())


def written_bytes(before, after):
    """The whole size of every file that is new or was written between the two."""
    return sum(facts[1] for path, facts in after.items() if before.get(path) != facts)


def median(values):
    return statistics.median(values) if values else None


def same_content(one, other):
    """Whether two files hold the same bytes (`cmp` does not grow this process as reading them here would)."""
    return subprocess.run(["cmp", "-s", str(one), str(other)], check=False).returncode == 0
