#!/usr/bin/env python3
"""Restores snapshots from a pagekeep store in a folder.

    restore.py STORE_FOLDER [DATABASE][@NUMBER] DEST [--line main]
    restore.py STORE_FOLDER --list

An independent reader of format 1, written from docs/FORMAT.md alone; names in quotation marks below are its sections.
It needs Python 3.8 and the packages `zstandard` and `blake3`. Everything is checked before DEST appears. Exit codes:
0 done, 1 other, 2 usage, 10 no store, 13 damaged, 15 no such snapshot, 16 DEST is in the way, 17 newer format.
"""
import argparse, bisect, collections, contextlib, json, mmap, os, re, shutil, struct, sys, tempfile
from array import array
from blake3 import blake3
import zstandard

# "Constants"
SKIPPABLE, FORMAT_VERSION, HEADER_LEN, TRAILER_LEN, FOOTER_LEN, IDS_HASH_LEN = 0x184D2A50, 1, 16, 48, 92, 16
PACK, RECORD, SECTION_MAP, SECTION_PACK, FAN_OUT, MAX_BASES, MAX_CHAIN, MAX_NAME_BYTES = 1, 2, 1, 2, 1024, 4, 64, 80
MAX_STORE_FILE_BYTES = MAX_CHUNK_BYTES = 1 << 16
MAX_SLOTS = MAX_FRAME_RAW_BYTES = 1 << 20
MAX_PACK_BYTES = MAX_MAP_BYTES = MAX_RECORD_BYTES = 1 << 30
MAX_HEADER_BYTES, MAX_TABLE_BYTES, MAX_U32, MAX_U64 = 1 << 28, 48 << 20, 2**32 - 1, 2**64 - 1
OTHER, USAGE, NO_STORE, DAMAGED, NO_SNAPSHOT, IN_THE_WAY, TOO_NEW = 1, 2, 10, 13, 15, 16, 17
OPEN_PACKS, DECODED_FRAMES = 32, 64  # kept at once: tables, and at most a MiB each

class Stop(Exception):
    """An end with an exit code and a message."""

def check(holds, message, code=DAMAGED):
    if not holds:
        raise Stop(code, message)

@contextlib.contextmanager
def about(what):
    """Puts the name of an object or field in front of what is wrong with it."""
    try:
        yield
    except Stop as stop:
        raise Stop(stop.args[0], f"{what}: {stop.args[1]}") from None
    except (FileNotFoundError, ValueError, RecursionError, zstandard.ZstdError) as error:
        raise Stop(DAMAGED, f"{what}: {'it is missing' if isinstance(error, OSError) else error}") from None

def digest(data):
    return blake3(data).digest()

def check_version(version):
    check(version > 0, f"format version {version}")
    check(version <= FORMAT_VERSION, f"format {version} is newer than {FORMAT_VERSION}, which this can read", TOO_NEW)

class Cursor:
    """A place in bytes, which no read goes beyond. "Varints and zigzag"."""
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        check(count <= self.left(), f"cut short: {count} bytes wanted, {self.left()} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self, least, most):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                check(least <= value <= most, f"{value} is not between {least} and {most}")
                return value
        raise Stop(DAMAGED, "a varint of more than 10 bytes")

    def zigzag(self):
        value = self.varint(0, 2 * MAX_U32)
        return (value >> 1) ^ -(value & 1)

    def skippable(self):
        magic, length = struct.unpack("<II", self.take(8))
        check(magic == SKIPPABLE, "a skippable frame is missing")
        return Cursor(self.take(length))

    def end(self):
        check(self.left() == 0, f"{self.left()} bytes too many")

def unzstd(payload, raw_len, bases=None):
    """The content of one zstd frame, of exactly that many bytes. "Whole frames", "Deltas"."""
    prefix = bases and zstandard.ZstdCompressionDict(bases, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    payload = b"\x28\xb5\x2f\xfd" + payload if bases else payload
    stated = zstandard.get_frame_parameters(payload).content_size
    check(stated in (raw_len, zstandard.CONTENTSIZE_UNKNOWN), f"zstd: {stated} bytes instead of {raw_len}")
    decompressor = zstandard.ZstdDecompressor(dict_data=prefix)
    raw = decompressor.decompress(payload, max_output_size=raw_len, allow_extra_data=False)
    check(len(raw) == raw_len, f"zstd: {len(raw)} bytes instead of {raw_len}")
    return raw

# "JSON header". A parser is a function that checks a value and returns what it stands for.
def integer(least, most):
    return lambda v: check(type(v) is int and least <= v <= most, f"{v!r} is not from {least} to {most}") or v

def matching(pattern):
    return lambda v: check(type(v) is str and re.fullmatch(pattern, v), f"{v!r} is not of the form {pattern!r}") or v

def array_of(parse, most=MAX_U32):
    return lambda v: check(type(v) is list and len(v) <= most, f"no array of at most {most}") or [parse(x) for x in v]

def fields(required, optional={}):
    """An object with these fields. Of optional ones also what they are when omitted; None may be written as null."""
    def parse(value):
        check(type(value) is dict, f"{value!r} is no object")
        parsed = {key: omitted for key, (_, omitted) in optional.items()}
        check(required.keys() <= value.keys(), f"no field {[*(required.keys() - value.keys())]}")
        for key, item in value.items():
            with about(key):
                check(key in required or key in optional, "unknown field")
                if item is not None or parsed.get(key, item) is not item or key in required:
                    parsed[key] = (required.get(key) or optional[key][0])(item)
        return parsed
    return parse

def name(value):
    matching(r"(?![.-])[^/\\@:\0-\x1f\x7f-\x9f\ud800-\udfff]+")(value)
    return check(len(value.encode()) <= MAX_NAME_BYTES, f"{value!r} is too long") or value

def link(value):
    """One of `chain`, as line and number."""
    line, _, number = matching("[^@]+@[1-9][0-9]{0,9}")(value).partition("@")
    return name(line), integer(1, MAX_U32)(int(number))

def path(value):
    return bytes.fromhex(HEX_PATH(value)["hex"]) if type(value) is dict else TEXT(value).encode()

def labels(value):
    return check(type(value) is dict, "no object") or {TEXT(key): TEXT(item) for key, item in value.items()}

TEXT, HEX_PATH = matching("[^\ud800-\udfff]*"), fields({"hex": matching("([0-9a-f]{2})*")})
HASH, NONCE, U32, U64 = matching("[0-9a-f]{64}"), matching("[0-9a-f]{32}"), integer(0, MAX_U32), integer(0, MAX_U64)
TIME = matching(r"\d{4}-(0[1-9]|1[0-2])-([012]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}(\.\d{1,9})?Z")
SQLITE = "page_size page_count write_version read_version schema_cookie text_encoding user_version application_id"
TOTALS = "files size_bytes chunks changed_chunks new_chunks added_bytes"
KINDS = ["sqlite", "file", "directory", "symlink"]
ENTRY = fields(
    {"number": integer(1, MAX_U32), "path": path, "kind": matching("|".join(KINDS)), "mode": integer(0, 0o7777),
     "mtime_ns": integer(-(2**63), 2**63 - 1)},
    {"size": (U64, 0), "chunk_size": (U32, 0), "root": (HASH, None), "target": (path, None),
     "sqlite": (fields(dict.fromkeys(SQLITE.split(), U32)), None)})
HEADER = fields(
    {"format": U32, "database": name, "lineage": NONCE, "line": name, "number": integer(1, MAX_U32),
     "source": matching("sqlite|directory"), "created_at": TIME, "host": TEXT, "tool": TEXT, "nonce": NONCE,
     "files": fields({"changed": array_of(ENTRY)}, {"removed": (array_of(U32), ())}), "tree": HASH, "next_file": U32,
     "totals": fields(dict.fromkeys(TOTALS.split(), U64))},
    {"parent": (HASH, None), "note": (TEXT, None), "labels": (labels, {}), "chain": (array_of(link, MAX_CHAIN), ())})
STORE = fields({"what": matching("pagekeep store"), "format": U32, "store_id": NONCE, "created_at": TIME, "tool": TEXT},
               {"encryption": (matching("(?!)"), None)})

def read_json(data, parse):
    """JSON text; the format version is looked at before all else."""
    def once(pairs):
        check(len(dict(pairs)) == len(pairs), "a field comes twice")
        return dict(pairs)
    value = json.loads(str(data, "utf-8"), object_pairs_hook=once)
    check(type(value) is dict and type(value.get("format")) is int, "no format version")
    check_version(value["format"])
    return parse(value)

class Store:
    """"Keys", "store.json". What it reads is mapped, not loaded."""
    def __init__(self, folder):
        self.folder = folder
        check(os.path.isfile(os.path.join(folder, "store.json")), f"there is no store in {folder}", NO_STORE)
        with about("store.json"):
            read_json(self.read("store.json", MAX_STORE_FILE_BYTES), STORE)

    def read(self, key, most):
        with open(os.path.join(self.folder, key), "rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        check(len(data) <= most, f"more than {most} bytes")
        return data

    def snapshots(self):
        """Database, line and number of every record, newest first in each line."""
        root, found = os.path.join(self.folder, "snapshots"), []
        for below, _, names in os.walk(root):
            for file in names:
                with contextlib.suppress(Stop, ValueError):  # a key that is not a record's
                    key = os.path.relpath(os.path.join(below, file), root)
                    parts = [re.sub("!([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), part) for part in key.split("/")]
                    database, line = [name(part.encode("latin-1").decode()) for part in parts[:-1]]
                    number = integer(1, MAX_U32)(int(parts[-1].partition("-")[2]))
                    check(record_key(database, line, number) == f"snapshots/{key}", "another form")
                    found.append((database, line, number))
        return sorted(found, key=lambda it: (it[0], it[1], -it[2]))

def record_key(database, line, number):
    escaped = (re.sub(rb"[^A-Za-z0-9._-]", lambda m: b"!%02X" % m[0][0], n.encode()).decode() for n in (database, line))
    return "snapshots/{}/{}/{:08x}-{}".format(*escaped, MAX_U32 - number, number)

def check_header(data, kind):
    """The first 16 bytes of records and packs. "Envelope"."""
    check(len(data) >= HEADER_LEN and data[:12] == struct.pack("<II4s", SKIPPABLE, 8, b"pgkp"), "not an object's header")
    check_version(data[13])
    check(data[12] == kind, f"an object of kind {data[12]} instead of {kind}")
    check(data[14:16] == b"\0\0", f"unknown flags {data[14:16].hex()}")

def read_record(store, database, line, number):
    """The JSON header, the snapshot's id, and the sections by kind. "Snapshot record"."""
    with about(record_key(database, line, number)):
        data = store.read(record_key(database, line, number), MAX_RECORD_BYTES)
        check_header(data, RECORD)
        trailer = struct.pack("<IIQ", SKIPPABLE, 40, len(data))
        check(len(data) >= HEADER_LEN + TRAILER_LEN and data[-48:-32] == trailer, "its trailer is wrong")
        check(digest(data[:-32]) == data[-32:], "its digest is wrong")
        cursor = Cursor(data[HEADER_LEN:-TRAILER_LEN])
        lengths = cursor.skippable()
        stored, raw_len = struct.unpack("<II", lengths.take(8))
        lengths.end()
        check(raw_len <= MAX_HEADER_BYTES, f"a JSON header of {raw_len} bytes")
        text = unzstd(cursor.take(stored), raw_len)
        header, sections, rest = read_json(text, HEADER), {}, cursor.skippable()
        cursor.end()
        while rest.left():
            kind, length = struct.unpack("<BI", rest.take(5))
            check(kind in (SECTION_MAP, SECTION_PACK) and kind not in sections, f"unknown or second section {kind}")
            sections[kind] = rest.take(length)
        check(SECTION_MAP in sections, "it has no map")
        check((header["database"], header["line"], header["number"]) == (database, line, number), "another's record")
        check(all(l != line or n < number for l, n in header["chain"]), "its chain names itself or a later one")
        return header, digest(text).hex(), sections

def pack_refs(cursor):
    """A list of packs: id, and line and number of the home, or None. "List of packs"."""
    refs = []
    for _ in range(cursor.varint(0, cursor.left() // 33)):
        pack, number = bytes(cursor.take(32)), cursor.varint(0, MAX_U32)
        home = number and (name(str(cursor.take(cursor.varint(1, MAX_NAME_BYTES)), "utf-8")), number)
        refs.append((pack, home or None))
    return refs
