#!/usr/bin/env python3
"""Restores snapshots from a pagekeep store in a folder; written from docs/FORMAT.md, whose sections are in quotes below.

    restore.py STORE_FOLDER [DATABASE][@NUMBER] DEST [--line main]
    restore.py STORE_FOLDER --list

Needs Python 3.8, `zstandard` and `blake3`. DEST appears when everything is checked. Exit codes: 0 done, 1 other,
2 usage, 10 no store, 13 damaged, 15 no such snapshot, 16 something is in the way at DEST, 17 a newer format.
"""
import argparse, bisect, contextlib, functools, glob, json, mmap, os, re, shutil, struct, sys, tempfile
from itertools import accumulate, islice
from urllib.parse import unquote
import blake3, zstandard

# "Constants"
SKIPPABLE, FORMAT_VERSION, FOOTER_LEN, FAN_OUT, MAX_BASES, MAX_CHAIN, MAX_NAME_BYTES = 0x184D2A50, 1, 92, 1024, 4, 64, 80
PACK, RECORD, SECTION_MAP, SECTION_PACK, MAX_U32, MAX_SLOTS, MAX_STORE_FILE_BYTES = 1, 2, 1, 2, 2**32 - 1, 2**20, 2**16
MAX_CHUNK_BYTES, MAX_FRAME_RAW_BYTES, MAX_TABLE_BYTES, MAX_HEADER_BYTES = 2**16, 2**20, 48 * 2**20, 2**28
MAX_PACK_BYTES = MAX_MAP_BYTES = MAX_RECORD_BYTES = 2**30
OPEN_PACKS, DECODED_FRAMES = 8, 64  # how many are in memory at once

class Stop(Exception):
    """An end with a message and an exit code."""
def check(holds, message, code=13):
    if not holds:
        raise Stop(message, code)
@contextlib.contextmanager
def about(what):
    """Says in which object something is wrong."""
    try:
        yield
    except (Stop, FileNotFoundError, ValueError, RecursionError, zstandard.ZstdError) as error:
        text = "it is missing" if isinstance(error, FileNotFoundError) else error.args[0]
        raise Stop(f"{what}: {text}", error.args[1] if isinstance(error, Stop) else 13) from None
def check_version(found):
    check(found > 0, f"it is of format {found}")
    check(found <= FORMAT_VERSION, f"it is of format {found}, newer than {FORMAT_VERSION}, which this reads", 17)
def digest(*parts):
    return blake3.blake3(b"".join(parts)).digest()
def unzstd(payload, raw_len, bases=None):
    """The content of one zstd frame, exactly raw_len bytes. "Whole frames", "Deltas"."""
    prefix = bases and zstandard.ZstdCompressionDict(bases, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    payload = b"\x28\xb5\x2f\xfd" + payload if bases else payload
    stated, context = zstandard.get_frame_parameters(payload).content_size, zstandard.ZstdDecompressor(dict_data=prefix)
    check(stated in (raw_len, zstandard.CONTENTSIZE_UNKNOWN), f"zstd: {stated} bytes instead of {raw_len}")
    raw = context.decompress(payload, max_output_size=raw_len, allow_extra_data=False)
    check(len(raw) == raw_len, f"zstd: {len(raw)} bytes instead of {raw_len}")
    return raw
kept_unzstd = functools.lru_cache(DECODED_FRAMES)(unzstd)

class Cursor:
    """A place in bytes, which no read goes beyond. "Varints and zigzag"."""
    def __init__(self, data):
        self.data, self.at = data, 0
    def take(self, count):
        self.at += count
        check(self.at <= len(self.data), f"{self.at - len(self.data)} bytes are missing at its end")
        return self.data[self.at - count : self.at]
    def varint(self, least, most):
        value = shift = 0
        while (byte := self.take(1)[0]) >= 0x80 and shift < 63:
            value, shift = value | (byte & 0x7F) << shift, shift + 7
        value |= byte << shift
        check(least <= value <= most, f"a number is {value}, not from {least} to {most}")
        return value
    def zigzag(self):
        return ((value := self.varint(0, 2 * MAX_U32)) >> 1) ^ -(value & 1)
    def column(self, count, least, most):
        return [self.varint(least, most) for _ in range(count)]

# "store.json", "JSON header": name:type; with `?` absent or null, with `~` absent at will; `*` is an array.
FILE = "number:id path:path kind:text mode:mode mtime_ns:i64 size~:u64 chunk_size:chunk root:hash target?:none "
LINK = "number:id path:path kind:text mode:mode mtime_ns:i64 size~:zero chunk_size~:zero root?:none sqlite?:none "
FACTS = "page_size page_count write_version read_version schema_cookie text_encoding user_version application_id"
OBJECTS = {  # kinds of files first, in the order of "Tree hash"
    "sqlite": FILE + "sqlite:facts", "file": FILE + "sqlite?:none", "directory": LINK + "target?:none", "symlink": LINK
    + "target:path", "files": "changed:entry* removed~:u32*", "hex": "hex:bytes", "facts": FACTS.replace(" ", ":u32 ") +
    ":u32", "totals": "files:u64 size_bytes:u64 chunks:u64 changed_chunks:u64 new_chunks:u64 added_bytes:u64",
    "store": "what:what format:u32 store_id:nonce created_at:time tool:text encryption?:none", "header":
    "format:u32 database:text lineage:nonce line:text number:id source:source parent?:hash created_at:time host:text "
    "tool:text nonce:nonce note?:text labels~:labels chain~:link* files:files tree:hash next_file:u32 totals:totals"}
TYPES = {kind: {name.strip("?~"): (name[-1], inner) for name, inner in (field.split(":") for field in text.split())}
         for kind, text in OBJECTS.items()}
TYPES.update(u32=(0, MAX_U32), u64=(0, 2**64 - 1), i64=(-(2**63), 2**63 - 1), zero=(0, 0), id=(1, MAX_U32), none="(?!)",
             mode=(0, 0o7777), chunk=(512, MAX_CHUNK_BYTES), text="[^\ud800-\udfff]*", path="[^\ud800-\udfff]*",
             nonce="[0-9a-f]{32}", hash="[0-9a-f]{64}", bytes="([0-9a-f]{2})*", link=r"[^@]+@[1-9]\d{0,9}",
             source="sqlite|directory", what="pagekeep store", time=r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
def fit(value, kind, what="it"):
    """Refuses JSON that is not of a type."""
    if kind[-1] == "*" and type(value) is list:
        return [fit(item, kind[:-1], what) for item in value]
    if kind in ("path", "entry") and type(value) is dict:
        kind = "hex" if kind == "path" else str(value.get("kind"))
    rule = dict.fromkeys(value, ("", "text")) if kind == "labels" and type(value) is dict else TYPES.get(kind)
    check((type(value), type(rule)) in ((dict, dict), (str, str), (int, tuple)) and (
        rule[0] <= value <= rule[1] if type(value) is int else value.keys() <= rule.keys() if type(value) is dict
        else re.fullmatch(rule, value, re.ASCII)), f"{what}: {str(value)[:99]} is no {kind}")
    for name, (mark, inner) in rule.items() if type(value) is dict else ():
        check(name in value or mark in "?~", f"{what}: there is no {name!r}")
        if name in value and not (mark == "?" and value[name] is None):
            fit(value[name], inner, name)
    return value
def read_json(data, kind):
    """JSON text; the format version is looked at before all else."""
    once = lambda pairs: check(len(dict(pairs)) == len(pairs), "a field comes twice") or dict(pairs)
    value = json.loads(str(data, "utf-8"), object_pairs_hook=once)
    check(type(value) is dict and type(value.get("format")) is int, "it has no format version")
    check_version(value["format"])
    return fit(value, kind)

# "Keys". A snapshot is (database, line, number).
def check_name(name):
    holds = re.fullmatch(r"(?![.-])[^/\\@:\0-\x1f\x7f-\x9f]+", name) and len(name.encode()) <= MAX_NAME_BYTES
    return check(holds, f"{name!r} is not a name") or name
def record_key(*snapshot):
    escape = lambda name: re.sub(rb"[^A-Za-z0-9._-]", lambda m: b"!%02X" % m[0][0], check_name(name).encode()).decode()
    return "snapshots/{}/{}/{:08x}-{}".format(*map(escape, snapshot[:2]), MAX_U32 - snapshot[2], snapshot[2])
def list_records(store):
    """All snapshots, newest first. Keys that are not a record's are passed over."""
    for file in sorted(glob.glob(os.path.join(glob.escape(store), "snapshots/*/*/*"))):
        key = os.path.relpath(file, store)
        with contextlib.suppress(Stop, ValueError):
            database, line, last = (unquote(part.replace("!", "%"), errors="strict") for part in key.split("/")[1:])
            if 0 < int(last[9:]) <= MAX_U32 and record_key(database, line, int(last[9:])) == key:
                yield database, line, int(last[9:])
def read_object(store, key, most):
    """An object's bytes, mapped, not loaded."""
    with open(os.path.join(store, key), "rb") as file:
        check(os.fstat(file.fileno()).st_size <= most, f"it has more than {most} bytes")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
def check_header(data, kind):
    """The first 16 bytes of records and packs. "Envelope"."""
    check(data[:12] == struct.pack("<II4s", SKIPPABLE, 8, b"pgkp") and len(data) >= 64, "it is missing, or not pagekeep's")
    check_version(data[13])
    check(data[12] == kind and data[14:16] == b"\0\0", f"unknown kind or flags {data[12:16].hex()}")

def read_record(store, *snapshot):
    """A record's JSON header, its snapshot's id, and its sections by kind. "Snapshot record"."""
    with about(record_key(*snapshot)):
        data = read_object(store, record_key(*snapshot), MAX_RECORD_BYTES)
        check_header(data, RECORD)
        check(data[-48:-32] == struct.pack("<IIQ", SKIPPABLE, 40, len(data)), "its trailer is wrong")
        check(digest(data[:-32]) == data[-32:], "its digest is wrong")
        cursor, sections = Cursor(data[16:-48]), {}
        magic, eight, stored, raw_len = struct.unpack("<4I", cursor.take(16))
        check((magic, eight) == (SKIPPABLE, 8) and raw_len <= MAX_HEADER_BYTES, "its JSON header's length is wrong")
        header = read_json(text := unzstd(cursor.take(stored), raw_len), "header")
        check(struct.unpack("<II", cursor.take(8)) == (SKIPPABLE, len(cursor.data) - cursor.at), "its sections' length")
        while cursor.at < len(cursor.data):
            kind, length = struct.unpack("<BI", cursor.take(5))
            check(kind in (SECTION_MAP, SECTION_PACK) and kind not in sections, f"unknown or second section {kind}")
            sections[kind] = cursor.take(length)
        check(SECTION_MAP in sections, "it has no map")
        check((header["database"], header["line"], header["number"]) == snapshot, "it is another snapshot's record")
        chain = header["chain"] = [(line, int(n)) for line, n in (it.split("@") for it in header.get("chain", ()))]
        check(len(chain) <= MAX_CHAIN and all(check_name(line) and n <= MAX_U32 for line, n in chain), "its chain")
        check(all(line != snapshot[1] or n < snapshot[2] for line, n in chain), "it builds on itself or a later one")
        return header, digest(text).hex(), sections
def read_refs(cursor):
    """Packs: the id, and () or the line and number of the record it lies in. "List of packs"."""
    refs = []
    for _ in range(cursor.varint(0, len(cursor.data) // 33)):
        pack, number = bytes(cursor.take(32)), cursor.varint(0, MAX_U32)
        line = number and check_name(str(cursor.take(cursor.varint(1, MAX_NAME_BYTES)), "utf-8"))
        refs.append((pack, (line, number) if number else ()))
    return refs

@functools.lru_cache(OPEN_PACKS)
def open_pack(store, database, pack_id, home):
    """A pack's slots and frames. "Pack"."""
    with about(key := f"packs/{pack_id.hex()[:2]}/{pack_id.hex()}"):
        data = read_record(store, database, *home)[2].get(SECTION_PACK, b"") if home else read_object(store, key, 2**30)
        check_header(data, PACK)
        check(len(data) >= 16 + FOOTER_LEN, "it is cut short")
        version, zeros, table_len, raw_len, frame_count, slot_count, total = struct.unpack("<B3s4IQ", data[-92:-64])
        check(version == data[13] and zeros == bytes(3) and total == len(data) and table_len <= total - 16 - FOOTER_LEN
              and raw_len <= MAX_TABLE_BYTES and frame_count <= slot_count <= MAX_SLOTS, "its footer is wrong")
        check(data[-64:-32] == pack_id, "it is another pack")
        check(digest(data[:16], data[-92 - table_len : -32]) == data[-32:], "its digest is wrong")
        table = Cursor(unzstd(data[-92 - table_len : -92], raw_len))
        kinds, counts = table.take(frame_count), table.column(frame_count, 1, slot_count)
        check(set(kinds) <= {0, 1} and sum(counts) == slot_count, "frames of unknown kinds, or not of all slots")
        payloads, hashes = table.column(frame_count, 0, MAX_U32), Cursor(table.take(16 * frame_count))
        lens, deltas = iter(table.column(slot_count, 1, MAX_CHUNK_BYTES)), sum(map(int.__mul__, counts, kinds))
        delta_lens, bases_at, refs = iter(table.column(deltas, 0, MAX_U32)), table.at, read_refs(table)
        base_counts = table.column(deltas, 1, MAX_BASES)
        base_refs = [refs[pack] for pack in table.column(sum(base_counts), 0, len(refs) - 1)]
        base_slots = list(accumulate(table.zigzag() for _ in base_refs))
        check(table.at == raw_len and all(0 <= slot < MAX_SLOTS for slot in base_slots), "its table's end, or a base's slot")
        base_counts, bases, claim, at, slots, frames = iter(base_counts), zip(base_refs, base_slots), [], 16, [], []
        for kind, count, payload in zip(kinds, counts, payloads):
            ids, end, inner = data[at : at + 32 * count], at + 32 * count + payload, 0
            check(digest(ids)[:16] == hashes.take(16) and end - at <= MAX_U32, f"frame {len(frames)}: its ids are wrong")
            for n, raw_len in zip(range(0, len(ids), 32), islice(lens, count)):
                stored, own = (next(delta_lens), [*islice(bases, next(base_counts))]) if kind else (raw_len, ())
                slots.append((len(frames), bytes(ids[n : n + 32]), inner, stored, raw_len, own))
                claim += bytes([kind]), slots[-1][1]
                inner += stored
            check(inner == payload if kind else inner <= MAX_FRAME_RAW_BYTES, f"frame {len(frames)}: its length is wrong")
            frames.append((data[at + 32 * count : end], inner))
            at = end
        check(at == total - FOOTER_LEN - table_len, "its frames do not end where its table begins")
        check(digest(*claim, table.data[bases_at:] if deltas else b"") == pack_id, "its content has another id")
        return slots, frames
def read_slot(store, database, ref, slot, is_base=False):
    """A slot's chunk. "Whole frames", "Deltas"."""
    slots, frames = open_pack(store, database, *ref)
    with about(f"pack {ref[0].hex()}, slot {slot}"):
        check(slot < len(slots), "there is no such slot")
        frame, chunk_id, at, stored, raw_len, bases = slots[slot]
        check(not (bases and is_base), "it is a base and itself a delta")
        prefix, part = b"".join(read_slot(store, database, *base, True) for base in bases), slice(at, at + stored)
        raw = unzstd(frames[frame][0][part], raw_len, prefix) if bases else kept_unzstd(*frames[frame])[part]
        check(digest(raw) == chunk_id, "its content does not have its id")
        return raw

def read_map(body):
    """By file its extents: first chunk, end, pack (None: zeros), first slot. "Map"."""
    raw_len, expected, number, files = int.from_bytes(body[:4], "little"), 0, 0, {}
    check(raw_len <= MAX_MAP_BYTES, "its map is too large")
    cursor = Cursor(unzstd(body[4:], raw_len))
    refs = [None, *read_refs(cursor)]
    heads = [(cursor.varint(1, MAX_U32), cursor.varint(0, raw_len)) for _ in range(cursor.varint(0, raw_len))]
    ranges = (0, MAX_U32), (1, MAX_U32), (0, len(refs) - 1)
    columns = zip(*[cursor.column(sum(count for _, count in heads), *limits) for limits in ranges])
    for step, count in heads:
        number, end = number + step, 0
        files[number] = []
        for gap, length, place in islice(columns, count):
            first, end = end + gap, end + gap + length
            slot = expected + cursor.zigzag() if place else 0
            check(end <= MAX_U32 and (not place or 0 <= slot <= MAX_SLOTS - length), "an extent is out of range")
            expected = slot + length if place else expected
            files[number].append((first, end, refs[place], slot))
    check(number <= MAX_U32 and cursor.at == raw_len, "its map's end, or a file's number, is wrong")
    return files
def cover(layers, at, end):
    """Extents from chunk `at` to `end`, each from the last layer that speaks of it."""
    check(layers or at == end, f"no map speaks of chunk {at}")
    n = max(bisect.bisect(layers[-1], (at + 1,)) - 1, 0) if layers else 0
    while at < end:
        first, stop, ref, slot = layers[-1][n] if n < len(layers[-1]) else (end, end, None, 0)
        yield from cover(layers[:-1], at, min(first, end)) if at < first else ()
        at, n = max(at, min(first, end)), n + 1
        if at < min(stop, end):
            yield at, min(stop, end), ref, slot + at - first
            at = min(stop, end)
def read_snapshot(store, *snapshot):
    """The source, and the entries in order of paths, each with its `extents`. "How a snapshot is read"."""
    own, entries, layers, tree = read_record(store, *snapshot), {}, {}, []
    for header, _, sections in [*(read_record(store, snapshot[0], *link) for link in own[0]["chain"][::-1]), own]:
        with about(record_key(snapshot[0], header["line"], header["number"])):
            check(header["lineage"] == own[0]["lineage"], "it is of another lineage")
            for gone in header["files"].get("removed", ()):
                entries.pop(gone, None), layers.pop(gone, None)
            entries.update((entry["number"], entry) for entry in header["files"]["changed"])
            for number, extents in read_map(sections[SECTION_MAP]).items():
                layers.setdefault(number, []).append(extents)
    with about(record_key(*snapshot)):
        for number, entry in sorted(entries.items()):
            for name, path in ("path", entry["path"]), ("target", entry.get("target") or ""):
                entry[name] = bytes.fromhex(path["hex"]) if type(path) is dict else path.encode()
                tree.append(struct.pack("<I", len(entry[name])) + entry[name])
            tree[-2:-2] = [struct.pack("<IB", number, 1 + list(OBJECTS).index(entry["kind"]))]
            tree.append(struct.pack("<Iq", entry["mode"], entry["mtime_ns"]) + bytes.fromhex(entry.get("root") or "00" * 32))
            chunks = -(-entry.setdefault("size", 0) // entry["chunk_size"]) if entry.get("root") else 0
            check(chunks <= MAX_U32, f"file {number} has too many chunks")
            entry["extents"] = [*cover(layers.get(number, []), 0, chunks)]
        check(digest(*tree).hex() == own[0]["tree"], "its tree hash is wrong")
        kinds = {entry["path"]: entry["kind"] for entry in entries.values()}
        check(len(kinds) == len(entries), "two files have one path")
        for path in kinds:
            parts = path.split(b"/")
            check(not {b"", b".", b".."} & {*parts} and b"\0" not in path, f"{path!r} does not lead down")
            above = {kinds.get(b"/".join(parts[:n]), "directory") for n in range(1, len(parts))}
            check(above <= {"directory"}, f"{path!r} lies below what is no directory")
        check(own[0]["source"] == "directory" or [*kinds.values()] == ["sqlite"], "it is not one SQLite file")
    return own[0]["source"], sorted(entries.values(), key=lambda entry: entry["path"])

def write_file(store, database, entry, path):
    """Writes a file pack by pack, then reads it back for its root. "Root"."""
    size, step, level = entry["size"], entry["chunk_size"], 1
    with open(path, "xb+") as file:
        file.truncate(size)
        for first, end, ref, slot in sorted(entry["extents"], key=lambda extent: (extent[2] or (b"",), extent[3])):
            for chunk in range(first, end if ref else first):
                raw = read_slot(store, database, ref, slot + chunk - first)
                check(len(raw) == min(step, size - chunk * step), f"chunk {chunk} is of another length")
                file.seek(chunk * step)
                file.write(raw)
        file.seek(0)
        ids = (digest(raw) for raw in iter(lambda: file.read(step), b""))
        nodes = [digest(b"\1", *group) for group in iter(lambda: [*islice(ids, FAN_OUT)], [])]
        while len(nodes) > 1:
            level += 1
            nodes = [digest(bytes([level]), *nodes[n : n + FAN_OUT]) for n in range(0, len(nodes), FAN_OUT)]
        check(digest(b"\xff", struct.pack("<QI", size, step), *nodes).hex() == entry["root"], "its root is wrong")
def restore(dest, store, *snapshot):
    """Builds everything beside DEST, then renames it. "Directories and paths"."""
    source, entries = read_snapshot(store, *snapshot)
    check_free = lambda: [check(not os.path.lexists(dest + end), f"{os.fsdecode(dest + end)} is in the way", 16)
                          for end in (b"", b"-wal", b"-journal")[: 3 if source == "sqlite" else 1]]
    check_free()
    temporary = tempfile.mkdtemp(prefix=b".restoring-", dir=os.path.dirname(os.path.abspath(dest)))
    root = os.path.join(temporary, b"new")
    place = lambda entry: os.path.join(root, entry["path"]) if source == "directory" else root
    try:
        os.makedirs(root if source == "directory" else temporary, exist_ok=True)
        for entry in sorted(entries, key=lambda entry: entry["kind"] == "symlink"):
            with about(os.fsdecode(entry["path"])):
                os.makedirs(place(entry) if entry["kind"] == "directory" else os.path.dirname(place(entry)), exist_ok=True)
                if entry["kind"] == "symlink":
                    os.symlink(entry["target"], place(entry))
                elif entry["kind"] != "directory":
                    write_file(store, snapshot[0], entry, place(entry))
        for entry in (entry for entry in reversed(entries) if entry["kind"] != "symlink"):
            os.chmod(place(entry), entry["mode"])
            if source == "directory":
                os.utime(place(entry), ns=(entry["mtime_ns"], entry["mtime_ns"]))
        os.sync()
        check_free()
        os.rename(root, dest)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

def main():
    parser = argparse.ArgumentParser(usage="\n".join(__doc__.splitlines()[2:4]))
    parser.add_argument("store")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--line", default="main")
    parser.add_argument("--list", action="store_true")
    asked = parser.parse_intermixed_args()
    check(len(asked.words) in ((0,) if asked.list else (1, 2)), parser.usage, 2)
    check(os.path.isfile(os.path.join(asked.store, "store.json")), f"there is no store in {asked.store}", 10)
    with about("store.json"):
        read_json(read_object(asked.store, "store.json", MAX_STORE_FILE_BYTES), "store")
    if asked.list:
        for snapshot in list_records(asked.store):
            header, snapshot_id, _ = read_record(asked.store, *snapshot)
            print(*snapshot, header["created_at"], header["totals"]["size_bytes"], snapshot_id, sep="\t")
        return
    database, at, number = ["", *asked.words][-2].partition("@")
    check(re.fullmatch("[1-9][0-9]*", number) or not at, f"{number!r} is not a snapshot's number", 2)
    found = [it for it in list_records(asked.store) if it[1] == asked.line and database in ("", it[0])]
    check(len({it[0] for it in found}) < 2, "say which database: " + ", ".join(sorted({it[0] for it in found})), 2)
    found = [it for it in found if number in ("", str(it[2]))]
    check(found, "there is no such snapshot", 15)
    restore(os.fsencode(asked.words[-1]), asked.store, *found[0])
if __name__ == "__main__":
    try:
        main()
    except (Stop, OSError) as error:
        print(f"restore.py: {error.args[0] if isinstance(error, Stop) else error}", file=sys.stderr)
        sys.exit(error.args[1] if isinstance(error, Stop) else 1)
