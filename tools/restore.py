#!/usr/bin/env python3
"""Restores snapshots from a pagekeep store in a folder.

    restore.py STORE_FOLDER [DATABASE][@NUMBER] DEST [--line main]
    restore.py STORE_FOLDER --list

An independent reader of format version 1, written from docs/FORMAT.md; names in quotation marks below are its
sections. It needs Python 3.8 and the packages `zstandard` and `blake3`. Everything is checked before DEST appears.
Exit codes: 0 done, 1 other, 2 usage, 10 no store, 13 damaged, 15 no such snapshot, 16 DEST exists, 17 newer format.
"""
import argparse, array, bisect, collections, contextlib, datetime, json, mmap, os, re, shutil, struct, sys, tempfile
from blake3 import blake3
import zstandard

# "Constants"
FORMAT_VERSION, HEADER_LEN, TRAILER_LEN, FOOTER_LEN, IDS_HASH_LEN = 1, 16, 48, 92, 16
SKIPPABLE, PACK, RECORD, SECTION_MAP, SECTION_PACK = 0x184D2A50, 1, 2, 1, 2
FAN_OUT, MAX_BASES, MAX_CHAIN, MAX_NAME_BYTES, MAX_STORE_FILE_BYTES = 1024, 4, 64, 80, 65536
MAX_CHUNK_BYTES, MAX_FRAME_RAW_BYTES, MAX_SLOTS, MAX_TABLE_BYTES = 65536, 1 << 20, 1 << 20, 48 << 20
MAX_PACK_BYTES = MAX_MAP_BYTES = MAX_RECORD_BYTES = 1 << 30
MAX_HEADER_BYTES, MAX_U32, MAX_U64 = 256 << 20, 2**32 - 1, 2**64 - 1
OTHER, USAGE, NO_STORE, DAMAGED, NO_SNAPSHOT, DEST_EXISTS, TOO_NEW = 1, 2, 10, 13, 15, 16, 17
OPEN_PACKS, DECODED_FRAMES = 32, 64  # kept in memory at once; a frame has at most a MiB of content


class Stop(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def check(holds, message, code=DAMAGED):
    if not holds:
        raise Stop(code, message)


@contextlib.contextmanager
def about(what):
    """Puts the name of an object or field in front of what is wrong with it."""
    try:
        yield
    except Stop as stop:
        raise Stop(stop.code, f"{what}: {stop}") from None
    except FileNotFoundError:
        raise Stop(DAMAGED, f"{what}: it is missing") from None
    except (ValueError, RecursionError, zstandard.ZstdError) as error:
        raise Stop(DAMAGED, f"{what}: {error}") from None


def digest(data):
    return blake3(data).digest()


def check_version(version):
    check(version != 0, "format version 0")
    check(version <= FORMAT_VERSION, f"format {version} is newer than {FORMAT_VERSION}, which this can read", TOO_NEW)


class Cursor:
    """A place in bytes; it never leaves them. "Varints and zigzag"."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, length):
        check(length <= self.left(), f"cut short: {length} bytes wanted, {self.left()} left")
        self.at += length
        return self.data[self.at - length : self.at]

    def unsigned(self, size):
        return int.from_bytes(self.take(size), "little")

    def varint(self, least, most):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.unsigned(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                check(least <= value <= most, f"{value} is not between {least} and {most}")
                return value
        raise Stop(DAMAGED, "a varint of more than 10 bytes")

    def zigzag(self):
        value = self.varint(0, 2 * MAX_U32)
        return (value >> 1) ^ -(value & 1)

    def skippable(self):
        check(self.unsigned(4) == SKIPPABLE, "not a skippable frame")
        return Cursor(self.take(self.unsigned(4)))

    def end(self):
        check(self.left() == 0, f"{self.left()} bytes too many")


def unzstd(payload, raw_len, bases=None):
    """One zstd frame of exactly raw_len bytes of content. "Whole frames", "Deltas"."""
    prefix = None
    if bases is not None:
        prefix = zstandard.ZstdCompressionDict(bases, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        payload = b"\x28\xb5\x2f\xfd" + payload
    stated = zstandard.get_frame_parameters(payload).content_size
    check(stated in (raw_len, zstandard.CONTENTSIZE_UNKNOWN), f"a frame of {stated} bytes instead of {raw_len}")
    decompressor = zstandard.ZstdDecompressor(dict_data=prefix)
    raw = decompressor.decompress(payload, max_output_size=raw_len, allow_extra_data=False)
    check(len(raw) == raw_len, f"a frame of {len(raw)} bytes instead of {raw_len}")
    return raw


def check_header(data, kind):
    """The first 16 bytes of packs and records. "Envelope"."""
    check(len(data) >= HEADER_LEN and data[:12] == struct.pack("<II4s", SKIPPABLE, 8, b"pgkp"), "not pagekeep's")
    check_version(data[13])
    check(data[12] == kind, f"an object of kind {data[12]} instead of {kind}")
    check(data[14:16] == b"\0\0", f"unknown flags {bytes(data[14:16]).hex()}")


# JSON: each of these makes a function that checks a value and returns what it stands for. "JSON header"


def integer(least, most):
    def parse(value):
        check(type(value) is int and least <= value <= most, f"{value!r} is no integer from {least} to {most}")
        return value
    return parse


def text(value):
    check(type(value) is str, f"{value!r} is no string")
    value.encode()  # refuses half of a surrogate pair
    return value


def matching(pattern):
    def parse(value):
        check(re.fullmatch(pattern, text(value)), f"{value!r} is not of the form {pattern}")
        return value
    return parse


def time(value):
    matching(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?Z")(value)
    datetime.datetime.strptime(value[:19], "%Y-%m-%dT%H:%M:%S")
    return value


def name(value):
    """A database's or line's name. "Keys"."""
    check(0 < len(text(value).encode()) <= MAX_NAME_BYTES and value[0] not in ".-", f"{value!r} is no name")
    check(not re.search(r"[/\\@:\0-\x1f\x7f-\x9f]", value), f"{value!r} is no name")
    return value


def path(value):
    if type(value) is dict:
        return bytes.fromhex(fields({"hex": matching("(?:[0-9a-f]{2})*")})(value)["hex"])
    return text(value).encode()


def array_of(parse, most=MAX_U32):
    def parse_all(value):
        check(type(value) is list and len(value) <= most, f"no array of at most {most}")
        return [parse(item) for item in value]
    return parse_all


def chain_link(value):
    line, _, number = matching("[^@]*@[1-9][0-9]{0,9}")(value).partition("@")
    return name(line), integer(1, MAX_U32)(int(number))


def labels(value):
    check(type(value) is dict, "no object")
    return {text(key): text(label) for key, label in value.items()}


def fields(required, optional={}):
    """An object with these fields; of optional ones also what they are when they are omitted."""
    def parse(value):
        check(type(value) is dict, f"{value!r} is no object")
        parsed = {key: omitted for key, (_, omitted) in optional.items()}
        for key in required:
            check(key in value, f"no field {key!r}")
        for key, item in value.items():
            check(key in required or key in optional, f"unknown field {key!r}")
            with about(key):
                if not (item is None and key in optional and parsed[key] is None):
                    parsed[key] = (required.get(key) or optional[key][0])(item)
        return parsed
    return parse


def read_json(data, parse):
    """JSON text; its format version is looked at first."""
    def once(pairs):
        check(len(dict(pairs)) == len(pairs), "a field comes twice")
        return dict(pairs)
    value = json.loads(str(data, "utf-8"), object_pairs_hook=once)
    check(type(value) is dict and type(value.get("format")) is int, "no format version")
    check_version(max(value["format"], 0))
    return parse(value)


KINDS, HASH, NONCE, U32 = ["sqlite", "file", "directory", "symlink"], *map(matching, ("[0-9a-f]{64}", "[0-9a-f]{32}")), integer(0, MAX_U32)
FACTS = ("page_size", "page_count", "write_version", "read_version", "schema_cookie", "text_encoding", "user_version", "application_id")
