#!/usr/bin/env python3
"""Measures pagekeep beside cp, zstd, restic, rustic, borg and Litestream, in one run, and prints the tables.

    python3 benches/run.py                              everything but the large database
    python3 benches/run.py --write                      ... and writes the tables into docs/BENCHMARKS.md
    python3 benches/run.py --only full,restore          some scenes (see --help)
    python3 benches/run.py --only large --write         1 GB and 8 GB, for memory
    python3 benches/run.py --tools cp,zstd,restic       some tools, here without pagekeep

Tools that are not installed are named and left out. The exit code is 1 when a run failed.
"""

import argparse
import shlex
import shutil
import sys

import report
import scenes
import scenes_diff
import scenes_long
import scenes_pruned
import scenes_query
import scenes_s3
import scenes_trust
from bench import HERE, Bench, git_commit
from make_db import DEFAULT_BYTES
from measure import CommandFailed, run
from peers import PEERS
from s3 import Seaweed, find_weed

SCENES = (
    scenes.SCENES
    | scenes_diff.SCENES
    | scenes_s3.SCENES
    | scenes_query.SCENES
    | scenes_trust.SCENES
    | scenes_pruned.SCENES
    | scenes_long.SCENES
)
LARGE = "large"
NEEDS_S3 = set(scenes_s3.SCENES) | set(scenes_query.SCENES) | {"s3-diff"}
PAGEKEEP_ALONE = NEEDS_S3.union(
    scenes_long.SCENES, scenes_diff.SCENES, scenes_trust.SCENES, scenes_pruned.SCENES, {"over"}
)
TOOL_NAMES = [peer.program for peer in PEERS] + ["pagekeep"]
DOCUMENT = HERE.parent / "docs" / "BENCHMARKS.md"


def names(known):
    def parse(text):
        given = [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return given

    return parse


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=DEFAULT_BYTES, help="size of the database (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the database (default %(default)s)")
    parser.add_argument("--work", default="/tmp/bench", help="folder for databases and stores (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default %(default)s)")
    parser.add_argument(
        "--only", type=names(SCENES), metavar="SCENES", help=f"of {', '.join(SCENES)}; default: all but {LARGE}"
    )
    parser.add_argument(
        "--tools", type=names(TOOL_NAMES), metavar="TOOLS", help=f"of {', '.join(TOOL_NAMES)}; default: all"
    )
    parser.add_argument(
        "--pagekeep",
        default=HERE.parent / "target" / "release" / "pagekeep",
        metavar="PATH",
        help="the release binary (default target/release/pagekeep)",
    )
    parser.add_argument("--chain-count", type=int, default=2000, help="syncs of the long history (default %(default)s)")
    parser.add_argument(
        "--chain-bytes", type=int, default=DEFAULT_BYTES // 10, help="size of its database (default %(default)s)"
    )
    parser.add_argument(
        "--large-bytes", type=int, default=8 * DEFAULT_BYTES, help="size of the large database (default %(default)s)"
    )
    parser.add_argument(
        "--write", action="store_true", help=f"write the tables into {DOCUMENT.relative_to(HERE.parent)}"
    )
    parser.add_argument("--block", help="with --write: into this block of the document, beside the others")
    options = parser.parse_args()
    options.some_scenes = options.only is not None
    options.only = options.only or [name for name in SCENES if name != LARGE]
    return options


def check_pagekeep(options):
    """A clear end before an hour of measuring, not after."""
    if options.tools is not None and "pagekeep" not in options.tools:
        return
    if shutil.which(str(options.pagekeep)) is None:
        sys.exit(
            f"run: there is no pagekeep program at {options.pagekeep}.\n"
            "Build it with `cargo build --release --locked`, name another with `--pagekeep PATH`,\n"
            f"or measure the others alone with `--tools {','.join(TOOL_NAMES[:-1])}`."
        )


def chosen_scenes(bench, missing):
    """The wanted scenes in their order; says which cannot run, and why."""
    for name in SCENES:
        if name not in bench.options.only:
            continue
        if name in PAGEKEEP_ALONE and not bench.wanted("pagekeep"):
            bench.say(f"skipped: {name} (it measures pagekeep alone)")
        elif name in NEEDS_S3 and find_weed() is None:
            bench.say(f"skipped: {name} (no SeaweedFS: `weed` is neither in target/venv/bin nor on the PATH)")
            if "weed" not in missing:
                missing.append("weed")
        else:
            yield name


def versions(bench):
    found = {tool.program: tool.version() for tool in bench.tools if tool.name != "pagekeep"}
    if bench.wanted("pagekeep"):
        commit = git_commit()
        found["pagekeep"] = run([bench.binary, "--version"]).stdout.strip() + (f", commit {commit}" if commit else "")
    if bench.wanted("pagekeep") and find_weed():
        found["SeaweedFS"] = Seaweed(bench.work).version()
    return found


def main():
    options = parse_arguments()
    check_pagekeep(options)
    bench = Bench(options)
    large_only = options.only == [LARGE]
    facts = {
        "when": report.today(),
        "machine": report.machine_text(),
        "large_only": large_only,
        "some_scenes": options.some_scenes,
        "command": shlex.join(["python3", "benches/run.py", *sys.argv[1:]]),
    }
    missing = bench.prepare()
    for name in missing:
        bench.say(f"skipped: {name} (not installed)")
    facts["versions"] = versions(bench)
    for name in chosen_scenes(bench, missing):
        bench.say(f"{name}: {report.TITLES.get(name, '')}")
        try:
            SCENES[name](bench)
        except (CommandFailed, RuntimeError) as failure:
            bench.failed(name, "the scene", failure)
        bench.results.save(bench.work / "results.json")
    scenes.clean_up(bench)
    facts["missing"] = missing
    text = report.render(bench.results, facts)
    print(text)
    if options.write:
        block = options.block or ("large database" if large_only else "benches")
        report.write_block(DOCUMENT, block, text)
        bench.say(f"written: {DOCUMENT}")
    sys.exit(1 if bench.results.failures() else 0)


if __name__ == "__main__":
    main()
