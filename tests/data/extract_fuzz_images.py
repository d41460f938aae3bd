#!/usr/bin/env python3
"""Takes the database images out of SQLite's own fuzz corpus: thousands of files that are malformed in every way.

    extract_fuzz_images.py CORPUS_DIR OUT

CORPUS_DIR holds SQLite's test/fuzzdata1.db, fuzzdata2.db and so on; each has a table db(dbid, dbcontent) whose blobs
are what SQLite's fuzzer feeds to it. Every distinct blob that begins as a database does becomes
OUT/<corpus file>-<dbid>.db. Prints name, bytes and SHA-256 of each, separated by tabs.
"""

import glob
import hashlib
import os
import sqlite3
import sys
import urllib.parse

MAGIC = b"SQLite format 3\0"


def images(corpus_file):
    """(dbid, bytes) for each blob in one corpus file, which is only read."""
    uri = f"file:{urllib.parse.quote(corpus_file)}?immutable=1"
    corpus = sqlite3.connect(uri, uri=True)
    try:
        yield from corpus.execute("SELECT dbid, dbcontent FROM db ORDER BY dbid")
    finally:
        corpus.close()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    corpus_dir, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    seen = set()
    for corpus_file in sorted(glob.glob(os.path.join(glob.escape(corpus_dir), "fuzzdata*.db"))):
        corpus_name = os.path.basename(corpus_file)[: -len(".db")]
        for dbid, content in images(corpus_file):
            if not isinstance(content, bytes) or not content.startswith(MAGIC):
                continue  # some entries are SQL text or another kind of input
            digest = hashlib.sha256(content).hexdigest()
            if digest in seen:
                continue
            seen.add(digest)
            name = f"{corpus_name}-{dbid:05}.db"
            with open(os.path.join(out, name), "wb") as f:
                f.write(content)
            print(name, len(content), digest, sep="\t")


if __name__ == "__main__":
    main()
