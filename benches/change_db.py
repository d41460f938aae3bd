#!/usr/bin/env python3
"""Changes the bench database the ways an application does: ordinary SQL, one transaction.

mixed     1 % of the rows of every table updated at random places, 0.5 % of the rows appended
ten-rows  ten random rows updated in place
vacuum    VACUUM
touch     a new modification time, the same content
none      nothing
"""

import argparse
import json
import os
import sqlite3
import time

import pages
from make_db import BATCH_ROWS, add_rows
from rows import EVENT_STATES, STATUSES, Rows

UPDATED_SHARE, APPENDED_SHARE = 0.01, 0.005
# Of the updated blobs one in so many gets new content; the others were only opened or renamed.
BLOB_REWRITE_EVERY = 20
# A row that grows by a note often splits its page; most updates of an application are not of that kind.
EVENT_NOTE_EVERY = 40
TEN = 10


def row_counts(connection):
    return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in BATCH_ROWS}


def some_ids(rng, count, share):
    """Random different row numbers in the order of the draw: an application does not write in key order."""
    return rng.sample(range(1, count + 1), max(1, int(count * share)))


def update_users(connection, rows, ids):
    connection.executemany(
        "UPDATE users SET seen_ms = ?, city = ? WHERE id = ?", ((rows.tick(), rows.text(1).title(), id) for id in ids)
    )


def update_events(connection, rows, ids):
    """Two fields of the JSON, a few bytes longer or shorter; one event in so many also gets a note and grows."""
    connection.executemany(
        "UPDATE events SET body = json_set(body, '$.state', ?, '$.tries', ?) WHERE id = ?",
        ((rows.pick(EVENT_STATES), rows.below(99), id) for id in ids),
    )
    connection.executemany(
        "UPDATE events SET body = json_set(body, '$.note', ?) WHERE id = ?",
        ((rows.text(4), id) for id in ids[::EVENT_NOTE_EVERY]),
    )


def update_settings(connection, rows, ids):
    """Settings have no row number: the n-th key is the one that the generator made n-th."""
    connection.executemany(
        "UPDATE settings SET value = ? WHERE scope = ? AND key = ?",
        ((value, scope, key) for scope, key, value in map(rows.setting, ids)),
    )


def update_accounts(connection, rows, ids):
    """Money moves between two accounts: the sum of all balances never changes."""
    for source, target in zip(ids[::2], ids[1::2]):
        cents, now_ms = rows.below(5_000), rows.tick()
        for id, sign in ((source, -1), (target, 1)):
            connection.execute(
                "UPDATE accounts SET balance_cents = balance_cents + ?, changed_ms = ? WHERE id = ?",
                (sign * cents, now_ms, id),
            )


def update_orders(connection, rows, ids):
    connection.executemany("UPDATE orders SET status = ? WHERE id = ?", ((rows.pick(STATUSES), id) for id in ids))


def update_blobs(connection, rows, ids):
    connection.executemany("UPDATE blobs SET opened_ms = ? WHERE id = ?", ((rows.tick(), id) for id in ids))
    connection.executemany(
        "UPDATE blobs SET content = ? WHERE id = ?", ((rows.blob(id)[-1], id) for id in ids[::BLOB_REWRITE_EVERY])
    )


UPDATES = {
    "users": update_users,
    "events": update_events,
    "settings": update_settings,
    "accounts": update_accounts,
    "orders": update_orders,
    "blobs": update_blobs,
}


def change_mixed(connection, seed):
    rows, counts = Rows(f"mixed {seed}"), row_counts(connection)
    (rows.now,) = connection.execute("SELECT max(created_ms) / 1000.0 FROM events").fetchone()
    for table, count in counts.items():
        UPDATES[table](connection, rows, some_ids(rows.rng, count, UPDATED_SHARE))
    for table, count in list(counts.items()):
        add_rows(connection, rows, counts, table, max(1, int(count * APPENDED_SHARE)))


def change_ten_rows(connection, seed):
    """Ten events anywhere get another id of the same width: no row moves."""
    rows = Rows(f"ten-rows {seed}")
    (last,) = connection.execute("SELECT max(id) FROM events").fetchone()
    connection.executemany(
        "UPDATE events SET body = json_set(body, '$.id', ?) WHERE id = ?",
        ((rows.hex(16), id) for id in rows.rng.sample(range(1, last + 1), TEN)),
    )


def change(path, kind, seed, checkpoint):
    """Makes the change. Without a checkpoint it returns the connection, which must stay open (see `main`)."""
    if kind == "touch":
        now_s = time.time()
        os.utime(path, (now_s, now_s))
    if kind in ("touch", "none"):
        return None
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA cache_size=-96000")
    if kind == "vacuum":
        connection.execute("VACUUM")
    else:
        connection.execute("BEGIN IMMEDIATE")
        {"mixed": change_mixed, "ten-rows": change_ten_rows}[kind](connection, seed)
        connection.execute("COMMIT")
    if checkpoint:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return None
    return connection


def main():
    parser = argparse.ArgumentParser(
        description="Changes a database made by make_db.py.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=__doc__,
    )
    parser.add_argument("db")
    parser.add_argument("kind", choices=("mixed", "ten-rows", "vacuum", "touch", "none"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--checkpoint", action="store_true", help="empty the WAL into the file; without it the WAL stays"
    )
    parser.add_argument(
        "--count", action="store_true", help="compare all pages before and after (reads the file twice)"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    before = pages.page_digests(options.db) if options.count else None
    started = time.monotonic()
    kept_open = change(options.db, options.kind, options.seed, options.checkpoint)
    report = {"kind": options.kind, "seed": options.seed, "seconds": round(time.monotonic() - started, 2)}
    if options.count:
        report |= pages.compare(before, pages.page_digests(options.db))
    if options.json:
        print(json.dumps(report), flush=True)
    else:
        print(", ".join(f"{name} {value}" for name, value in report.items()), flush=True)
    if kept_open is not None:
        # Closing the last connection would checkpoint and delete the WAL: end as a killed program does.
        os._exit(0)


if __name__ == "__main__":
    main()
