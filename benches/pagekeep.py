"""pagekeep behind the verbs of `peers.Tool`, with what its `--json` tells about each run.

The local store lies beside the database (`.pagekeep`), the remote is a folder unless a URL is given. Keys of the
report that are missing stay unknown: nothing here guesses.
"""

import json
import shutil

from measure import run
from peers import Tool

REMOTE = "bench"


class Pagekeep(Tool):
    name = "pagekeep"

    def __init__(self, home, database, binary, url=None, name="pagekeep", keep=None, env=None):
        self.name = name
        super().__init__(home, database)
        self.program, self.given_url, self.keep = str(binary), url, keep
        # The user's own settings must not reach a measured run.
        self.env = {key: value for key, value in self.env.items() if not key.startswith("PAGEKEEP_")} | (env or {})

    @property
    def url(self):
        return self.given_url or f"file://{self.remote}"

    def installed(self):
        return shutil.which(self.program) is not None

    def files(self):
        """The files of the remote folder; `None` for a remote that is no folder."""
        return None if self.given_url else super().files()

    def clear(self):
        super().clear()
        shutil.rmtree(self.database.parent / ".pagekeep", ignore_errors=True)

    def create(self):
        self.run("init", self.database)
        if self.keep is not None:
            self.run("config", "set", "keep", self.keep, "--db", self.database)
        self.add(REMOTE, self.url)

    def add(self, name, url):
        self.run("backup", "add", name, url, "--db", self.database)

    def backup(self, remote=REMOTE):
        return self.told("backup", "sync", remote, "--db", self.database, "--json")

    def restore(self, target, force=False, at=None):
        """Restores as a new machine does, from the URL alone."""
        extra = (["--at", at] if at else []) + (["--force"] if force else [])
        return self.told("backup", "restore", self.url, target, *extra, "--json")

    def query(self, spec, sql):
        return self.told("query", spec, sql, "--from", self.url, "--json")

    def show(self, spec, remote):
        return self.told("show", spec, "--from", remote, "--db", self.database, "--json")

    def told(self, *argv):
        done = run([self.program, *argv], env=self.env, cwd=self.home)
        done.report = parse_report(done.stdout)
        return done


def parse_report(stdout):
    """The JSON object on stdout; an empty one when there is none."""
    try:
        report = json.loads(stdout)
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}
