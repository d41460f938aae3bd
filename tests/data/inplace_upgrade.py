#!/usr/bin/env python3
"""Turns one release of a database into the next by editing rows, as an application would.

    inplace_upgrade.py OLD NEW OUT [--wal]

Publishers rebuild their database for each release, so that nearly every page differs. Here OUT starts as a copy of
OLD and gets NEW's rows by DELETE, UPDATE and INSERT in one transaction; --wal leaves it in WAL mode. The rows are
those of real releases; only the order of the edits, table by table, is this script's.

Tables are matched by name and columns, rows by the declared primary key or else by rowid. A table whose columns
changed, or whose edit breaks one of its constraints on the way, is dropped and copied.
"""

import argparse
import pathlib
import shutil
import sqlite3
import time


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class Upgrade:
    """OUT is the schema `main` of the connection, NEW is `new`."""

    def __init__(self, connection):
        self.connection = connection
        self.counts = {"deleted": 0, "updated": 0, "inserted": 0, "copied tables": 0}

    def run(self):
        # Triggers would answer to our edits; NEW's are made at the end. rootpage 0 is a virtual table, whose
        # content is in its shadow tables.
        for name in list(self.objects("main", "type = 'trigger'")):
            self.connection.execute(f"DROP TRIGGER main.{quoted(name)}")
        is_table = "type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND rootpage > 0"
        old_tables = self.objects("main", is_table)
        new_tables = self.objects("new", is_table)
        for table in old_tables.keys() - new_tables.keys():
            self.connection.execute(f"DROP TABLE main.{quoted(table)}")
        for table, sql in new_tables.items():
            if table in old_tables and self.columns("main", table) == self.columns("new", table):
                self.edit_or_copy(table, sql)
            else:
                self.copy(table, sql)
        self.make_missing("type IN ('index', 'view')")
        self.make_missing("type = 'trigger'")

    def objects(self, schema, condition):
        """{name: SQL} of the schema's objects that were made by SQL."""
        return dict(
            self.connection.execute(
                f"SELECT name, sql FROM {schema}.sqlite_schema WHERE sql IS NOT NULL AND {condition} ORDER BY rowid"
            )
        )

    def columns(self, schema, table):
        """[(name, place in the primary key or 0)] in the table's order."""
        return [(row[1], row[5]) for row in self.connection.execute(f"PRAGMA {schema}.table_info({quoted(table)})")]

    def edit_or_copy(self, table, sql):
        before = dict(self.counts)
        self.connection.execute("SAVEPOINT edit")
        try:
            self.edit(table)
        except sqlite3.IntegrityError:
            # Rows that swap a unique value cannot be edited one after the other.
            self.connection.execute("ROLLBACK TO edit")
            self.counts = before
            self.copy(table, sql)
        self.connection.execute("RELEASE edit")

    def edit(self, table):
        columns = self.columns("new", table)
        primary_key = [name for name, place in sorted(columns, key=lambda column: column[1]) if place]
        keys = [quoted(name) for name in primary_key] or ["rowid"]
        names = [quoted(name) for name, _ in columns]
        rest = [name for name in names if name not in keys]
        table = quoted(table)
        same_row = " AND ".join(f"x.{key} IS y.{key}" for key in keys)

        self.count(
            "deleted",
            f"DELETE FROM main.{table} AS x WHERE NOT EXISTS (SELECT 1 FROM new.{table} y WHERE {same_row})",
        )
        if rest:
            differs = " OR ".join(f"x.{name} IS NOT y.{name}" for name in rest)
            self.count(
                "updated",
                f"UPDATE main.{table} AS x SET ({', '.join(rest)}) ="
                f" (SELECT {', '.join(f'y.{name}' for name in rest)} FROM new.{table} y WHERE {same_row})"
                f" WHERE EXISTS (SELECT 1 FROM new.{table} y WHERE {same_row} AND ({differs}))",
            )
        inserted = names if primary_key else ["rowid", *names]
        self.count(
            "inserted",
            f"INSERT INTO main.{table} ({', '.join(inserted)})"
            f" SELECT {', '.join(f'y.{name}' for name in inserted)} FROM new.{table} y"
            f" WHERE NOT EXISTS (SELECT 1 FROM main.{table} x WHERE {same_row})",
        )

    def count(self, what, sql):
        self.counts[what] += self.connection.execute(sql).rowcount

    def copy(self, table, sql):
        self.connection.execute(f"DROP TABLE IF EXISTS main.{quoted(table)}")
        self.connection.execute(sql)
        self.connection.execute(f"INSERT INTO main.{quoted(table)} SELECT * FROM new.{quoted(table)}")
        self.counts["copied tables"] += 1

    def make_missing(self, condition):
        have = self.objects("main", condition)
        for name, sql in self.objects("new", condition).items():
            if name not in have:
                try:
                    self.connection.execute(sql)
                except sqlite3.Error as error:
                    print(f"left out {name}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old", metavar="OLD")
    parser.add_argument("new", metavar="NEW")
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("--wal", action="store_true", help="leave OUT in WAL mode")
    args = parser.parse_args()

    begun_s = time.monotonic()
    shutil.copyfile(args.old, args.out)
    connection = sqlite3.connect(args.out, isolation_level=None, uri=True)
    if args.wal:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = OFF")  # they hold again at the end, not after each table
    connection.execute("ATTACH ? AS new", (pathlib.Path(args.new).resolve().as_uri() + "?immutable=1",))
    connection.execute("BEGIN")
    upgrade = Upgrade(connection)
    upgrade.run()
    connection.execute("COMMIT")
    connection.close()
    counts = ", ".join(f"{count} {what}" for what, count in upgrade.counts.items())
    print(f"{args.out}: {counts} in {time.monotonic() - begun_s:.1f} s")


if __name__ == "__main__":
    main()
