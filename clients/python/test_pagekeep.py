"""The client against a running server: PAGEKEEP_URL, PAGEKEEP_TOKEN; the database is PAGEKEEP_PATH, known there as shop."""

import os
import sqlite3
import tempfile
import unittest

import pagekeep

URL, TOKEN, PATH = (os.environ[name] for name in ("PAGEKEEP_URL", "PAGEKEEP_TOKEN", "PAGEKEEP_PATH"))


def count(path):
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT count(*) FROM item").fetchone()[0]
    finally:
        database.close()


def insert(path):
    database = sqlite3.connect(path)
    database.execute("INSERT INTO item (name) VALUES ('from python')")
    database.commit()
    database.close()


class Life(unittest.TestCase):
    def setUp(self):
        self.server = pagekeep.Client(URL, token=TOKEN)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def test_a_backup_from_begin_to_end(self):
        seen = []
        job = self.server.backup_database("shop", note="from python", progress=lambda job: seen.append(job["state"]))
        self.assertEqual((job["state"], seen[-1]), ("completed", "completed"))
        newest = self.server.list("shop")[0]
        self.assertEqual((newest["snapshot"], newest["note"]), (job["snapshot"], "from python"))
        self.assertEqual(self.server.status(job["id"])["snapshot"], job["snapshot"])
        self.assertEqual([one["name"] for one in self.server.databases()], ["shop"])

        before, far = count(PATH), []
        size = self.server.download("shop", job["snapshot"], self.path("copy.db"), progress=lambda *now: far.append(now))
        self.assertEqual((far[-1], os.path.getsize(self.path("copy.db"))), ((size, size), size))
        self.assertEqual(count(self.path("copy.db")), before)
        insert(PATH)
        back = self.server.restore_database("shop", job["snapshot"])
        self.assertEqual((back["state"], count(PATH)), ("completed", before))

        insert(self.path("copy.db"))
        up = self.server.upload("shop", self.path("copy.db"), note="up")
        self.server.download("shop", up["snapshot"], self.path("copy.db"), replace=True)
        self.assertEqual(count(self.path("copy.db")), before + 1)
        self.assertEqual(sorted(os.listdir(self.folder.name)), ["copy.db"])
        begun = self.server.backup_database("shop", wait=False)
        self.assertIn(self.server.cancel(begun["id"])["id"], begun["id"])

    def refused(self, code, work):
        with self.assertRaises(pagekeep.PagekeepError) as caught:
            work()
        self.assertEqual(caught.exception.code, code, caught.exception)
        self.assertTrue(caught.exception.message)
        return caught.exception

    def test_failures_say_what_and_why(self):
        refusal = self.refused("not_found", lambda: self.server.list("nothing"))
        self.assertTrue(refusal.hint and refusal.status == 404)
        self.refused("no_snapshot", lambda: self.server.download("shop", "999", self.path("x.db")))
        self.assertEqual(os.listdir(self.folder.name), [])
        with open(self.path("taken"), "w") as file:
            file.write("no database")
        self.refused("exists", lambda: self.server.download("shop", "latest", self.path("taken")))
        self.refused("source", lambda: self.server.upload("shop", self.path("taken")))
        self.refused("unauthorized", lambda: pagekeep.Client(URL, token="wrong").list("shop"))
        self.refused("unreachable", lambda: pagekeep.Client("http://127.0.0.1:9").status("job-1"))
        self.refused("usage", lambda: pagekeep.Client("http://ann:secret@127.0.0.1"))


if __name__ == "__main__":
    unittest.main()
