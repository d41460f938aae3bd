#!/usr/bin/env python3
"""Stands between a client and an S3 server and writes down every request: an independent count.

`s3_counter.py --to HOST:PORT --log FILE [--delay-ms N]` prints the port it listens on and serves until it is ended.
Each request becomes one JSON line: verb (a listing is `list`), path, start and end in seconds, bytes of both bodies.
Bytes pass through unchanged, the Host header too, so signatures stay right. A delay before each request makes
requests that are sent side by side overlap for certain, and so shows which ones waited for each other.

Speaks what S3 clients speak: HTTP/1.1 with keep-alive, bodies by length or in chunks, `Expect`; no pipelining, no upgrade.
"""

import argparse
import json
import socket
import threading
import time
import urllib.parse

COPY_BYTES = 1 << 18


def read_head(stream):
    """The lines of a request or response up to the empty one; `None` at the end of the connection."""
    lines = []
    while line := stream.readline():
        lines.append(line)
        if line in (b"\r\n", b"\n"):
            return b"".join(lines)
    return None


def read_answer(stream):
    answer = read_head(stream)
    if answer is None:
        raise ConnectionError("the server closed without an answer")
    return answer


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def header(head, name):
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def copy_exactly(source, target, count):
    left = count
    while left:
        piece = source.read(min(left, COPY_BYTES))
        if not piece:
            raise ConnectionError("closed inside a body")
        target.sendall(piece)
        left -= len(piece)
    return count


def copy_body(head, source, target, until_close):
    """Passes one body on; returns its bytes. `until_close`: what a missing length means (responses only)."""
    if (header(head, b"transfer-encoding") or b"").lower() == b"chunked":
        total = 0
        while True:
            line = source.readline()
            target.sendall(line)
            size = int(line.split(b";")[0], 16)
            total += copy_exactly(source, target, size)
            target.sendall(source.readline())
            if size == 0:
                return total
    length = header(head, b"content-length")
    if length is not None:
        return copy_exactly(source, target, int(length))
    total = 0
    while until_close and (piece := source.read(COPY_BYTES)):
        target.sendall(piece)
        total += len(piece)
    return total


def verb_of(method, target):
    """The verb that is paid for: a GET of a bucket with a listing's parameters is a listing."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query, keep_blank_values=True)
    return "list" if method == "GET" and ("list-type" in query or "delimiter" in query) else method.lower()


class Counter:
    def __init__(self, server, log, delay_s):
        self.server, self.log, self.delay_s, self.lock = server, log, delay_s, threading.Lock()

    def serve(self, client):
        """One connection of the client, with one of its own to the server."""
        try:
            with client, socket.create_connection(self.server) as upstream:
                for end in (client, upstream):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                from_client, from_server = client.makefile("rb"), upstream.makefile("rb")
                while head := read_head(from_client):
                    self.exchange(head, client, from_client, upstream, from_server)
        except (ConnectionError, OSError):
            return  # either side may hang up; the log holds the exchanges that were completed

    def exchange(self, head, client, from_client, upstream, from_server):
        started = time.monotonic()
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        time.sleep(self.delay_s)
        upstream.sendall(head)
        sent, answer = 0, None
        if header(head, b"expect"):
            answer = read_answer(from_server)
            if status_of(answer) == 100:
                client.sendall(answer)
                answer = None
        if answer is None:
            sent = copy_body(head, from_client, upstream, until_close=False)
            answer = read_answer(from_server)
        status = status_of(answer)
        client.sendall(answer)
        bodyless = method == "HEAD" or status in (204, 304)
        received = 0 if bodyless else copy_body(answer, from_server, client, until_close=True)
        line = {
            "verb": verb_of(method, target),
            "path": target,
            "status": status,
            "start_s": started,
            "end_s": time.monotonic(),
            "sent_bytes": sent,
            "received_bytes": received,
        }
        with self.lock:
            self.log.write(json.dumps(line) + "\n")
            self.log.flush()


def main():
    parser = argparse.ArgumentParser(description="Counts the requests between a client and an S3 server.")
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--log", required=True)
    parser.add_argument("--delay-ms", type=float, default=0)
    options = parser.parse_args()
    host, port = options.to.rsplit(":", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener, open(options.log, "w", encoding="utf-8") as log:
        counter = Counter((host, int(port)), log, options.delay_ms / 1000)
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=counter.serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()
