"""Questions to a snapshot where it lies, beside restoring it: one row by its key, and whole tables.

`cold` runs begin with an empty cache. Times are measured without the counter in between; requests and bytes with it.
"""

import shutil

from pagekeep import Pagekeep
from s3 import Counted, Seaweed
from scenes_s3 import COUNTED_NAME, FILE_NAME, S3_NAME, forget, s3_tool

# A row in the middle: its pages lie in other packs than the first page, as most do.
BYTES_A_USER = 6_500
# SQLite reads the first in the order of an index, the second in the order of the table.
COUNT = "SELECT count(*) FROM events"
SCAN = "SELECT count(*) FROM events NOT INDEXED"


def ask(bench, tool, scene, sql, counter=None, cold=True):
    caches = bench.work / "caches"
    if cold:
        shutil.rmtree(caches, ignore_errors=True)
    tool.env["XDG_CACHE_HOME"] = str(caches)
    return bench.measure(scene, tool, lambda: tool.query("app@1", sql), counter)


def query(bench):
    lookup = f"SELECT id, email FROM users WHERE id = {bench.options.bytes // BYTES_A_USER // 2}"
    with Seaweed(bench.work / "seaweed") as server, Counted(server.port, bench.work / "requests.log") as counter:
        on_disk = Pagekeep(
            bench.work / "tools", bench.copy_of(bench.base(), "own-q-file", "app.db"), bench.binary, name=FILE_NAME
        )
        far = s3_tool(bench, server, S3_NAME)
        tools = [tool for tool in (on_disk, far) if bench.started(tool)]
        for tool in tools:
            for _ in range(bench.rounds):
                bench.measure_restore("query-restore", tool)
                ask(bench, tool, "query-lookup", lookup)
                ask(bench, tool, "query-again", lookup, cold=False)
                ask(bench, tool, "query-count", COUNT)
                ask(bench, tool, "query-scan", SCAN)
        # The same store through the counter.
        far.name, far.given_url = COUNTED_NAME, far.given_url.replace(f":{server.port}", f":{counter.port}")
        ask(bench, far, "query-lookup", lookup, counter)
        ask(bench, far, "query-again", lookup, counter, cold=False)
        ask(bench, far, "query-count", COUNT, counter)
        ask(bench, far, "query-scan", SCAN, counter)
        shutil.rmtree(bench.work / "caches", ignore_errors=True)
        forget(on_disk, far)


SCENES = {"query": query}
