"""Junk for a server: what no client means to send, from a seed, so that it comes again.

Every route of the server's own description is among it, with bodies that are almost right and paths that lead elsewhere.
No address in it leads off this machine.
"""

import asyncio
import collections
import dataclasses
import json
import random
import time
import urllib.parse

CONNECTIONS, SLOW = 16, 20
PATIENCE_SECONDS = 60
NAMES = (
    "shop", "shop", "shop", "nobody", "..", ".", "", " ", "%", "%00", "%ff%fe", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "shop%00",
    "*", "shop@1", "shop:main", "\u00e4\u00f6\u00fc", "a" * 300, "-1", "0", "null", "'; DROP TABLE orders; --", "<script>", "${x}",
    "shop/../shop", "\\..\\..", "CON", "\u202egnp.exe", "latest", "latest~1", "latest~4294967295", "@yesterday", "9" * 40,
    "9999-12-31T23:59:59Z", "-0001-01-01", "job-00000000", "sp_backup_status", "sp_backup_create", "backup_log", "tag", "branch",
)  # fmt: skip
VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 1e308, 0.1, "", "x", "shop", "latest", "shop@1", "../../etc/passwd",
    "/etc/passwd", "file:///dev/null/at/all", "junk://x", "\x00", "\ud7ff", "a" * 5000, "1d", "-1d", "99999999999999999999d", "* * * * *",
    "61 25 32 13 8", "0 0 30 2 *", "SELECT 1", "SELECT", "PRAGMA writable_schema=1", "ATTACH 'x' AS y", "Mars/Olympus", [], [[]], {},
    {"x": {}}, [None] * 50, "true", "keep=1", "../out/x.db", "../out/junk", "../out/junk/x", "../out/" + "x" * 300, "../out/x\x00y", "../out",
)  # fmt: skip
RAW = (
    b"{", b"[]", b"null", b"\xff\xfe", b'"x"', b"{" * 5000, b"[" * 50_000, b'{"a":' * 20_000, b'{"database": "shop", }', b"\0" * 100,
    b'{"sql": "SELECT 1"', b"{'database': 1}", b'{"a": 1e999999}', b'{"\\ud800": 1}', b'{"database": "shop", "database": 7}', b"<xml/>",
    b"SQLite format 3\0" + b"\xff" * 4096,
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "PROPFIND", "get", "X" * 200)
PATHS = (
    "/", "//", "/..", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api", "/api/v1", "/api/v2/databases", "/api/v1//databases",
    "/api/v1/databases/", "/static/../../server/access.json", "/.pagekeep/server/access.json", "/favicon.ico", "/" + "a" * 8000,
    "/databases/shop", "/databases/shop.json", "/databases/..json", "/backup", "/\xff", "/?" + "a=b&" * 2000, "*", "http://elsewhere.example/",
)  # fmt: skip
BROKEN = (
    b"\0\0\0\0", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET / HTTP/1.1\nHost: x\n\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200, b"\r\n" * 500, b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nfff",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: \x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500,
)  # fmt: skip
HUGE_BYTES = 2 << 20
# There is no store at the address that the request names; too much is at work.
NO_FAULT = (502, 503)
ENDS = ("broken", "claimed", "headers")


class Maker:
    """Makes requests: bytes, and in words what they are."""

    def __init__(self, document, procedures, tokens, seed):
        self.rng, self.procedures, self.tokens = random.Random(seed), procedures, tokens
        self.routes = [
            (method.upper(), path, route)
            for path, routes in document["paths"].items()
            for method, route in routes.items()
        ]
        schemas = document["components"]["schemas"].values()
        self.fields = sorted({field for schema in schemas for field in schema.get("properties", ())})
        kinds = {
            self.body: 39, self.call: 1, self.path: 25, self.query: 15, self.method: 8, self.headers: 6, self.broken: 4, self.huge: 0.5, self.claimed: 1.5,
        }  # fmt: skip
        self.kinds, self.weights = list(kinds), list(kinds.values())

    def next(self):
        kind = self.rng.choices(self.kinds, self.weights)[0]
        made = kind()
        return kind.__name__, made if isinstance(made, bytes) else self.request(*made)

    def request(self, method, path, body=b"", headers=(), length=None):
        given = [f"Host: {self.rng.choice(('localhost', 'localhost', 'localhost', '127.0.0.1', 'elsewhere.example'))}"]
        token = self.rng.choice((self.tokens["admin"],) * 6 + (self.tokens["read"],) * 3 + (None,))
        if token:
            given.append(f"Authorization: Bearer {token}")
        if body or method == "POST" or length is not None:
            given.append(f"Content-Length: {len(body) if length is None else length}")
        text = "\r\n".join([f"{method} {path} HTTP/1.1", *given, *headers]) + "\r\n\r\n"
        return text.encode("utf-8", "replace") + body

    def filled(self, path):
        """A route's address with something in each of its places."""
        parts = [self.part(part) if part.startswith("{") else part for part in path.split("/")]
        return "/".join(parts)

    def part(self, place):
        """Mostly a database that there is: what lies behind its name is to be reached."""
        if place == "{database}" and self.rng.random() < 0.7:
            return "shop"
        return urllib.parse.quote(self.rng.choice(NAMES), safe="%" if self.rng.random() < 0.5 else "")

    def route(self, with_body=None):
        routes = [one for one in self.routes if with_body is None or ("requestBody" in one[2]) == with_body]
        return self.rng.choice(routes)

    def some(self):
        count = self.rng.randint(0, 4)
        return {self.rng.choice(self.fields): self.rng.choice(VALUES) for _ in range(count)}

    def body(self):
        method, path, _ = self.route(with_body=True)
        body = self.rng.choice(RAW) if self.rng.random() < 0.4 else json.dumps(self.some()).encode()
        kind = self.rng.choice(
            ("application/json",) * 4 + ("text/plain", "application/octet-stream", "multipart/form-data; boundary=x")
        )
        return method, self.filled(path), body, [f"Content-Type: {kind}"]

    def call(self):
        """A procedure with arguments of its own, of any value: most become jobs, which fail."""
        procedure = self.rng.choice(self.procedures)
        names = [one["name"] for one in procedure["arguments"]]
        texts = [value for value in (*VALUES, *NAMES) if isinstance(value, str)]
        values = texts if self.rng.random() < 0.8 else VALUES
        given = {name: self.rng.choice(values) for name in self.rng.sample(names, self.rng.randint(0, len(names)))}
        if procedure.get("verb"):
            given["verb"] = procedure["verb"]
        body = json.dumps({"database": "shop"} | given).encode()
        return "POST", f"/api/v1/procedures/{procedure['name']}?wait=5", body, ["Content-Type: application/json"]

    def path(self):
        method, path, _ = self.route(with_body=False)
        return method, self.rng.choice(PATHS) if self.rng.random() < 0.3 else self.filled(path)

    def query(self):
        method, path, route = self.route(with_body=False)
        names = [one["name"] for one in route.get("parameters", ()) if one["in"] == "query"] + ["nonsense", "%"]
        asked = "&".join(
            f"{self.rng.choice(names)}={urllib.parse.quote(str(self.rng.choice(VALUES)))}" for _ in range(3)
        )
        return method, f"{self.filled(path)}?{asked}"

    def method(self):
        return self.rng.choice(METHODS), self.filled(self.route()[1])

    def headers(self):
        flood = self.rng.choice((
            [f"X-{number}: y" for number in range(self.rng.choice((60, 100, 3000)))],
            ["X: " + "y" * self.rng.choice((30_000, 40_000, 200_000))],
            ["Authorization: Basic " + self.rng.choice(("", "!!!", "c2hvcA==", "OjpubzpiYXNpYw==")), "Cookie: pagekeep_session=x; " * 20],
            ["Range: bytes=" + self.rng.choice(("5-1", "-0", "0-" + "9" * 30, "a-b", "0-1,3-4"))],
            ["Expect: 100-continue", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"],
        ))  # fmt: skip
        return "GET", self.filled(self.route()[1]), b"", flood

    def broken(self):
        return self.rng.choice(BROKEN)

    def huge(self):
        return "POST", self.filled(self.route(with_body=True)[1]), b" " * HUGE_BYTES, ["Content-Type: application/json"]

    def claimed(self):
        """A body that is announced and does not come."""
        return (
            "POST",
            self.filled(self.route(with_body=True)[1]),
            b"{",
            ["Content-Type: application/json"],
            self.rng.choice((2**20 + 1, 2**40, 2**63)),
        )


@dataclasses.dataclass
class Outcome:
    seconds: float = 0
    sent: int = 0
    # Requests by kind; answers by status, 0 for a connection that was closed without one.
    kinds: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    statuses: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # Answers that blame the server.
    faults: list = dataclasses.field(default_factory=list)
    slow_closed: int = 0


def throw(port, document, procedures, tokens, count, seed=1):
    return asyncio.run(throw_all(port, Maker(document, procedures, tokens, seed), count))


async def throw_all(port, maker, count):
    outcome, began = Outcome(), time.monotonic()
    slow = [asyncio.create_task(send_slowly(port, number, outcome)) for number in range(SLOW)]
    await asyncio.gather(*(throw_some(port, maker, count, outcome) for _ in range(CONNECTIONS)))
    outcome.seconds = time.monotonic() - began
    for one in slow:
        one.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    return outcome


async def send_slowly(port, number, outcome):
    """A byte each second, of a head or of a body, for as long as the server takes it."""
    text = b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n" + b" " * 900
    while True:
        receive, send = await asyncio.open_connection("127.0.0.1", port)
        at = 0 if number % 2 else text.index(b"\r\n\r\n") + 4
        send.write(text[:at])
        try:
            while at < len(text):
                send.write(text[at : at + 1])
                await send.drain()
                at += 1
                await asyncio.sleep(1)
        except OSError:
            outcome.slow_closed += 1
        finally:
            send.close()


async def throw_some(port, maker, count, outcome):
    link = None
    while outcome.sent < count:
        outcome.sent += 1
        kind, request = maker.next()
        outcome.kinds[kind] += 1
        link = link or await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        status, stays = await exchange(link, request, kind in ENDS)
        outcome.statuses[status] += 1
        if status >= 500 and status not in NO_FAULT:
            outcome.faults.append((status, request[:300].decode(errors="replace")))
        if not stays:
            link[1].close()
            link = None


async def exchange(link, request, ends):
    """Sends and reads one answer: its status, and whether the connection can be used again. With `ends` nothing more comes, so
    that a server which waits for what was announced knows that it waits in vain."""
    receive, send = link
    try:
        send.write(request)
        if ends:
            send.write_eof()
        head = await asyncio.wait_for(receive.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
        status, lower = int(head[9:12]), head.lower()
        if b"\r\ncontent-length: " not in lower or request.startswith(b"HEAD "):
            return status, False
        length = int(lower.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        await asyncio.wait_for(receive.readexactly(length), PATIENCE_SECONDS)
        return status, not ends and b"\r\nconnection: close" not in lower
    except asyncio.TimeoutError:
        return -1, False
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
        return 0, False
