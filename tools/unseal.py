"""Opens encrypted pagekeep stores for restore.py; written from docs/FORMAT.md, "Encryption". Needs `pynacl` and `blake3`.
What does not open raises ValueError: it is damaged, or was sealed as another object."""
import getpass, hashlib, hmac, os, struct, sys
import blake3
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
# "Constants"
SKIPPABLE, SEALED, SEALED_PACK, KEY_SLOT, KEY_SLOT_LEN, SEAL_LEN, FOOTER_LEN = 0x184D2A50, 64, 65, 66, 336, 40, 92
MAX_MEMORY_KIB, MAX_PASSES, MAX_WORK_KIB = 2**20, 64, 8 * 2**20
# Parts of keys: name, plain, the id's first digits, id.
SEGMENTS = dict(snapshots="NNP", maps="NNPP", refs="NPNP", packs="FI", bundles="P", sessions="P", tombstones="P", locks="P", probes="P")

class WrongPassword(Exception): """No slot opens with it."""
def header(kind): return struct.pack("<II4sBBH", SKIPPABLE, 8, b"pgkp", kind, 1, 0)
def unseal(key, bound_to, sealed):
    try: return decrypt(bytes(sealed[24:]), bytes(bound_to), bytes(sealed[:24]), key)
    except (CryptoError, ValueError): raise ValueError("it does not open with this key") from None
def derive(master, use, length=32):
    """HKDF-SHA-256 without salt, one block. "Keys of an encrypted store"."""
    prk = hmac.digest(bytes(32), master, hashlib.sha256)
    return hmac.digest(prk, b"pagekeep 1 " + use + b"\x01", hashlib.sha256)[:length]
def password():
    """From PAGEKEEP_PASSWORD, PAGEKEEP_PASSWORD_FILE, or a person."""
    if os.environ.get("PAGEKEEP_PASSWORD"): return os.environ["PAGEKEEP_PASSWORD"].encode()
    if os.environ.get("PAGEKEEP_PASSWORD_FILE"):
        with open(os.environ["PAGEKEEP_PASSWORD_FILE"], "rb") as file: text = file.read()
        text = text[:-1] if text.endswith(b"\n") else text
        return text[:-1] if text.endswith(b"\r") else text
    if not sys.stdin.isatty(): raise WrongPassword("set PAGEKEEP_PASSWORD_FILE: the store is encrypted")
    return getpass.getpass("password: ").encode()
def open_slot(slot, secret):
    """The master key in a slot, or None. "Key slots"."""
    kdf, memory_kib, passes, lanes = struct.unpack("<4I", slot[16:32])
    if len(slot) != KEY_SLOT_LEN or slot[:16] != header(KEY_SLOT) or blake3.blake3(slot[:-32]).digest() != slot[-32:]:
        return None
    if (kdf, lanes) != (1, 1) or not (8 <= memory_kib <= MAX_MEMORY_KIB and 1 <= passes <= MAX_PASSES
                                      and memory_kib * passes <= MAX_WORK_KIB): return None
    key = argon2id.kdf(32, secret, slot[32:48], opslimit=passes, memlimit=memory_kib * 1024)
    try: return unseal(key, slot[:48], slot[48:120])
    except ValueError: return None

class Store:
    """The objects of an encrypted store, by their keys in plain."""
    def __init__(self, folder, key_id):
        self.folder, secret = folder, password()
        for name in sorted(os.listdir(os.path.join(folder, "keys"))):
            with open(os.path.join(folder, "keys", name), "rb") as file: slot = file.read(KEY_SLOT_LEN + 1)
            master = open_slot(slot, secret) if len(slot) == KEY_SLOT_LEN else None
            if master and derive(master, b"id", 16).hex() == key_id: break
        else: raise WrongPassword("the password opens no key of this store")
        self.marks, self.names, self.data, self.objects = (derive(master, u) for u in (b"marks", b"names", b"data", b"objects"))
    def mark(self, place, text):
        return blake3.blake3(struct.pack("<I", len(place)) + place + text, key=self.marks).digest()[:16]
    def stream(self, mark, text):
        return bytes(a ^ b for a, b in zip(text, blake3.blake3(mark, key=self.names).digest(length=len(text))))
    def hide(self, key):
        """A key as it lies there. "Names in keys"."""
        folder, *parts = key.split("/")
        place, out = folder, [folder]
        for kind, part in zip(SEGMENTS[folder], parts):
            if kind in "FI": where, text = b"", bytes.fromhex(parts[-1])
            else:
                where, text = place.encode(), unescape(part)
                text += bytes(-len(text) % 32)
            mark = self.mark(where, text)
            hidden = (mark + self.stream(mark, text)).hex()
            out.append(part if kind == "P" else hidden[:2] if kind == "F" else hidden)
            place += "/" + part
        return "/".join(out)
    def records(self):
        """The names in the keys of all snapshot records: database, line, last part."""
        for root, _, files in os.walk(top := os.path.join(self.folder, "snapshots")):
            names = os.path.relpath(root, top).split("/")
            place = "snapshots"
            try:
                for n, hidden in enumerate(names):
                    raw = bytes.fromhex(hidden)
                    text = self.stream(raw[:16], raw[16:])
                    if self.mark(place.encode(), text) != raw[:16]: raise ValueError
                    names[n] = text.rstrip(b"\0").decode()
                    place += "/" + escape(names[n])
            except ValueError: continue
            if len(names) == 2: yield from ((*names, last) for last in files)
    def path(self, key): return os.path.join(self.folder, self.hide(key))
    def read(self, key):
        """An object's bytes in plain. "Sealed objects"."""
        with open(self.path(key), "rb") as file: data = file.read()
        if key.startswith("packs/"): return self.open_pack(data, bytes.fromhex(key[-64:]), 1)
        if data[:16] != header(SEALED): raise ValueError("it is not sealed, or of a newer format")
        return unseal(self.objects, header(SEALED) + key.encode(), data[16:])
    def open_pack(self, data, pack_id, pack_kind):
        """A pack, or a sparse pack in a bundle, in plain. "Sealed packs"."""
        if data[:16] != header(SEALED_PACK): raise ValueError("it is not a sealed pack, or of a newer format")
        part = lambda kind, n, at, end: unseal(self.data, header(SEALED_PACK) + pack_id + struct.pack("<BI", kind, n), data[at:end])
        footer = part(2, 0, footer_at := len(data) - FOOTER_LEN - SEAL_LEN, len(data))
        table_len, raw_len, frame_count = struct.unpack("<3I", footer[4:16])
        table = part(1, 0, table_at := footer_at - table_len - SEAL_LEN, footer_at)
        raw = unzstd(table, raw_len)
        frames = self.open_frames(data[16:table_at], pack_id, raw, frame_count, pack_kind)
        return header(pack_kind) + frames + table + footer
    def open_frames(self, data, pack_id, table, frame_count, pack_kind):
        """The frames of a pack, or of a bare one in a bundle. "Sealed packs"."""
        frames, at = [], 0
        for n, length in enumerate(frame_lens(table, frame_count, pack_kind == 6)):
            bound_to = header(SEALED_PACK) + pack_id + struct.pack("<BI", 0, n)
            frames.append(unseal(self.data, bound_to, data[at:at + length + SEAL_LEN]))
            at += length + SEAL_LEN
        if at != len(data): raise ValueError("its frames do not fill it")
        return b"".join(frames)

def unzstd(table, raw_len):
    import zstandard
    if raw_len > 48 * 2**20: raise ValueError("its table is too large")
    return zstandard.ZstdDecompressor().decompress(table, max_output_size=raw_len, allow_extra_data=False)
def frame_lens(raw, frame_count, is_sparse):
    """The lengths of a pack's frames. "Table", columns 2 and 3; between them lie the gaps of a sparse pack."""
    numbers, at = [], frame_count
    while len(numbers) < (3 if is_sparse else 2) * frame_count:
        value = shift = 0
        while True:
            if at >= len(raw) or shift > 63: raise ValueError("its table is cut")
            value |= (raw[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if raw[at - 1] < 128: break
        numbers.append(value)
    return [32 * slots + payload for slots, payload in zip(numbers[:frame_count], numbers[len(numbers) - frame_count:])]
def escape(name):
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
    return "".join(chr(b) if b in plain else f"!{b:02X}" for b in name.encode())
def unescape(part):
    first, *rest = part.encode().split(b"!")
    return first + b"".join(bytes.fromhex(piece[:2].decode()) + piece[2:] for piece in rest)
