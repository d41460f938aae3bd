#!/usr/bin/env python3
"""Restores snapshots from a pagekeep store in a folder; written from docs/FORMAT.md, whose sections are in quotes.
    restore.py STORE_FOLDER [DATABASE][@NUMBER] DEST [--line main]
    restore.py STORE_FOLDER --list
Needs Python 3.8, `zstandard` and `blake3`; for encrypted stores unseal.py beside it, which needs `pynacl`, and their
password in PAGEKEEP_PASSWORD_FILE, PAGEKEEP_PASSWORD, or from the terminal. DEST appears when everything is checked. Exit codes: 0 done, 1 other,
2 usage, 10 no store, 12 wrong password, 13 damaged, 15 no such snapshot, 16 something is in the way at DEST, 17 a newer format."""
import bisect, collections, contextlib, functools, glob, json, mmap, os, re, shutil, struct, sys, tempfile
from itertools import accumulate, islice
from urllib.parse import unquote
try: import blake3, zstandard
except ImportError as error: sys.exit(f"restore.py: {error}: pip install blake3 zstandard")
# "Constants"
SKIPPABLE, FORMAT_VERSION, FOOTER_LEN, FAN_OUT, MAX_BASES, MAX_CHAIN = 0x184D2A50, 1, 92, 1024, 4, 64
PACK, RECORD, SPARSE_PACK, BUNDLE_INDEX, MAP, SECTION_MAP, SECTION_PACK, HUSK_BYTES = 1, 2, 6, 7, 8, 1, 2, (24, 80)
MAX_U32, MAX_SLOTS, MAX_STORE_FILE_BYTES, MAX_TEXT_BYTES = 2**32 - 1, 2**20, 2**16, 2**28
MAX_CHUNK_BYTES, MAX_FRAME_RAW_BYTES, MAX_TABLE_BYTES, MAX_HEADER_BYTES = 2**16, 2**20, 48 * 2**20, 2**28
MAX_PACK_BYTES = MAX_MAP_BYTES = MAX_RECORD_BYTES = 2**30

class Stop(Exception): """An end, with a message and an exit code."""
def check(holds, message, code=13):
    if not holds: raise Stop(message, code)
@contextlib.contextmanager
def about(what):  # says in which object something is wrong
    try: yield
    except (Stop, FileNotFoundError, ValueError, RecursionError, zstandard.ZstdError) as error:
        text, code = error.args if isinstance(error, Stop) else (str(error), 13)
        raise Stop(f"{what}: {'it is missing' if isinstance(error, FileNotFoundError) else text}", code) from None
def check_version(found):
    check(0 < found <= FORMAT_VERSION, f"of format {found}, this reads 1 to {FORMAT_VERSION}", 17 if found > 0 else 13)
def digest(*parts): return blake3.blake3(b"".join(parts)).digest()
def unzstd(payload, raw_len, bases=None):
    """The content of one zstd frame, exactly raw_len bytes. "Whole frames", "Deltas"."""
    prefix = bases and zstandard.ZstdCompressionDict(bases, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    payload = b"\x28\xb5\x2f\xfd" + payload if bases else payload
    stated = zstandard.get_frame_parameters(payload).content_size
    check(stated in (raw_len, zstandard.CONTENTSIZE_UNKNOWN), f"zstd: {stated} bytes instead of {raw_len}")
    raw = zstandard.ZstdDecompressor(dict_data=prefix).decompress(payload, raw_len, allow_extra_data=False)
    return check(len(raw) == raw_len, f"zstd: {len(raw)} bytes instead of {raw_len}") or raw
unzstd_kept = functools.lru_cache(64)(unzstd)  # for frames, of at most a MiB each

class Cursor:
    """A place in bytes, which no read goes beyond. "Varints and zigzag"."""
    def __init__(self, data): self.data, self.at = data, 0
    def take(self, count):
        self.at += count
        check(self.at <= len(self.data), f"{self.at - len(self.data)} bytes are missing at its end")
        return self.data[self.at - count : self.at]
    def varint(self, least, most):
        value = shift = 0
        while (byte := self.take(1)[0]) >= 0x80 and shift < 63:
            value, shift = value | (byte & 0x7F) << shift, shift + 7
        value |= byte << shift
        return check(least <= value <= most, f"a number is {value}, not from {least} to {most}") or value
    def zigzag(self): return ((value := self.varint(0, 2 * MAX_U32)) >> 1) ^ -(value & 1)
    def column(self, count, least, most): return [self.varint(least, most) for _ in range(count)]

# "store.json", "JSON header": a pattern, a range, [an array's item], or fields; of those some may be absent, or null.
Maybe = collections.namedtuple("Maybe", "spec null")
TEXT, HASH, NONCE, U32, U64 = "[^\ud800-\udfff]*", "[0-9a-f]{64}", "[0-9a-f]{32}", (0, MAX_U32), (0, 2**64 - 1)
TIME, NONE = r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d{1,9})?Z", Maybe("(?!)", True)
FACTS = "page_size page_count write_version read_version schema_cookie text_encoding user_version application_id"
PATH = lambda value: dict(hex="([0-9a-f]{2})*") if type(value) is dict else TEXT
ANY = dict(number=(1, MAX_U32), path=PATH, kind=TEXT, mode=(0, 0o7777), mtime_ns=(-(2**63), 2**63 - 1))
FILE = dict(ANY, size=Maybe(U64, False), chunk_size=(512, MAX_CHUNK_BYTES), root=HASH, target=NONE)
LINK = dict(ANY, size=Maybe((0, 0), False), chunk_size=Maybe((0, 0), False), root=NONE, sqlite=NONE)
KINDS = dict(sqlite=dict(FILE, sqlite=dict.fromkeys(FACTS.split(), U32)), file=dict(FILE, sqlite=NONE),
             directory=dict(LINK, target=NONE), symlink=dict(LINK, target=PATH))  # in the order of "Tree hash"
ENTRY = lambda value: KINDS.get(str(value.get("kind"))) if type(value) is dict else None
AT, FILES = r"[^@]+@[1-9]\d{0,9}", dict(changed=[ENTRY], removed=Maybe([U32], False))
LABELS = lambda value: dict.fromkeys(value, TEXT) if type(value) is dict else None
STORE = dict(what="pagekeep store", format=U32, store_id=NONCE, created_at=TIME, tool=TEXT,
             encryption=Maybe(dict(cipher="xchacha20-poly1305", key=NONCE), True))
HEADER = dict(format=U32, database=TEXT, lineage=NONCE, line=TEXT, number=(1, MAX_U32), source="sqlite|directory",
              parent=Maybe(HASH, True), created_at=TIME, host=TEXT, tool=TEXT, nonce=NONCE, note=Maybe(TEXT, True),
              ascends_from=Maybe((1, MAX_U32), True),
              labels=Maybe(LABELS, False), chain=Maybe([AT], False), tree=HASH, next_file=U32, files=FILES, totals=dict(
                  files=U64, size_bytes=U64, chunks=U64, changed_chunks=U64, new_chunks=U64, added_bytes=U64))
NEW_MAP = dict(format=U32, database=TEXT, lineage=NONCE, snapshot=AT, id=HASH, chain=Maybe([AT], False), files=FILES)
PART = dict(id=HASH, at=U64, len=(0, MAX_PACK_BYTES), slots=(0, MAX_SLOTS), sparse=Maybe(bool, False),
            table=Maybe("([0-9a-f]{2}){1,4096}", False),
            **{"from": Maybe([dict(database=TEXT, snapshot=AT)], False)})
INDEX = dict(format=U32, len=U64, packs=[PART])
def fit(value, spec, what="it"):
    """Refuses JSON that is not as specified."""
    spec, of = spec(value) if callable(spec) and spec is not bool else spec, type(value)
    if of is type(spec) is list: return [fit(item, spec[0], what) for item in value]
    check(of is spec or (of, type(spec)) in ((dict, dict), (str, str), (int, tuple)) and (
        spec[0] <= value <= spec[1] if of is int else re.fullmatch(spec, value, re.ASCII) if of is str
        else value.keys() <= spec.keys()), f"{what}: out of range, or of an unknown kind or field: {str(value)[:99]}")
    for name, inner in spec.items() if of is dict else ():
        inner, null = inner if type(inner) is Maybe else (inner, None)
        check(name in value or null is not None, f"{what}: there is no {name!r}")
        if name in value and not (null and value[name] is None): fit(value[name], inner, name)
    return value
def read_json(data, spec):
    """JSON text; the format version is looked at before all else."""
    once = lambda pairs: check(len(dict(pairs)) == len(pairs), "a field comes twice") or dict(pairs)
    value = json.loads(str(data, "utf-8"), object_pairs_hook=once)
    check(type(value) is dict and type(value.get("format")) is int, "it has no format version")
    return check_version(value["format"]) or fit(value, spec)

def check_name(name):
    check(re.fullmatch(r"(?![.-])[^/\\@:\0-\x1f\x7f-\x9f]+", name) and len(name.encode()) <= 80, f"{name!r} is no name")
    return name
def record_key(*snapshot):
    """The key of a snapshot: (database, line, number). "Keys"."""
    return "snapshots/{}/{}/{:08x}-{}".format(*map(escape, snapshot[:2]), MAX_U32 - snapshot[2], snapshot[2])
def escape(name):
    return re.sub(rb"[^A-Za-z0-9._-]", lambda m: b"!%02X" % m[0][0], check_name(name).encode()).decode()
def list_records(store):
    """All snapshots, newest first. Keys that are not a record's are passed over, and husks: "Husk"."""
    for snapshot in list_numbers(store):
        if is_there(store, record_key(*snapshot)): yield snapshot
def list_numbers(store):
    for names in sorted(UNSEALED[0].records()) if UNSEALED else ():
        with contextlib.suppress(Stop, ValueError):
            key = record_key(*names[:2], number := int(names[2][9:]))
            if 0 < number <= MAX_U32 and key.split("/")[-1] == names[2]: yield (*names[:2], number)
    for file in sorted(glob.glob(os.path.join(glob.escape(store), "snapshots/*/*/*"))) if not UNSEALED else ():
        with contextlib.suppress(Stop, ValueError):
            database, line, last = (unquote(part.replace("!", "%"), errors="strict") for part in file.split("/")[-3:])
            key = record_key(database, line, number := int(last[9:]))
            if 0 < number <= MAX_U32 and os.path.join(store, key) == file: yield database, line, number
UNSEALED = []  # what opens the objects of an encrypted store
def path_of(store, key): return UNSEALED[0].path(key) if UNSEALED else os.path.join(store, key)
def is_there(store, key):  # a husk is no record; nothing else has its length
    is_husk = lambda: key.startswith("snapshots/") and os.path.getsize(path_of(store, key)) in HUSK_BYTES
    return os.path.isfile(path_of(store, key)) and not is_husk()
def list_folder(store, key):  # the names in a folder whose last parts are not hidden
    return sorted(os.listdir(path_of(store, key))) if os.path.isdir(path_of(store, key)) else []
def read_object(store, key, most):  # an object's bytes, mapped, not loaded, when they are not sealed
    if UNSEALED: return memoryview(UNSEALED[0].read(key))
    with open(os.path.join(store, key), "rb") as file: data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return check(len(data) <= most, f"it has more than {most} bytes") or memoryview(data)
def check_header(data, kind, least):
    """The first 16 bytes of records and packs. "Envelope"."""
    check(data[:12] == struct.pack("<II4s", SKIPPABLE, 8, b"pgkp") and len(data) >= least, "cut, or not ours")
    check_version(data[13])
    check(data[12] == kind and data[14:16] == b"\0\0", f"unknown kind or flags {data[12:16].hex()}")
def read_text(data, kind, most):
    """The JSON text of an object, and what lies in the skippable frame behind it, if one does. "Texts"."""
    check_header(data, kind, 64)
    trailer = struct.pack("<IIQ", SKIPPABLE, 40, len(data)) + digest(data[:-32])
    check(data[-48:] == trailer, "its trailer or digest is wrong")
    magic, eight, stored, raw_len = struct.unpack("<4I", (cursor := Cursor(data[16:-48])).take(16))
    check((magic, eight) == (SKIPPABLE, 8) and raw_len <= most, "its JSON text's length is wrong")
    text = unzstd(cursor.take(stored), raw_len)
    if kind == BUNDLE_INDEX: return check(cursor.at == len(cursor.data), "bytes are left over") or (text, b"")
    check(struct.unpack("<II", cursor.take(8)) == (SKIPPABLE, len(cursor.data) - cursor.at), "its second part's length")
    return text, cursor.data[cursor.at :]
def read_chain(header):  # line and number of what it builds on
    own, name = header.get("snapshot") or f"{header['line']}@{header['number']}", lambda it: it.rpartition("@")[::2]
    chain = header["chain"] = [(line, int(number)) for line, number in map(name, header.get("chain", ()))]
    bounds = (n < (int(name(own)[1]) if check_name(line) == name(own)[0] else 2**32) for line, n in chain)
    check(len(chain) <= MAX_CHAIN and all(bounds), "its chain is too long, or goes on to itself or a later one")
def read_record(store, *snapshot):
    """A record's JSON header, its snapshot's id, and its sections by kind. "Snapshot record"."""
    with about(record_key(*snapshot)):
        text, body = read_text(read_object(store, record_key(*snapshot), MAX_RECORD_BYTES), RECORD, MAX_HEADER_BYTES)
        header, cursor, sections = read_json(text, HEADER), Cursor(body), {}
        while cursor.at < len(cursor.data):
            kind, length = struct.unpack("<BI", cursor.take(5))
            check(kind in (SECTION_MAP, SECTION_PACK) and kind not in sections, f"unknown or second section {kind}")
            sections[kind] = cursor.take(length)
        check(SECTION_MAP in sections, "it has no map")
        check((header["database"], header["line"], header["number"]) == snapshot, "it is another snapshot's record")
        read_chain(header)
        return header, digest(text).hex(), sections
def read_new_map(store, writing, database, line, number):
    """A map that was written anew: key, header, map. "Map written anew"."""
    key = f"maps/{escape(database)}/{escape(line)}/{number}/{writing}"
    with about(key):
        text, body = read_text(read_object(store, key, MAX_RECORD_BYTES), MAP, MAX_TEXT_BYTES)
        header = read_json(text, NEW_MAP)
        check((header["database"], header["snapshot"]) == (database, f"{line}@{number}"), "it is another snapshot's map")
        return read_chain(header) or (key, header, body)
def read_parts(store, snapshot, own):
    """What a snapshot's list of files and map are laid together from, the oldest first: key, header, map."""
    database, chain = snapshot[0], own[0]["chain"]
    if all(is_there(store, record_key(database, *link)) for link in chain):
        records = [(link, *read_record(store, database, *link)) for link in chain[::-1]] + [(snapshot[1:], *own)]
        return [(record_key(database, *link), header, sections[SECTION_MAP]) for link, header, _, sections in records]
    folder = f"maps/{escape(database)}/{escape(snapshot[1])}/{snapshot[2]}"
    for writing in list_folder(store, folder):
        last = read_new_map(store, writing, *snapshot)
        with about(last[0]): check(last[1]["id"] == own[1], "it is that of another snapshot")
        key = lambda link: f"maps/{escape(database)}/{escape(link[0])}/{link[1]}/{writing}"
        if all(is_there(store, key(link)) for link in last[1]["chain"]):
            return [read_new_map(store, writing, database, *link) for link in last[1]["chain"][::-1]] + [last]
    raise Stop("records it builds on are missing, and its map was not written anew")

def read_refs(cursor):
    """Packs: the id, and 0 or the line and number of the record it lies in. "List of packs"."""
    line = lambda: check_name(str(cursor.take(cursor.varint(1, 80)), "utf-8"))
    return [(bytes(cursor.take(32)), (number := cursor.varint(0, MAX_U32)) and (line(), number))
            for _ in range(cursor.varint(0, len(cursor.data) // 33))]
@functools.lru_cache(1)
def read_bundles(store):
    """By pack the places where it lies in bundles: kind, slots, key, offset, length, table of a bare one. "Bundle"."""
    places, end = collections.defaultdict(list), 0
    for name in (name for name in list_folder(store, "bundles") if name.endswith(".idx")):
        with about(f"bundles/{name}"):
            index = read_json(read_text(read_object(store, f"bundles/{name}", MAX_TEXT_BYTES), BUNDLE_INDEX, MAX_TEXT_BYTES)[0], INDEX)
            ends = list(accumulate(part["len"] for part in index["packs"]))
            check([part["at"] for part in index["packs"]] == [0, *ends][:len(ends)] and [0, *ends][-1] == index["len"],
                  "its packs do not fill the bundle")
            for part in index["packs"]:
                kind = SPARSE_PACK if part.get("sparse") else PACK
                place = kind, -part["slots"], f"bundles/{name[:-4]}", part["at"], part["len"], part.get("table", "")
                places[bytes.fromhex(part["id"])].append(place)
    return {pack: sorted(found) for pack, found in places.items()}
def open_part(store, kind, slots, key, at, length, table, pack_id):
    """A pack in a bundle; of a bare one only the frames are there. "Bundle"."""
    with about(key):
        with open(path_of(store, key), "rb") as file: data = os.pread(file.fileno(), length, at)
        check(len(data) == length, "it is cut")
        if UNSEALED and not table: data = UNSEALED[0].open_pack(data, pack_id, kind)
    if not table: return open_pack(key, memoryview(data), kind, pack_id)
    with about(f"pack {pack_id.hex()} in {key}"):
        frame_count, content = (cursor := Cursor(bytes.fromhex(table))).varint(0, -slots), cursor.data[cursor.at :]
        if UNSEALED: data = UNSEALED[0].open_frames(data, pack_id, content, frame_count, kind)
        return read_table(Cursor(content), frame_count, -slots, memoryview(bytes(16) + data), kind, pack_id)
@functools.lru_cache(8)
def find_pack(store, database, pack_id, home):
    """The places of a pack that are read: its home, else bundles, else `packs/`. "Where a pack lies"."""
    key = f"packs/{pack_id.hex()[:2]}/{pack_id.hex()}"
    if home and is_there(store, record_key(database, *home)):
        if data := read_record(store, database, *home)[2].get(SECTION_PACK): return [open_pack(key, data, PACK, pack_id)]
    if not home and is_there(store, key): return [open_pack(key, read_object(store, key, MAX_PACK_BYTES), PACK, pack_id)]
    parts = read_bundles(store).get(pack_id, ())
    found = [open_part(store, *part, pack_id) for part in parts]
    return found or [open_pack(key, read_object(store, key, MAX_PACK_BYTES), PACK, pack_id)]
def open_pack(key, data, kind, pack_id):
    """A pack's slots by number, and its frames. "Pack", "Sparse pack"."""
    with about(f"pack {pack_id.hex()} in {key}"):
        check_header(data, kind, 16 + FOOTER_LEN)
        version, zeros, table_len, raw_len, frame_count, slot_count, total = struct.unpack("<B3s4IQ", data[-92:-64])
        check(version == data[13] and zeros == bytes(3) and total == len(data) and table_len <= total - 16 - FOOTER_LEN
              and raw_len <= MAX_TABLE_BYTES and frame_count <= slot_count <= MAX_SLOTS, "its footer is wrong")
        check(data[-64:-32] == pack_id, "it is another pack")
        check(digest(data[:16], data[-92 - table_len : -32]) == data[-32:], "its digest is wrong")
        content = Cursor(unzstd(data[-92 - table_len : -92], raw_len))
        return read_table(content, frame_count, slot_count, data[: total - FOOTER_LEN - table_len], kind, pack_id)
def read_table(table, frame_count, slot_count, data, kind, pack_id):
    """Slots and frames of a pack, of which `data` is all before the table. "Table"."""
    kinds, counts = table.take(frame_count), table.column(frame_count, 1, slot_count)
    check(set(kinds) <= {0, 1} and sum(counts) == slot_count, "frames of unknown kinds, or not of all slots")
    gaps = table.column(frame_count, 0, MAX_SLOTS) if kind == SPARSE_PACK else [0] * frame_count
    check(sum(counts) + sum(gaps) <= MAX_SLOTS, "a slot's number is out of range")
    payloads, hashes = table.column(frame_count, 0, MAX_U32), Cursor(table.take(16 * frame_count))
    lens, deltas = iter(table.column(slot_count, 1, MAX_CHUNK_BYTES)), sum(map(int.__mul__, counts, kinds))
    delta_lens, bases_at, refs = iter(table.column(deltas, 0, MAX_U32)), table.at, read_refs(table)
    base_counts = table.column(deltas, 1, MAX_BASES)
    base_refs = [refs[pack] for pack in table.column(sum(base_counts), 0, len(refs) - 1)]
    base_slots = list(accumulate(table.zigzag() for _ in base_refs))
    check(table.at == len(table.data) and all(0 <= slot < MAX_SLOTS for slot in base_slots), "its table's end or bases")
    base_counts, bases, claim, at, slot, slots, frames = iter(base_counts), zip(base_refs, base_slots), [], 16, 0, {}, []
    for of, count, gap, payload in zip(kinds, counts, gaps, payloads):
        ids, end, inner, slot = data[at : at + 32 * count], at + 32 * count + payload, 0, slot + gap
        check(digest(ids)[:16] == hashes.take(16) and end - at <= MAX_U32, f"frame {len(frames)}: its ids")
        for n, raw_len in zip(range(0, len(ids), 32), islice(lens, count)):
            stored, own = (next(delta_lens), [*islice(bases, next(base_counts))]) if of else (raw_len, ())
            slots[slot] = len(frames), bytes(ids[n : n + 32]), inner, stored, raw_len, own
            claim += bytes([of]), slots[slot][1]
            inner, slot = inner + stored, slot + 1
        check(inner == payload if of else inner <= MAX_FRAME_RAW_BYTES, f"frame {len(frames)}: its length")
        frames.append((data[at + 32 * count : end], inner))
        at = end
    claim.append(table.data[bases_at:] if deltas else b"")
    is_right = kind == SPARSE_PACK or digest(*claim) == pack_id  # what was left out is part of the id
    check(at == len(data) and is_right, "its frames' end or its id")
    return slots, frames
def read_slot(store, database, ref, slot, is_base=False):  # a slot's chunk: "Whole frames", "Deltas"
    places = find_pack(store, database, *ref)
    with about(f"pack {ref[0].hex()}, slot {slot}"):
        slots, frames = next((place for place in places if slot in place[0]), ({}, []))
        check(slot in slots, "there is no such slot")
        frame, chunk_id, at, stored, raw_len, bases = slots[slot]
        check(not (bases and is_base), "it is a base and itself a delta")
        prefix, part = b"".join(read_slot(store, database, *base, True) for base in bases), slice(at, at + stored)
        raw = unzstd(frames[frame][0][part], raw_len, prefix) if bases else unzstd_kept(*frames[frame])[part]
        return check(digest(raw) == chunk_id, "its content does not have its id") or raw

def read_map(body):
    """By file its extents: first chunk, end, pack (None: zeros), first slot. "Map"."""
    raw_len, expected, number, files = int.from_bytes(body[:4], "little"), 0, 0, {}
    check(raw_len <= MAX_MAP_BYTES, "its map is too large")
    refs = [None, *read_refs(cursor := Cursor(unzstd(body[4:], raw_len)))]
    heads = [(cursor.varint(1, MAX_U32), cursor.varint(0, raw_len)) for _ in range(cursor.varint(0, raw_len))]
    ranges = (0, MAX_U32), (1, MAX_U32), (0, len(refs) - 1)
    columns = zip(*[cursor.column(sum(count for _, count in heads), *limits) for limits in ranges])
    for step, count in heads:
        number, end, extents = number + step, 0, files.setdefault(number + step, [])
        for gap, length, place in islice(columns, count):
            first, end = end + gap, end + gap + length
            slot = expected + cursor.zigzag() if place else 0
            check(end <= MAX_U32 and (not place or 0 <= slot <= MAX_SLOTS - length), "an extent is out of range")
            expected = slot + length if place else expected
            extents.append((first, end, refs[place], slot))
    check(number <= MAX_U32 and cursor.at == raw_len, "its map's end, or a file's number, is wrong")
    return files
def cover(layers, chunks):
    """A file's extents without gaps, each from the last layer that speaks of it."""
    cuts = sorted({0, chunks, *(cut for layer in layers for it in layer for cut in it[:2] if cut < chunks)})
    for at, end in zip(cuts, cuts[1:]):
        near = (layer[max(n - 1, 0) : n] for layer in layers for n in [bisect.bisect(layer, (at + 1,))])
        found = [extents[0] for extents in near if extents and at < extents[0][1]]
        check(found, f"no map speaks of chunk {at}")
        yield at, end, found[-1][2], found[-1][3] + at - found[-1][0]
def read_snapshot(store, *snapshot):
    """The source, and the entries in order of paths, each with its `extents`. "How a snapshot is read"."""
    own, entries, layers, tree = read_record(store, *snapshot), {}, {}, []
    for key, header, body in read_parts(store, snapshot, own):
        with about(key):
            check(header["lineage"] == own[0]["lineage"], "it is of another lineage")
            for gone in header["files"].get("removed", ()): entries.pop(gone, None), layers.pop(gone, None)
            entries.update((entry["number"], entry) for entry in header["files"]["changed"])
            for number, new in read_map(body).items(): layers.setdefault(number, []).append(new)
    with about(record_key(*snapshot)):
        to_bytes = lambda path: bytes.fromhex(path["hex"]) if type(path) is dict else (path or "").encode()
        for number, entry in sorted(entries.items()):
            entry.update(path=to_bytes(entry["path"]), target=to_bytes(entry.get("target")), size=entry.get("size", 0))
            tree += struct.pack("<IB", number, 1 + list(KINDS).index(entry["kind"])), *(
                struct.pack("<I", len(path)) + path for path in (entry["path"], entry["target"]))
            tree += struct.pack("<Iq", entry["mode"], entry["mtime_ns"]), bytes.fromhex(entry.get("root") or "00" * 32)
            chunks = -(-entry["size"] // entry["chunk_size"]) if entry.get("root") else 0
            check(chunks <= MAX_U32, f"file {number} has too many chunks")
            entry["extents"] = [*cover(layers.get(number, []), chunks)]
        check(digest(*tree).hex() == own[0]["tree"], "its tree hash is wrong")
        kinds = {entry["path"]: entry["kind"] for entry in entries.values()}
        for path, parts in ((path, path.split(b"/")) for path in kinds):
            above = {kinds.get(b"/".join(parts[:n]), "directory") for n in range(1, len(parts))}
            check(not {b"", b".", b".."} & {*parts} and b"\0" not in path and above <= {"directory"}, f"path {path!r}")
        one = own[0]["source"] == "directory" or [*kinds.values()] == ["sqlite"]
        check(one and len(kinds) == len(entries), "two files have one path, or it is not one SQLite file")
    return own[0]["source"], sorted(entries.values(), key=lambda entry: entry["path"])

def write_file(store, database, entry, path):
    """Writes a file pack by pack, then reads it back for its root. "Root"."""
    size, step = entry["size"], entry["chunk_size"]
    with open(path, "xb+") as file:
        file.truncate(size)
        for first, end, ref, slot in sorted(entry["extents"], key=lambda extent: ((extent[2] or [b""])[0], extent[3])):
            for chunk in range(first, end if ref else first):
                raw = read_slot(store, database, ref, slot + chunk - first)
                check(len(raw) == min(step, size - chunk * step), f"chunk {chunk} is of another length")
                os.pwrite(file.fileno(), raw, chunk * step)
        ids = (digest(raw) for raw in iter(lambda: file.read(step), b""))
        nodes = [digest(b"\1", *group) for group in iter(lambda: [*islice(ids, FAN_OUT)], [])]
        for level in b"\2", b"\3", b"\4":  # enough for 2^32 chunks
            if nodes[1:]: nodes = [digest(level, *nodes[n : n + FAN_OUT]) for n in range(0, len(nodes), FAN_OUT)]
        check(digest(b"\xff", struct.pack("<QI", size, step), *nodes).hex() == entry["root"], "its root is wrong")
def restore(dest, store, *snapshot):
    """Builds everything beside DEST, then renames it. "Directories and paths"."""
    source, entries = read_snapshot(store, *snapshot)
    free = lambda way: check(not os.path.lexists(way), f"{os.fsdecode(way)} is in the way", 16)
    for suffix in (b"",) if source == "directory" else (b"", b"-wal", b"-journal"): free(dest + suffix)
    beside = os.path.dirname(os.path.abspath(dest))
    root = os.path.join(temporary := tempfile.mkdtemp(prefix=b".restoring-", dir=beside), b"new")
    place = lambda entry: os.path.join(root, entry["path"]) if source == "directory" else root
    folder = lambda entry: place(entry) if entry["kind"] == "directory" else os.path.dirname(place(entry))
    try:
        if source == "directory": os.mkdir(root)
        for entry in sorted(entries, key=lambda entry: entry["kind"] == "symlink"):
            with about(os.fsdecode(entry["path"])):
                os.makedirs(folder(entry), exist_ok=True)
                if entry["kind"] == "symlink": os.symlink(entry["target"], place(entry))
                elif entry["kind"] != "directory": write_file(store, snapshot[0], entry, place(entry))
        for entry in (entry for entry in reversed(entries) if entry["kind"] != "symlink"):
            os.chmod(place(entry), entry["mode"])
            if source == "directory": os.utime(place(entry), ns=(entry["mtime_ns"], entry["mtime_ns"]))
        os.sync()
        os.rename(root, free(dest) or dest)
    finally: shutil.rmtree(temporary, ignore_errors=True)

def main(words):
    line = words.pop(words.index("--line") + 1) if "--line" in words[:-1] else "main"
    store, *words = [word for word in words if word != "--line"] or [""]
    check(len(words) in (1, 2) and not (words[0][:1] == "-" and words != ["--list"]), __doc__, 2)
    check(os.path.isfile(os.path.join(store, "store.json")), f"there is no store in {store}", 10)
    with about("store.json"): how = read_json(read_object(store, "store.json", MAX_STORE_FILE_BYTES), STORE)
    if how.get("encryption"):
        try: import unseal
        except ImportError as error: raise Stop(f"an encrypted store; {error}: pip install pynacl, with unseal.py beside this file", 1) from None
        try: UNSEALED.append(unseal.Store(store, how["encryption"]["key"]))
        except unseal.WrongPassword as error: raise Stop(str(error), 12) from None
    for snapshot in list_records(store) if words == ["--list"] else ():
        header, snapshot_id, _ = read_record(store, *snapshot)
        print(*snapshot, header["created_at"], header["totals"]["size_bytes"], snapshot_id, sep="\t")
    if words == ["--list"]: return
    database, at, number = ["", *words][-2].partition("@")
    check(re.fullmatch("[1-9][0-9]*", number) or not at, f"{number!r} is not a snapshot's number", 2)
    found = [s for s in list_records(store) if line == s[1] and database in ("", s[0]) and number in ("", str(s[2]))]
    check(found, "there is no such snapshot", 15)
    check(len({s[0] for s in found}) == 1, "say which database: " + ", ".join(sorted({s[0] for s in found})), 2)
    restore(os.fsencode(words[-1]), store, *found[0])
try: main(sys.argv[1:])
except (Stop, OSError) as error:
    print(f"restore.py: {error.args[0] if isinstance(error, Stop) else error}", file=sys.stderr)
    sys.exit(error.args[1] if isinstance(error, Stop) else 1)
