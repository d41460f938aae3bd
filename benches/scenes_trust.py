"""What encryption costs, and a prune of a store with many snapshots and many chunks."""

import shutil
import sqlite3

from bench import remove_database
from measure import CommandFailed
from pagekeep import REMOTE, Pagekeep

PLAIN_NAME, SEALED_NAME, PRUNE_NAME = "pagekeep, plain", "pagekeep, encrypted", "pagekeep, prune"
# The least page SQLite has, so that a small file has many chunks; a row fills most of one.
PAGE_BYTES, ROW_BYTES = 512, 380
PRUNED_ROWS, PRUNED_SNAPSHOTS, CHANGED_ROWS, KEPT_SNAPSHOTS = 600_000, 1000, 400, 50


class Sealed(Pagekeep):
    """Keeps an encrypted remote. The password's file is named by the environment, as a service would."""

    def add(self, name, url):
        password = self.home / "password"
        password.write_text("four words and more\n")
        self.env["PAGEKEEP_PASSWORD_FILE"] = str(password)
        self.run("backup", "add", name, url, "--encrypt", "--db", self.database)


def sealed(bench):
    """The first full sync and its restore, plain and encrypted in turn, each time into an empty store."""
    tools = [
        kind(bench.work / "tools", bench.copy_of(bench.base(), f"own-{place}", "app.db"), bench.binary, name=name)
        for kind, place, name in ((Pagekeep, "plain", PLAIN_NAME), (Sealed, "sealed", SEALED_NAME))
    ]
    for number in range(bench.rounds):
        for tool in bench.turn(number, tools):
            if bench.started_empty(tool):
                bench.measure("sealed-full", tool, tool.backup)
                bench.measure_restore("sealed-restore", tool)
                bench.change("ten-rows", tool.database)
                bench.measure("sealed-ten-rows", tool, tool.backup)
                shutil.copyfile(bench.base(), tool.database)
    for tool in tools:
        tool.clear()
        shutil.rmtree(tool.database.parent, ignore_errors=True)


def prune(bench):
    """A million chunks in a thousand snapshots, of which every twentieth stays."""
    tool = Pagekeep(bench.work / "tools", bench.work / "own-prune" / "app.db", bench.binary, name=PRUNE_NAME)
    tool.database.parent.mkdir(parents=True, exist_ok=True)
    connection = many_pages(tool.database)
    if not bench.started_empty(tool):
        return
    try:
        grow(bench, tool, connection)
    except CommandFailed as failure:
        bench.failed("prune", PRUNE_NAME, failure)
        return
    kept = PRUNED_SNAPSHOTS // KEPT_SNAPSHOTS
    going = [f"app@{number}" for number in range(1, PRUNED_SNAPSHOTS + 1) if number % kept]
    tool.told("forget", *going, "--from", REMOTE, "--db", tool.database)
    told = lambda *more: tool.told("prune", REMOTE, *more, "--json", "--db", tool.database)  # noqa: E731
    bench.measure("prune-dry", tool, lambda: told("--dry-run"))
    # Nobody else is there: without a time of grace, one run condemns and removes.
    bench.measure("prune", tool, lambda: told("--alone", "--grace", "0s"))
    bench.measure("prune-again", tool, lambda: told("--alone", "--grace", "0s"))
    bench.measure("prune-scrub", tool, lambda: tool.told("scrub", REMOTE, "--json", "--db", tool.database))
    tool.clear()
    shutil.rmtree(tool.database.parent, ignore_errors=True)


def many_pages(path):
    remove_database(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT)")
    connection.execute(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        f" INSERT INTO item SELECT i, substr(hex(randomblob({ROW_BYTES // 2})), 1, {ROW_BYTES}) FROM n",
        (PRUNED_ROWS,),
    )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return connection


def grow(bench, tool, connection):
    """Rows all over the file change before each sync: each is a page of its own, and so a chunk."""
    stride = PRUNED_ROWS // CHANGED_ROWS
    for number in range(1, PRUNED_SNAPSHOTS + 1):
        connection.execute(
            f"UPDATE item SET body = substr(hex(randomblob({ROW_BYTES // 2})), 1, {ROW_BYTES}) WHERE id % ? = ?",
            (stride, number * 7 % stride),
        )
        tool.backup()
        if number % 100 == 0:
            bench.say(f"  prune: {number} of {PRUNED_SNAPSHOTS} snapshots")
    connection.close()


SCENES = {"sealed": sealed, "prune": prune}
