#!/usr/bin/env python3
"""Makes the bench database: a real-looking SQLite file of a wanted size.

Six tables grow together, as they do in an application: users (unique index on email), events (JSON, an
index on user and time), settings (WITHOUT ROWID, composite text key), accounts, orders, and blobs of random
bytes. Rows go in by batches until the file has the wanted size, so memory does not depend on the size.
The indexes are kept up while rows are added, never built at the end: their pages are as full and as
scattered as those of a database that has lived.
"""

import argparse
import os
import sqlite3
import sys
import time

from rows import Rows

PAGE_BYTES = 4096
DEFAULT_BYTES = 1_079_000_000

SCHEMA = """
CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL, city TEXT, phone TEXT, bio TEXT,
                   created_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL);
CREATE UNIQUE INDEX users_by_email ON users(email);
CREATE TABLE events(id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, created_ms INTEGER NOT NULL,
                    kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX events_by_user ON events(user_id, created_ms);
CREATE TABLE settings(scope TEXT NOT NULL, key TEXT NOT NULL, value TEXT, PRIMARY KEY(scope, key)) WITHOUT ROWID;
CREATE TABLE accounts(id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, currency TEXT NOT NULL,
                      balance_cents INTEGER NOT NULL, changed_ms INTEGER NOT NULL);
CREATE TABLE orders(id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, placed_ms INTEGER NOT NULL,
                    status TEXT NOT NULL, total_cents INTEGER NOT NULL, address TEXT NOT NULL, note TEXT);
CREATE TABLE blobs(id INTEGER PRIMARY KEY, name TEXT NOT NULL, mime TEXT NOT NULL, opened_ms INTEGER NOT NULL,
                   content BLOB NOT NULL);
"""

INSERTS = {
    "users": "INSERT INTO users VALUES(?,?,?,?,?,?,?,?)",
    "events": "INSERT INTO events VALUES(?,?,?,?,?)",
    "settings": "INSERT INTO settings VALUES(?,?,?)",
    "accounts": "INSERT INTO accounts VALUES(?,?,?,?,?)",
    "orders": "INSERT INTO orders VALUES(?,?,?,?,?,?,?)",
    "blobs": "INSERT INTO blobs VALUES(?,?,?,?,?)",
}

# Rows of each table in one batch, about 0.6 MB: the shares of the tables in the whole database.
BATCH_ROWS = {"users": 90, "events": 840, "settings": 120, "accounts": 30, "orders": 180, "blobs": 20}


def make_rows(rows, counts, table, count):
    """Yields `count` new rows of `table`; `counts` holds how many of each table there are before."""
    first = counts[table] + 1
    for number in range(first, first + count):
        if table == "events":
            yield rows.event(number, counts["users"])
        elif table == "accounts":
            yield rows.account(number, counts["users"])
        elif table == "orders":
            yield rows.order(number, counts["accounts"])
        else:
            yield getattr(rows, table.removesuffix("s"))(number)


def add_rows(connection, rows, counts, table, count):
    connection.executemany(INSERTS[table], make_rows(rows, counts, table, count))
    counts[table] += count


def make_database(path, wanted_bytes, seed, journal):
    """Creates `path`, which must not exist. Returns the number of rows of each table."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(f"""
        PRAGMA page_size={PAGE_BYTES};
        PRAGMA journal_mode=OFF;
        PRAGMA synchronous=OFF;
        PRAGMA locking_mode=EXCLUSIVE;
        PRAGMA cache_size=-96000;
        {SCHEMA}
    """)
    rows, counts = Rows(seed), dict.fromkeys(BATCH_ROWS, 0)
    connection.execute("BEGIN")
    while connection.execute("PRAGMA page_count").fetchone()[0] * PAGE_BYTES < wanted_bytes:
        for table, count in BATCH_ROWS.items():
            add_rows(connection, rows, counts, table, count)
    connection.execute("COMMIT")
    connection.execute("PRAGMA locking_mode=NORMAL")
    connection.execute(f"PRAGMA journal_mode={journal}")
    connection.close()
    return counts


def main():
    parser = argparse.ArgumentParser(description="Makes a real-looking SQLite database.")
    parser.add_argument("out", help="the file to make; it must not exist")
    parser.add_argument("--bytes", type=int, default=DEFAULT_BYTES, help="wanted size (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--journal", choices=("wal", "delete"), default="wal")
    options = parser.parse_args()
    if os.path.exists(options.out):
        sys.exit(f"make_db: {options.out} exists already; remove it or choose another name")
    started = time.monotonic()
    counts = make_database(options.out, options.bytes, options.seed, options.journal)
    size_bytes = os.path.getsize(options.out)
    print(
        f"{options.out}: {size_bytes} bytes, {size_bytes // PAGE_BYTES} pages, "
        + ", ".join(f"{count} {table}" for table, count in counts.items())
        + f", in {time.monotonic() - started:.1f} s"
    )


if __name__ == "__main__":
    main()
