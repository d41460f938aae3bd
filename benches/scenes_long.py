"""The scenes that show what grows: a long history of small increments, and a database eight times as large."""

import shutil
import sqlite3
import time

import change_db
from bench import remove_database
from measure import CommandFailed, run
from pagekeep import Pagekeep
from results import Figure
from s3 import CREDENTIALS, Counted, Seaweed, by_verb, dependent_round_trips, find_weed
from scenes import RACY_SECONDS

CHAIN_NAME, FRESH_NAME = "pagekeep, long history", "pagekeep, fresh full"
LAST_PART = 10  # the last tenth of the history is looked at alone: does a record grow with the history?
# Slower than any request here, so that requests sent together overlap for certain.
COUNTED = "counted"
ROUND_TRIP_DELAY_MS = 300
OPENED_PLACES = (0.25, 0.5, 0.999)
CLOUD = "cloud"


def chain(bench):
    """`--chain-count` syncs of ten rows each, then its restore beside that of a fresh full of the same state."""
    base = bench.made_database(bench.work / "chain-base.db", bench.options.chain_bytes)
    long = Pagekeep(bench.work / "tools", bench.copy_of(base, "own-chain", "app.db"), bench.binary, name=CHAIN_NAME)
    if not bench.started_empty(long):
        return
    try:
        long.backup()
        grow_history(bench, long)
    except CommandFailed as failure:
        bench.failed("chain", CHAIN_NAME, failure)
        return
    fresh = Pagekeep(
        bench.work / "tools", bench.copy_of(long.database, "own-fresh", "app.db"), bench.binary, name=FRESH_NAME
    )
    if bench.started_empty(fresh):
        bench.measure("chain-full", fresh, fresh.backup)
        for number in range(bench.rounds):
            for tool in bench.turn(number, [long, fresh]):
                bench.measure_restore("chain-restore", tool)
    if find_weed():
        open_snapshots(bench, long)
    for tool in (long, fresh):
        tool.clear()
        shutil.rmtree(tool.database.parent, ignore_errors=True)


def grow_history(bench, tool):
    """One program holds the database open and commits ten rows before each sync. Adds the figure of the history."""
    count = bench.options.chain_count
    last_begins, seconds, data_bytes, peak_bytes = count - count // LAST_PART, [], [], 0
    begin_bytes = last_begin_bytes = tool.stored_bytes()
    connection = sqlite3.connect(tool.database, isolation_level=None)
    for number in range(count):
        if number == last_begins:
            last_begin_bytes = tool.stored_bytes()
        connection.execute("BEGIN IMMEDIATE")
        change_db.change_ten_rows(connection, f"chain {number}")
        connection.execute("COMMIT")
        done = tool.backup()
        seconds.append(done.seconds)
        data_bytes.append(done.report.get("data_bytes"))
        peak_bytes = max(peak_bytes, done.peak_bytes)
        if (number + 1) % 200 == 0:
            bench.say(f"  chain: {number + 1} of {count}")
    # Restores are compared with the file, so the file must hold everything.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    end_bytes = tool.stored_bytes()
    figure = Figure(
        "chain",
        tool.name,
        sum(seconds) / count,
        peak_bytes,
        written_bytes=end_bytes - begin_bytes,
        stored_bytes=end_bytes,
        database_bytes=tool.database.stat().st_size,
    )
    figure.other = {
        "syncs": count,
        "bytes_per_sync": (end_bytes - begin_bytes) / count,
        "bytes_per_sync_at_end": (end_bytes - last_begin_bytes) / (count - last_begins),
    }
    if None not in data_bytes:
        last_data_bytes = sum(data_bytes[last_begins:])
        figure.other["record_bytes"] = (end_bytes - begin_bytes - sum(data_bytes)) / count
        figure.other["record_bytes_at_end"] = (end_bytes - last_begin_bytes - last_data_bytes) / (count - last_begins)
    bench.results.add(figure)


def open_snapshots(bench, tool):
    """Brings the whole history to S3 and opens snapshots of it there, each request delayed: which wait for which?"""
    tool.env |= CREDENTIALS
    with Seaweed(bench.work / "seaweed") as server:
        try:
            tool.add(CLOUD, server.url("chain"))
            tool.backup(CLOUD)
            with Counted(server.port, bench.work / "requests.log", ROUND_TRIP_DELAY_MS) as counter:
                # By its name: a bare URL costs one request more, for `store.json`.
                tool.add(COUNTED, server.url("chain", counter.port))
                counter.take()
                for place in OPENED_PLACES:
                    done = tool.show(f"app@{1 + int(place * bench.options.chain_count)}", COUNTED)
                    requests = counter.take()
                    bench.results.add(
                        Figure(
                            "chain-open",
                            tool.name,
                            peak_bytes=done.peak_bytes,
                            requests=by_verb(requests),
                            other={"round_trips": dependent_round_trips(requests)},
                        )
                    )
        except CommandFailed as failure:
            bench.failed("chain-open", tool.name, failure)


def large(bench):
    """The same steps on the database of `--bytes` and on one of `--large-bytes`: what does memory do?"""
    for wanted_bytes in (bench.options.bytes, bench.options.large_bytes):
        database = bench.work / "large" / "app.db"
        shutil.rmtree(database.parent, ignore_errors=True)
        database.parent.mkdir(parents=True)
        bench.script("make_db.py", database, "--bytes", wanted_bytes, "--seed", bench.options.seed)
        tool = Pagekeep(bench.work / "tools", database, bench.binary, name=large_name(wanted_bytes))
        if bench.started_empty(tool):
            large_steps(bench, tool)
        tool.clear()
        shutil.rmtree(database.parent)


def large_name(database_bytes):
    return f"pagekeep, {database_bytes / 1e9:.3g} GB"


def large_steps(bench, tool):
    """Once each: the large database takes its time, and a peak of memory needs no median."""
    bench.measure("large-full", tool, tool.backup)
    time.sleep(RACY_SECONDS)
    tool.backup()
    bench.measure("large-unchanged", tool, tool.backup)
    bench.change("touch", tool.database)
    bench.measure("large-touched", tool, tool.backup)
    older = bench.work / "restored" / "app.db"
    older.parent.mkdir(parents=True, exist_ok=True)
    remove_database(older)
    run(["cp", tool.database, older])
    bench.change("mixed", tool.database)
    bench.measure("large-increment", tool, tool.backup)
    bench.measure_restore("large-over", tool, target=older, force=True)
    bench.measure_restore("large-restore", tool)


SCENES = {"chain": chain, "large": large}
