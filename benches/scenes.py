"""The scenes on this disk: full copies, increments and restores, each tool in turn on the same live database.

They build on each other in the order of `SCENES`; a scene that runs alone first makes what it needs, unmeasured.
"""

import shutil
import time

from pagekeep import Pagekeep
from running import measure_running

# Longer than a file system's clock tick by far: after it a file's times can be trusted to show a later write.
RACY_SECONDS = 3
# A run of a few milliseconds needs more rounds than one of seconds.
UNCHANGED_ROUNDS = 7


def full(bench):
    for number in range(bench.rounds):
        for tool in bench.turn(number):
            if bench.started_empty(tool):
                bench.measure("full", tool, tool.backup)


def restore_full(bench):
    for number in range(bench.rounds):
        for tool in bench.turn(number, bench.ready(bench.tools)):
            bench.measure_restore("restore-full", tool)


def increment(bench):
    tools = bench.ready(bench.incremental())
    for number in range(bench.rounds):
        bench.change("mixed", *bench.databases())
        for tool in bench.turn(number, tools):
            bench.measure("increment", tool, tool.backup)
    if any(tool.program == "litestream" for tool in tools):
        measure_running(bench, "increment")


def unchanged(bench):
    """The first run after a change may still have to look; what is measured is the state of rest after it."""
    tools = bench.ready(bench.incremental())
    time.sleep(RACY_SECONDS)
    for tool in tools:
        bench.measure("unchanged-first", tool, tool.backup)
    for number in range(UNCHANGED_ROUNDS):
        for tool in bench.turn(number, tools):
            bench.measure("unchanged", tool, tool.backup)


def touched(bench):
    tools = bench.ready(bench.incremental())
    for number in range(bench.rounds):
        bench.change("touch", *bench.databases())
        for tool in bench.turn(number, tools):
            bench.measure("touched", tool, tool.backup)


def ten_rows(bench):
    tools = bench.ready(bench.incremental())
    for number in range(bench.rounds):
        bench.change("ten-rows", *bench.databases())
        for tool in bench.turn(number, tools):
            bench.measure("ten-rows", tool, tool.backup)


def restore(bench):
    """The newest state, after the increments. cp and zstd first copy that state, so that all restore the same."""
    tools = bench.ready(bench.tools)
    for tool in tools:
        if not tool.incremental:
            tool.backup()
    for number in range(bench.rounds):
        for tool in bench.turn(number, tools):
            bench.measure_restore("restore", tool)


def restore_over(bench):
    """The newest state over a copy that is one mixed change old, each time after a full copy only: pages that changed
    before have their bases in old packs, not in the copy, and cost more (docs/decisions/0006-restore-over-a-copy.md)."""
    for tool in bench.ready([tool for tool in bench.tools if isinstance(tool, Pagekeep)]):
        for _ in range(bench.rounds):
            if not bench.started_empty(tool):
                return
            tool.backup()
            older = bench.copy_of(bench.live, "restored", "app.db")
            bench.change("mixed", *bench.databases())
            bench.measure("over-increment", tool, tool.backup)
            bench.measure_restore("over", tool, target=older, force=True)


def vacuum(bench):
    tools = bench.ready(bench.incremental())
    bench.change("vacuum", *bench.databases())
    for tool in tools:
        bench.measure("vacuum", tool, tool.backup)


def clean_up(bench):
    """Removes all but the databases that the next run can use again, and the figures."""
    for folder in (bench.work / name for name in ("live", "tools", "restored", "large")):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in bench.work.glob("own-*"):
        shutil.rmtree(folder, ignore_errors=True)


SCENES = {
    "full": full,
    "restore-full": restore_full,
    "increment": increment,
    "unchanged": unchanged,
    "touched": touched,
    "ten-rows": ten_rows,
    "restore": restore,
    "over": restore_over,
    "vacuum": vacuum,
}
