"""The scenes against object storage: pagekeep and a SeaweedFS of our own.

Times are measured without the counter in between; requests and bytes are measured with it, in runs of their own.
Every round has a copy of the database and a prefix of its own, so that nothing is found from the round before.
"""

import itertools
import shutil
import time

from pagekeep import Pagekeep
from s3 import CREDENTIALS, Counted, Seaweed
from scenes import RACY_SECONDS

FILE_NAME, S3_NAME, COUNTED_NAME, NO_BASES_NAME = (
    "pagekeep, file",
    "pagekeep, S3",
    "pagekeep, S3 counted",
    "pagekeep, S3 keep=none",
)

prefixes = (f"run{number}" for number in itertools.count())


def s3_tool(bench, server, name, port=None, keep=None):
    database = bench.copy_of(bench.base(), f"own-{name.replace(' ', '').replace(',', '-')}", "app.db")
    return Pagekeep(
        bench.work / "tools", database, bench.binary, server.url(next(prefixes), port), name, keep, CREDENTIALS
    )


def s3_speed(bench):
    """file:// and S3 in turn, the same steps: a first full sync and a restore of it."""
    with Seaweed(bench.work / "seaweed") as server:
        on_disk = Pagekeep(
            bench.work / "tools", bench.copy_of(bench.base(), "own-s3-file", "app.db"), bench.binary, name=FILE_NAME
        )
        remote = s3_tool(bench, server, S3_NAME)
        for number in range(bench.rounds):
            remote.given_url = server.url(next(prefixes))
            for tool in bench.turn(number, [on_disk, remote]):
                if bench.started_empty(tool):
                    figure = bench.measure("s3-full", tool, tool.backup)
                    if not figure.failed:
                        bench.measure_restore("s3-restore", tool)
        forget(on_disk, remote)


def s3_requests(bench):
    """What goes over the wire: a full sync, a restore, nothing, ten rows, a mixed change, a restore over the older copy."""
    with Seaweed(bench.work / "seaweed") as server, Counted(server.port, bench.work / "requests.log") as counter:
        tool = s3_tool(bench, server, COUNTED_NAME, counter.port)
        if bench.started_empty(tool):
            bench.measure("s3-full", tool, tool.backup, counter)
            bench.measure_restore("s3-restore", tool, counter)
            older = bench.copy_of(tool.database, "restored", "app.db")
            bench.change("mixed", tool.database)
            bench.measure("s3-increment", tool, tool.backup, counter)
            bench.measure_restore("s3-over", tool, counter, target=older, force=True)
            time.sleep(RACY_SECONDS)
            tool.backup()
            for _ in range(bench.rounds):
                bench.measure("s3-unchanged", tool, tool.backup, counter)
            for _ in range(bench.rounds):
                bench.change("ten-rows", tool.database)
                bench.measure("s3-ten-rows", tool, tool.backup, counter)
        forget(tool)


def without_bases(bench):
    """keep = none and a cloud remote: no older page is at hand, so every changed page is stored whole."""
    with Seaweed(bench.work / "seaweed") as server, Counted(server.port, bench.work / "requests.log") as counter:
        tool = s3_tool(bench, server, NO_BASES_NAME, counter.port, keep="none")
        if bench.started_empty(tool):
            bench.measure("s3-full", tool, tool.backup, counter)
            for _ in range(bench.rounds):
                bench.change("mixed", tool.database)
                bench.measure("without-bases", tool, tool.backup, counter)
        forget(tool)


def forget(*tools):
    for tool in tools:
        tool.clear()
        shutil.rmtree(tool.database.parent, ignore_errors=True)


SCENES = {"s3": s3_speed, "s3-requests": s3_requests, "without-bases": without_bases}
