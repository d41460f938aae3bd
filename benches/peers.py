"""The programs that pagekeep is measured against, each behind the same few verbs.

A tool keeps one database in one folder, `remote`. `start` makes an empty remote, `backup` brings the present
state there, `restore` writes the newest state to a path, followed by a `sync` of that file in the same measured
run (pagekeep syncs by itself). `cp` and `zstd` sync what they back up too; restic, borg and rustic back up with the
durability they have, which can only flatter them.
"""

import os
import shutil
from pathlib import Path

from measure import folder_files, run, shell, total_bytes

PASSWORD = "bench"


class Tool:
    name = ""
    program = ""
    # Whether a second backup is less than a first one.
    incremental = True
    # Whether the tool writes into the database or beside it, so that it needs a copy of its own.
    own_copy = False
    # Whether a restore is the same file, byte for byte.
    exact = True
    ready = False

    def __init__(self, home, database):
        self.home = Path(home) / self.name.replace(" ", "")
        self.database = Path(database)
        self.remote = self.home / "remote"
        self.env = os.environ | {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
        }

    def installed(self):
        return shutil.which(self.program) is not None

    def version(self):
        return run([self.program, "--version"]).stdout.strip().splitlines()[0]

    def start(self):
        self.clear()
        self.remote.mkdir(parents=True)
        self.create()
        self.ready = True

    def clear(self):
        shutil.rmtree(self.home, ignore_errors=True)
        self.ready = False

    def create(self):
        """Makes the empty repository."""

    def backup(self):
        raise NotImplementedError

    def restore(self, target):
        raise NotImplementedError

    def files(self):
        return folder_files(self.remote)

    def stored_bytes(self):
        return total_bytes(self.files())

    def run(self, *argv, **keywords):
        return run([self.program, *argv], env=self.env, **keywords)


class Copy(Tool):
    """What the disk can do at best."""

    name, program, incremental = "cp", "cp", False

    def backup(self):
        return shell(["cp", self.database, self.remote / "app.db"], ["sync", self.remote / "app.db"])

    def restore(self, target):
        return shell(["cp", self.remote / "app.db", target], ["sync", target])


class Zstd(Tool):
    """What compression costs at least: the measure of a full copy and of its restore."""

    name, program, incremental = "zstd -3 -T2", "zstd", False

    @property
    def file(self):
        return self.remote / "app.db.zst"

    def backup(self):
        return shell(["zstd", "-3", "-T2", "-q", "-f", self.database, "-o", self.file], ["sync", self.file])

    def restore(self, target):
        return shell(["zstd", "-d", "-q", "-f", self.file, "-o", target], ["sync", target])


class Restic(Tool):
    name = program = "restic"

    def __init__(self, home, database):
        super().__init__(home, database)
        self.env |= {"RESTIC_REPOSITORY": str(self.remote), "RESTIC_PASSWORD": PASSWORD}

    def version(self):
        return run(["restic", "version"]).stdout.strip()

    def create(self):
        self.run("init", "-q")

    def backup(self):
        return self.run("backup", "-q", self.database)

    def restore(self, target):
        folder = target.parent / (target.name + ".restic")
        measured = shell(
            ["restic", "restore", "-q", "latest", "--target", folder],
            ["sync", under(folder, self.database)],
            env=self.env,
        )
        return take_out(folder, self.database, target, measured)


class Rustic(Restic):
    name = program = "rustic"

    def __init__(self, home, database):
        super().__init__(home, database)
        self.env |= {
            "RUSTIC_REPOSITORY": str(self.remote),
            "RUSTIC_PASSWORD": PASSWORD,
            "RUSTIC_NO_PROGRESS": "true",
            "RUSTIC_CACHE_DIR": str(self.home / "cache"),
            "RUSTIC_LOG_LEVEL": "warn",
        }

    def version(self):
        return run(["rustic", "--version"]).stdout.strip()

    def create(self):
        self.run("init")

    def backup(self):
        return self.run("backup", self.database)

    def restore(self, target):
        folder = target.parent / (target.name + ".rustic")
        measured = shell(
            ["rustic", "restore", f"latest:{self.database.parent}", folder],
            ["sync", folder / self.database.name],
            env=self.env,
        )
        os.replace(folder / self.database.name, target)
        shutil.rmtree(folder)
        return measured


class Borg(Tool):
    name = program = "borg"

    def __init__(self, home, database):
        super().__init__(home, database)
        self.archives = 0
        self.env |= {
            "BORG_BASE_DIR": str(self.home),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def create(self):
        self.archives = 0
        self.run("init", "-e", "none", self.remote)

    def backup(self):
        self.archives += 1
        return self.run("create", "-C", "zstd,3", f"{self.remote}::{self.archives}", self.database)

    def restore(self, target):
        folder = target.parent / (target.name + ".borg")
        folder.mkdir()
        measured = shell(
            ["borg", "extract", f"{self.remote}::{self.archives}"],
            ["sync", under(folder, self.database)],
            env=self.env,
            cwd=folder,
        )
        return take_out(folder, self.database, target, measured)


class Litestream(Tool):
    """Run once for each backup; `running.py` has the daemon. It adds tables to the database it keeps."""

    name, program = "litestream -once", "litestream"
    own_copy, exact = True, False

    @property
    def url(self):
        return f"file://{self.remote}"

    def version(self):
        return "litestream " + run(["litestream", "version"]).stdout.strip()

    def clear(self):
        super().clear()
        shutil.rmtree(self.database.parent / f".{self.database.name}-litestream", ignore_errors=True)

    def backup(self):
        return self.run("replicate", "-once", "-log-level", "error", self.database, self.url)

    def restore(self, target):
        return shell(["litestream", "restore", "-o", target, self.url], ["sync", target], env=self.env)


def under(folder, database):
    """Where a tool that keeps whole paths puts `database` below `folder`."""
    return folder / database.relative_to("/")


def take_out(folder, database, target, measured):
    os.replace(under(folder, database), target)
    shutil.rmtree(folder)
    return measured


PEERS = (Copy, Zstd, Restic, Rustic, Borg, Litestream)
