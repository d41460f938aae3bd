"""What a prune leaves of a thousand small snapshots, beside a store that never saw more than those that stay."""

import dataclasses
import shutil
import sqlite3

from bench import remove_database
from measure import CommandFailed, folder_files, total_bytes
from pagekeep import REMOTE, Pagekeep
from results import Figure

SNAPSHOTS, KEPT = 1000, 50
# The whole history lies at both places: each is pruned by a rule of its own.
LAST, SPREAD = "the last", "every twentieth"
PLACES = {LAST: REMOTE, SPREAD: "second"}


@dataclasses.dataclass
class Shape:
    """A database of so many rows, all made by one SQL expression of `i`, of which one changes before each snapshot."""

    name: str
    rows: int
    body: str

    def make(self, path):
        remove_database(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, body)")
        connection.execute(
            f"WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            f" INSERT INTO item SELECT i, {self.body} FROM n",
            (self.rows,),
        )
        return connection

    def change(self, connection, number):
        connection.execute(
            f"UPDATE item SET body = (SELECT {self.body} FROM (SELECT ? AS i)) WHERE id = ?",
            (self.rows + number, number * 37 % self.rows + 1),
        )


SHAPES = (
    Shape("4 MB of text", 20_000, "printf('%s: item %d of the order that came first', hex(randomblob(30)), i)"),
    Shape("0.9 MB of noise", 2_000, "randomblob(400)"),
)


def all_name(shape, rule):
    return f"{shape.name}; {rule} {KEPT} of {SNAPSHOTS:,}".replace(",", " ")


def few_name(shape, rule):
    return f"{shape.name}; {rule} {KEPT} alone"


def stays(rule, number):
    return number > SNAPSHOTS - KEPT if rule == LAST else number % (SNAPSHOTS // KEPT) == 0


def bytes_by_kind(folder):
    """What the store consists of; husks are the records of the least size."""
    husk_bytes = 24
    sizes = {}
    for kind in ("bundles", "maps", "marks", "packs", "snapshots"):
        files = [path.stat().st_size for path in (folder / kind).rglob("*") if path.is_file()]
        husks = files.count(husk_bytes) if kind == "snapshots" else 0
        if husks:
            sizes["husk_bytes"] = husks * husk_bytes
        if files:
            sizes[f"{kind}_bytes"] = sum(files) - husks * husk_bytes
    return sizes


def pruned(bench):
    """Both rules for each shape."""
    for shape in SHAPES:
        try:
            pruned_shape(bench, shape)
        except CommandFailed as failure:
            bench.failed("pruned", shape.name, failure)


def pruned_shape(bench, shape):
    def tool(folder, name):
        return Pagekeep(bench.work / "tools", bench.work / folder / "app.db", bench.binary, name=name)

    every = tool("own-pruned", "pruned")
    few = {rule: tool(f"own-few-{number}", f"few {number}") for number, rule in enumerate(PLACES)}
    connection = shape.make(every.database)
    every.start()
    second = every.home / "second"
    every.add(PLACES[SPREAD], f"file://{second}")
    for number in range(1, SNAPSHOTS + 1):
        shape.change(connection, number)
        every.backup()
        for rule, other in few.items():
            if stays(rule, number):
                other.database.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(every.database, other.database)
                if not other.ready:
                    other.start()
                other.backup()
        if number % 200 == 0:
            bench.say(f"  pruned: {shape.name}: {number} of {SNAPSHOTS}")
    connection.close()
    every.backup(PLACES[SPREAD])
    folders = {LAST: every.remote, SPREAD: second}
    for rule, place in PLACES.items():
        going = [f"app@{number}" for number in range(1, SNAPSHOTS + 1) if not stays(rule, number)]
        every.told("forget", *going, "--from", place, "--db", every.database)
        before_bytes = total_bytes(folder_files(folders[rule]))
        every.told("prune", place, "--alone", "--grace", "0s", "--json", "--db", every.database)
        after_bytes = total_bytes(folder_files(folders[rule]))
        other = {"bytes_before": before_bytes} | bytes_by_kind(folders[rule])
        bench.results.add(Figure("pruned", all_name(shape, rule), stored_bytes=after_bytes, other=other))
        bench.results.add(Figure("pruned", few_name(shape, rule), stored_bytes=few[rule].stored_bytes()))
    every.told("scrub", REMOTE, "--json", "--db", every.database)
    for one in (every, *few.values()):
        one.clear()
        shutil.rmtree(one.database.parent, ignore_errors=True)


SCENES = {"pruned": pruned}
