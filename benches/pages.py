#!/usr/bin/env python3
"""The pages of a SQLite file as the next reader would see them: the file, with its WAL laid over it.

`python3 pages.py OLD NEW` counts what is different. It is a measuring aid for a database at rest (nobody
writes): it reads the files directly and trusts the frames of the WAL up to the last commit of its first salts.
"""

import argparse
import hashlib
import os
import struct

DIGEST_BYTES = 12
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
# Header field of one file: page size at offset 16, where 1 means 65536 (SQLite file format, section 1.3.2).
PAGE_SIZE_OFFSET = 16


def page_bytes_of(path):
    with open(path, "rb") as file:
        file.seek(PAGE_SIZE_OFFSET)
        (value,) = struct.unpack(">H", file.read(2))
    return 65536 if value == 1 else value


def committed_frames(wal_path, page_bytes):
    """Maps a page's number to the offset of its newest committed content in the WAL; and the page count after it."""
    newest, pending, page_count = {}, {}, None
    if not os.path.exists(wal_path) or os.path.getsize(wal_path) < WAL_HEADER_BYTES:
        return newest, page_count
    with open(wal_path, "rb") as wal:
        salts, offset = wal.read(WAL_HEADER_BYTES)[16:24], WAL_HEADER_BYTES
        while len(header := wal.read(FRAME_HEADER_BYTES)) == FRAME_HEADER_BYTES and header[8:16] == salts:
            number, count_if_commit = struct.unpack(">II", header[:8])
            pending[number] = offset + FRAME_HEADER_BYTES
            if count_if_commit:
                newest.update(pending)
                pending, page_count = {}, count_if_commit
            offset += FRAME_HEADER_BYTES + page_bytes
            wal.seek(offset)
    return newest, page_count


def each_page(path):
    """Yields the bytes of every page, in order."""
    page_bytes = page_bytes_of(path)
    newest, page_count = committed_frames(path + "-wal", page_bytes)
    if page_count is None:
        page_count = os.path.getsize(path) // page_bytes
    wal = open(path + "-wal", "rb") if newest else None
    try:
        with open(path, "rb", buffering=1 << 20) as file:
            for number in range(1, page_count + 1):
                page = file.read(page_bytes)
                if number in newest:
                    wal.seek(newest[number])
                    page = wal.read(page_bytes)
                yield page
    finally:
        if wal:
            wal.close()


def page_digests(path):
    """The digests of all pages, one after another, `DIGEST_BYTES` each."""
    digests = bytearray()
    for page in each_page(path):
        digests += hashlib.blake2b(page, digest_size=DIGEST_BYTES).digest()
    return digests


def split_digests(digests):
    return [bytes(digests[at : at + DIGEST_BYTES]) for at in range(0, len(digests), DIGEST_BYTES)]


def compare(before, after):
    """Counts of two digest strings: pages now, pages that differ from the same place, pages whose content is new."""
    old, new = split_digests(before), split_digests(after)
    known = set(old)
    differing = sum(1 for place, digest in enumerate(new) if place >= len(old) or old[place] != digest)
    return {"pages": len(new), "changed_pages": differing, "new_content_pages": len(set(new) - known)}


def main():
    parser = argparse.ArgumentParser(description="Counts the pages in which two SQLite files differ.")
    parser.add_argument("old")
    parser.add_argument("new")
    options = parser.parse_args()
    counts = compare(page_digests(options.old), page_digests(options.new))
    print(
        "{changed_pages} of {pages} pages differ at their place, {new_content_pages} hold new content".format(**counts)
    )


if __name__ == "__main__":
    main()
