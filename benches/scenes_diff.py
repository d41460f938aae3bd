"""What changed, row by row: pagekeep between two snapshots and since one, against `sqldiff --summary` on the same two files."""

import shutil

from measure import run
from pagekeep import Pagekeep
from peers import Tool
from s3 import Counted, Seaweed
from scenes_s3 import COUNTED_NAME, forget, s3_tool

DIFF_NAME, LIVE_NAME, SQLDIFF = "pagekeep, snapshots", "pagekeep, live", "sqldiff --summary"


class Sqldiff(Tool):
    name = program = SQLDIFF

    def installed(self):
        return shutil.which("sqldiff") is not None

    def compare(self, older):
        return run(["sqldiff", "--summary", older, self.database])


def diff(bench):
    """The mixed change: both states are snapshots, or the newer one is the live database; in turn with the other tool."""
    tool = Pagekeep(bench.work / "tools", bench.copy_of(bench.base(), "own-diff", "app.db"), bench.binary, name=DIFF_NAME)
    live = Pagekeep(bench.work / "tools", tool.database, bench.binary, name=LIVE_NAME)
    peer = Sqldiff(bench.work / "tools", tool.database)
    if not peer.installed():
        bench.say("  diff: sqldiff is not on the PATH; pagekeep is measured alone")
    if not bench.started_empty(tool):
        return
    live.home.mkdir(parents=True, exist_ok=True)
    tool.backup()
    older = bench.copy_of(tool.database, "older", "app.db")
    bench.change("mixed", tool.database)
    for _ in range(bench.rounds):
        bench.measure("diff", live, lambda: live.told("diff", "1", "--stat", "--json", "--db", tool.database))
    tool.backup()
    for _ in range(bench.rounds):
        bench.measure("diff", tool, lambda: tool.told("diff", "1", "2", "--stat", "--json", "--db", tool.database))
        if peer.installed():
            bench.measure("diff", peer, lambda: peer.compare(older))
    forget(tool)
    shutil.rmtree(older.parent, ignore_errors=True)


def s3_diff(bench):
    """What is fetched from the remote alone, without a store on this disk: the increment, the older pages it is a delta to,
    and the interior pages of the trees, each in its frame."""
    with Seaweed(bench.work / "seaweed") as server, Counted(server.port, bench.work / "requests.log") as counter:
        tool = s3_tool(bench, server, COUNTED_NAME, counter.port)
        if bench.started_empty(tool):
            tool.backup()
            bench.change("mixed", tool.database)
            bench.measure("s3-diff-increment", tool, tool.backup, counter)
            told = lambda: tool.told("diff", "1", "2", "--stat", "--json", "--from", tool.url)  # noqa: E731
            bench.measure("s3-diff", tool, told, counter)
        forget(tool)


SCENES = {"diff": diff, "s3-diff": s3_diff}
