"""What every scene works with: the live database, the tools that keep it, and how one run becomes a figure."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from measure import CommandFailed, quiet_disk, run, same_content, total_bytes, written_bytes
from pagekeep import Pagekeep
from peers import PEERS
from results import Figure, Results
from s3 import by_verb, bytes_of

HERE = Path(__file__).resolve().parent
# What makes a kept base database the right one; raise `version` when make_db.py makes other rows.
GENERATOR_VERSION = 1


class Bench:
    """One run of the benches. `live` is the database that the tools back up, in turn, state by state."""

    def __init__(self, options):
        self.options, self.rounds = options, options.rounds
        self.work = Path(options.work).resolve()
        self.binary = Path(options.pagekeep).resolve()
        self.results = Results()
        self.seed = 0
        self.live = self.work / "live" / "app.db"
        self.tools = []

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    # --- databases ---

    def base(self):
        """The database as it is made; kept between runs, since it only depends on its size and seed."""
        return self.made_database(self.work / "base.db", self.options.bytes)

    def made_database(self, path, wanted_bytes):
        stamp, facts = path.with_suffix(".json"), {
            "bytes": wanted_bytes,
            "seed": self.options.seed,
            "version": GENERATOR_VERSION,
        }
        if path.exists() and stamp.exists() and json.loads(stamp.read_text()) == facts:
            return path
        self.say(f"making a database of {wanted_bytes} bytes ...")
        self.work.mkdir(parents=True, exist_ok=True)
        remove_database(path)
        self.say(self.script("make_db.py", path, "--bytes", wanted_bytes, "--seed", self.options.seed).strip())
        stamp.write_text(json.dumps(facts))
        return path

    def copy_of(self, source, *names):
        """A fresh copy below the working folder, alone in its own folder."""
        target = self.work.joinpath(*names)
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir(parents=True)
        shutil.copyfile(source, target)
        return target

    def change(self, kind, *databases):
        """One change, the same on each database; the file alone holds it afterwards."""
        self.seed += 1
        for database in databases:
            told = self.script("change_db.py", database, kind, "--seed", self.seed, "--checkpoint")
        self.say(f"  changed: {told.strip()}")

    def script(self, name, *arguments):
        return run([sys.executable, HERE / name, *arguments]).stdout

    # --- tools ---

    def prepare(self):
        """Lays out the live database and finds the tools. Returns the names of those that are not installed."""
        self.copy_of(self.base(), "live", "app.db")
        self.tools, missing = [], []
        homes = self.work / "tools"
        shutil.rmtree(homes, ignore_errors=True)
        for peer in PEERS:
            tool = peer(homes, self.live)
            if not self.wanted(tool.program):
                continue
            if not tool.installed():
                missing.append(tool.program)
                continue
            if tool.own_copy:
                tool.database = self.copy_of(self.live, f"own-{tool.program}", "app.db")
            self.tools.append(tool)
        if self.wanted("pagekeep"):
            self.tools.append(Pagekeep(homes, self.live, self.binary))
        return missing

    def wanted(self, program):
        return self.options.tools is None or program in self.options.tools

    def turn(self, number, tools=None):
        """The tools in the order of one round: each round begins with another."""
        tools = self.tools if tools is None else tools
        start = number % len(tools) if tools else 0
        return tools[start:] + tools[:start]

    def incremental(self):
        return [tool for tool in self.tools if tool.incremental]

    def databases(self):
        return [self.live] + [tool.database for tool in self.tools if tool.own_copy]

    def ready(self, tools):
        """Gives every tool a first full copy when the scene that measures it did not run. Returns those that have one."""
        return [tool for tool in tools if tool.ready or self.started(tool)]

    def started(self, tool):
        try:
            tool.start()
            tool.backup()
        except CommandFailed as failure:
            self.failed("start", tool.name, failure)
            tool.ready = False
        return tool.ready

    def started_empty(self, tool):
        """Gives the tool an empty remote; whether that went well."""
        try:
            tool.start()
        except CommandFailed as failure:
            self.failed("start", tool.name, failure)
        return tool.ready

    # --- figures ---

    def measure(self, scene, tool, action, counter=None):
        """Runs `action` (which returns a `measure.Run`) and adds its figure; a failure becomes a figure too."""
        quiet_disk()
        if counter:
            counter.take()
        before = tool.files()
        try:
            done = action()
        except CommandFailed as failure:
            return self.failed(scene, tool.name, failure)
        after = tool.files()
        report = done.report
        figure = Figure(
            scene,
            tool.name,
            done.seconds,
            done.peak_bytes,
            requests=report.get("requests"),
            phases=report.get("phases"),
            database_bytes=tool.database.stat().st_size,
            fetched_bytes=report.get("downloaded_bytes"),
        )
        if counter:
            requests = counter.take()
            figure.requests = by_verb(requests)
            figure.written_bytes = bytes_of(requests, "sent_bytes")
            figure.fetched_bytes = bytes_of(requests, "received_bytes")
        elif after is None:
            figure.written_bytes = report.get("uploaded_bytes")
        else:
            figure.written_bytes, figure.stored_bytes = written_bytes(before, after), total_bytes(after)
        self.say(
            f"  {scene}: {tool.name}: {done.seconds:.3f} s, written {figure.written_bytes}, peak {done.peak_bytes}"
        )
        return self.results.add(figure)

    def measure_restore(self, scene, tool, counter=None, target=None, **keywords):
        """Restores, measures, compares with the database as it is, removes the copy."""
        target = target or self.work / "restored" / "app.db"
        target.parent.mkdir(parents=True, exist_ok=True)
        figure = self.measure(scene, tool, lambda: tool.restore(target, **keywords), counter)
        figure.stored_bytes = None  # what the remote holds says nothing about a restore; what was written to it does
        if not figure.failed and tool.exact and not same_content(target, tool.database):
            figure.failed = "the restored file is not the database that was backed up"
            self.say(f"  {scene}: {tool.name}: {figure.failed}")
        shutil.rmtree(target.parent)
        return figure

    def failed(self, scene, tool_name, failure):
        self.say(f"  {scene}: {tool_name}: FAILED: {failure}")
        return self.results.add(Figure(scene, tool_name, failed=str(failure)))


def remove_database(path):
    for name in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        Path(name).unlink(missing_ok=True)


def git_commit():
    """The commit of the tree that is measured, marked when files differ from it; `None` outside of git."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip()
