"""A client of `pagekeep serve`: backups of SQLite databases on another machine. One file, the standard library only.

    import pagekeep
    server = pagekeep.Client("https://backup.example.org", token="...")
    job = server.backup_database("shop", note="before the move")     # waits until it is kept
    server.download("shop", job["snapshot"], "shop-copy.sqlite")
    server.restore_database("shop", "shop@3")

Every failure is a `PagekeepError` with `code`, `message` and `hint`. Needs Python 3.9 or newer.
"""

import base64
import http.client
import json
import os
import ssl
import tempfile
import time
import urllib.parse

__all__ = ["Client", "PagekeepError"]

_PIECE = 256 * 1024
_FINISHED = ("completed", "failed", "cancelled", "interrupted")


class PagekeepError(Exception):
    """What did not happen. `code` is the server's word for the kind of failure, or `unreachable`, `redirected`, `foreign`,
    `short`, `exists`, `timeout`, `cancelled`, `interrupted`; `hint` says what to do next, or is None."""

    def __init__(self, code, message, hint=None, status=None):
        super().__init__(message if hint is None else "%s (%s)" % (message, hint))
        self.code, self.message, self.hint, self.status = code, message, hint, status


class Client:
    """A server that is talked to; it can be used by several threads at once.

    `timeout` is how many seconds nothing may come. `ca` is a file with the certificates of an authority of your own. What is
    asked and changes nothing is asked again when the connection breaks; nothing else is. Redirects are not followed.
    """

    def __init__(self, url="http://127.0.0.1:7070", token=None, user=None, password=None, ca=None, timeout=150.0):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise PagekeepError("usage", "%r is not the address of a server" % url, "it looks like https://host:7070")
        if parts.username is not None or parts.password is not None:
            raise PagekeepError("usage", "an address holds no name and password", "give them as user= and password=")
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._context = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
        if self._context is not None and ca is not None:
            self._context.load_default_certs()
        self._timeout = timeout
        self._headers = {"User-Agent": "pagekeep-python"}
        if token is not None:
            self._headers["Authorization"] = "Bearer " + token
        elif user is not None:
            pair = ("%s:%s" % (user, password or "")).encode("utf-8")
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")

    # What there is.

    def databases(self):
        """All databases: a list of dictionaries with `name`, `snapshot`, `snapshot_age_s`, `remotes` and more."""
        found, after = [], None
        while True:
            page = self._get("databases", {"limit": 1000, "after": after})
            found += page["databases"]
            after = page["next"]
            if after is None:
                return found

    def list(self, database, limit=1000):
        """The snapshots of a database, newest first."""
        return self._get(_below("databases", database, "snapshots"), {"limit": limit})

    def status(self, id):
        """Where a job stands: `state`, `phase`, `done_bytes`, `total_bytes`, `snapshot`, `error` and more."""
        return self._get(_below("jobs", id))

    # What is done. Jobs are waited for unless `wait` is false; then they are returned as they were begun.

    def backup_database(self, database, note=None, sync=False, wait=True, progress=None, timeout=None):
        """Makes a snapshot; with `sync` all remotes are brought up to date, and nothing is made when nothing changed."""
        body = {"note": note, "sync": sync}
        job = self._post(_below("databases", database, "snapshots"), body)
        return self.wait(job["id"], progress, timeout) if wait else job

    def restore_database(self, database, snapshot, wait=True, progress=None, timeout=None):
        """Puts a database back to a snapshot while programs use it: `shop@3`, `latest~1`, a time, or a name like
        `shop-20261121-020000.db`. Its present state is kept first."""
        job = self._post(_below("databases", database, "restore"), {"snapshot": snapshot})
        return self.wait(job["id"], progress, timeout) if wait else job

    def upload(self, database, path, note=None, wait=True, progress=None, timeout=None):
        """Makes a database file that nobody writes to the next snapshot; the database itself is not touched."""
        for ending in ("-wal", "-journal"):
            beside = os.fspath(path) + ending
            if os.path.exists(beside) and os.path.getsize(beside) > 0:
                raise PagekeepError("source", "%s is in use: beside it lies %s" % (path, beside), "upload a copy of it")
        with open(path, "rb") as file:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(os.fstat(file.fileno()).st_size)}
            target = self._target(_below("databases", database, "upload"), {"note": note})
            connection, answer = self._send("POST", target, file, headers)
            job = self._data(connection, answer)
        return self.wait(job["id"], progress, timeout) if wait else job

    def download(self, database, snapshot, path, progress=None, replace=False):
        """Writes a snapshot to `path` as a plain SQLite file, which appears whole or not at all; returns its bytes.
        `progress(done, total)` is called while it comes. When the connection breaks it is gone on with."""
        if not replace and os.path.lexists(path):
            raise PagekeepError("exists", "%s is there already" % path, "say replace=True, or take another path")
        # By its number it is the same one, whatever is made meanwhile.
        title = self._get(_below("databases", database, "snapshots", snapshot))["snapshot"]
        route = _below("databases", database, "snapshots", title, "download")
        folder = os.path.dirname(os.path.abspath(path))
        handle, beside = tempfile.mkstemp(prefix=".pagekeep-download-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as out:
                size = self._fetch(route, out, progress)
                out.flush()
                os.fsync(out.fileno())
            if replace:
                os.replace(beside, path)
            else:
                try:
                    os.link(beside, path)
                except FileExistsError:
                    raise PagekeepError("exists", "%s is there already" % path, "say replace=True") from None
                os.unlink(beside)
            return size
        except BaseException:
            try:
                os.unlink(beside)
            except FileNotFoundError:
                pass
            raise

    def cancel(self, id):
        """Asks a job to stop, which it does at its next safe point; nothing half done is visible then."""
        return self._post(_below("jobs", id, "cancel"), {})

    def wait(self, id, progress=None, timeout=None, patience=60.0):
        """Waits for a job's end and returns it. `progress(job)` is called with each state that is seen. The server may be
        away for `patience` seconds: the job goes on without it."""
        began = heard = time.monotonic()
        while True:
            try:
                job = self.status(id)
                heard = time.monotonic()
            except PagekeepError as error:
                if error.code != "unreachable" or time.monotonic() - heard >= patience:
                    raise
                job = None
            if job is not None:
                if progress is not None:
                    progress(job)
                if job["state"] in _FINISHED:
                    return _completed(job)
            passed = time.monotonic() - began
            if timeout is not None and passed >= timeout:
                raise PagekeepError("timeout", "%s did not end in %s s; it goes on" % (id, timeout), "wait for it again")
            time.sleep(0.1 if passed < 3 else 0.5)

    # Requests and answers.

    def _target(self, route, query=None):
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return self._prefix + "/api/v1/" + route + ("?" + urllib.parse.urlencode(given) if given else "")

    def _connect(self):
        if self._context is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)

    def _send(self, method, target, body=None, headers=None):
        """One request; its connection and its answer."""
        connection = self._connect()
        try:
            connection.request(method, target, body, dict(self._headers, **(headers or {})))
            answer = connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise PagekeepError("untrusted", str(error), "give your authority's certificates as ca=") from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            message = "%s does not answer: %s" % (self._host, error or type(error).__name__)
            raise PagekeepError("unreachable", message, "is it running, and is the address right?") from error
        if 300 <= answer.status < 400:
            connection.close()
            raise PagekeepError("redirected", "%s redirects to %r" % (self._host, answer.getheader("Location")))
        return connection, answer

    def _get(self, route, query=None):
        return self._data(*self._open(self._target(route, query)))

    def _open(self, target, headers=None):
        for pause in (0.2, 1.0, None):
            try:
                return self._send("GET", target, None, headers)
            except PagekeepError as error:
                if error.code != "unreachable" or pause is None:
                    raise
            time.sleep(pause)

    def _post(self, route, body):
        text = json.dumps(body).encode("utf-8")
        return self._data(*self._send("POST", self._target(route), text, {"Content-Type": "application/json"}))

    def _data(self, connection, answer):
        try:
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise PagekeepError("unreachable", "the answer broke off: %s" % error) from error
        finally:
            connection.close()
        try:
            told = json.loads(text)
            if 200 <= answer.status < 300 and told["success"] is True:
                return told["data"]
            error = told["error"]
            code, message, hint = error["code"], error["message"], error.get("hint")
        except (ValueError, TypeError, KeyError):
            message = "%s answers with status %d, and not as pagekeep does" % (self._host, answer.status)
            raise PagekeepError("foreign", message, None, answer.status) from None
        raise PagekeepError(code, message, hint, answer.status)

    def _fetch(self, route, out, progress):
        got, size, tries = 0, None, 0
        while True:
            before, reason = got, "it ended too early"
            connection, answer = self._open(self._target(route), {"Range": "bytes=%d-" % got} if got else None)
            if answer.status != (206 if got else 200):
                self._data(connection, answer)
                raise PagekeepError("foreign", "no file came", None, answer.status)
            if size is None:
                size = got + int(answer.getheader("Content-Length", "0"))
            try:
                while True:
                    piece = answer.read(min(_PIECE, max(size - got, 1)))
                    if not piece:
                        break
                    out.write(piece)
                    got += len(piece)
                    if progress is not None:
                        progress(got, size)
            except (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException) as error:
                reason = str(error) or type(error).__name__
            finally:
                connection.close()
            if got == size:
                return size
            tries = 0 if got > before else tries + 1
            if got > size or tries == 3:
                raise PagekeepError("short", "%d of %d bytes came: %s" % (got, size, reason), "download it again")


def _below(*parts):
    return "/".join(urllib.parse.quote(str(part), safe="") for part in parts)


def _completed(job):
    if job["state"] == "completed":
        return job
    error = job["error"]
    if error is not None:
        raise PagekeepError(error["code"], error["message"], error.get("hint"))
    raise PagekeepError(job["state"], "%s is %s" % (job["id"], job["state"]))
