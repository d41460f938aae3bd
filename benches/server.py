#!/usr/bin/env python3
"""Measures `pagekeep serve` under load and prints each figure beside what is to be reached. Linux only: it asks /proc.

    python3 benches/server.py                           everything; 35 minutes, 12 GB of disk
    python3 benches/server.py --write                   ... and writes the table into docs/BENCHMARKS.md
    python3 benches/server.py --only readers,junk       some scenes
    python3 benches/server.py --databases 20 --idle-seconds 30 --busy-bytes 4000000 --junk 1000 --bytes 20000000    small and quick

few     ten databases that are changed and synced all the time; 200 readers; a download of a large database; junk; schemathesis
fleet   2 000 databases, each in a folder of its own, with a schedule and two remotes; idle; then 200 readers as above
one     the same 2 000 databases in one folder: idle

What was measured stays in server.json of the working folder: a run of some scenes adds to those of the same commit.
SeaweedFS (`weed`) and schemathesis are used when they are there.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import shlex
import shutil
import sys

import report
from bench import HERE, git_commit
from make_db import DEFAULT_BYTES
from measure import CommandFailed, run
from s3 import Seaweed, find_weed
from server_scenes import SCENES, Scenes

DOCUMENT = HERE.parent / "docs" / "BENCHMARKS.md"
HEADER = ("", "measured", "to reach", "", "also")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--only", type=lambda text: text.split(","), default=list(SCENES), help=f"of {', '.join(SCENES)}")
    add("--work", default="/tmp/bench-server", help="folder for databases and stores (default %(default)s)")
    add(
        "--pagekeep", default=HERE.parent / "target" / "release" / "pagekeep", metavar="PATH", help="the release binary"
    )
    add("--databases", type=int, default=2000)
    add(
        "--small-bytes",
        type=int,
        default=900_000,
        help="size of each (default %(default)s, the rows that are added last make more)",
    )
    add("--every", default="10m", help="their schedule (default %(default)s)")
    add("--idle-seconds", type=int, default=660)
    add("--readers", type=int, default=200)
    add("--per-second", type=float, default=1, help="requests of each reader (default %(default)s)")
    add("--read-seconds", type=int, default=30)
    add("--busy-bytes", type=int, default=128_000_000, help="size of the databases that are synced meanwhile")
    add(
        "--bytes", type=int, default=DEFAULT_BYTES, help="size of the database that is downloaded (default %(default)s)"
    )
    add("--database", help="a database to download instead of making one")
    add("--junk", type=int, default=100_000)
    add("--schemathesis", help="its program")
    add("--examples", type=int, default=50, help="of each operation for schemathesis (default %(default)s)")
    add("--ahead", action="store_true", help="go before other sessions of a machine that is shared (Linux, root)")
    add("--write", action="store_true", help=f"write the table into {DOCUMENT.relative_to(HERE.parent)}")
    return parser.parse_args()


def main():
    options = parse_arguments()
    if unknown := [name for name in options.only if name not in SCENES]:
        sys.exit(f"server: {', '.join(unknown)}: not of {', '.join(SCENES)}")
    if shutil.which(str(options.pagekeep)) is None:
        sys.exit(f"server: there is no program at {options.pagekeep}; build it with `cargo build --release --locked`")
    if options.ahead:
        go_ahead()
    scenes, machine, failed = Scenes(options), report.machine_text(), False
    for name in [name for name in SCENES if name in options.only]:
        scenes.say(f"{name}:")
        try:
            getattr(scenes, name)()
        except (CommandFailed, RuntimeError, OSError) as failure:
            failed = True
            scenes.row(name, f"{name}: the scene", f"failed: {str(failure)[:400]}", met=False)
    text = render(remember(scenes, machine))
    print(text)
    if options.write:
        report.write_block(DOCUMENT, "server", text, "server.py")
        scenes.say(f"written: {DOCUMENT}")
    sys.exit(1 if failed else 0)


def go_ahead():
    """On a machine that others use, too: this session, with the server and its clients, goes before theirs (Linux, root). Jobs
    are sessions of their own, and stay behind."""
    with contextlib.suppress(PermissionError):
        os.setsid()
    with open("/proc/self/autogroup", "w", encoding="ascii") as file:
        file.write("-15")


def remember(scenes, machine):
    """Adds this run to those of the same program that measured other scenes; returns all, in the order of the scenes."""
    path = scenes.work / "server.json"
    with open(scenes.binary, "rb") as file:
        program = hashlib.file_digest(file, "sha256").hexdigest()
    known = json.loads(path.read_text()) if path.exists() else {}
    runs = known.get("runs", {}) if known.get("program") == program else {}
    facts = {
        "when": report.today(),
        "machine": machine,
        "command": shlex.join(["python3", "benches/server.py", *without_places(sys.argv[1:])]),
        "versions": versions(scenes),
        "missing": [] if find_weed() else ["weed"],
    }
    for name in dict.fromkeys(row.scene for row in scenes.rows):
        rows = [dataclasses.asdict(row) for row in scenes.rows if row.scene == name]
        runs[name] = {"facts": facts, "rows": rows}
    path.write_text(json.dumps({"program": program, "runs": runs}, indent=1), encoding="utf-8")
    return [runs[name] for name in SCENES if name in runs]


def versions(scenes):
    commit = git_commit()
    found = {"pagekeep": run([scenes.binary, "--version"]).stdout.strip() + (f", commit {commit}" if commit else "")}
    return found | ({"SeaweedFS": Seaweed(scenes.work).version()} if find_weed() else {})


def without_places(arguments):
    """A command as it can be given elsewhere: where this machine keeps things says nothing to others."""
    kept, skip = [], False
    for one in arguments:
        if (
            not skip
            and not one.startswith(("--work", "--pagekeep", "--database=", "--schemathesis"))
            and one != "--database"
        ):
            kept.append(one)
        skip = not skip and one in ("--work", "--pagekeep", "--database", "--schemathesis")
    return kept


def render(runs):
    """One table; what was measured by another command is said once more."""
    parts = [report.facts_text(runs[0]["facts"])] if runs else []
    others = dict.fromkeys(one["facts"]["command"] for one in runs if one["facts"] != runs[0]["facts"])
    if others := [command for command in others if command != runs[0]["facts"]["command"]]:
        parts.append("and\n\n" + "\n".join(f"    {command}" for command in others))
    rows = [row for one in runs for row in one["rows"]]
    cells = [tuple(row[name] for name in ("what", "measured", "to_reach", "verdict", "also")) for row in rows]
    return "\n\n".join(["## The server under load", *parts, report.table(HEADER, cells)]) + "\n"


if __name__ == "__main__":
    main()
