//! What every binary object begins and ends with.
//!
//! The mark lies in a zstd skippable frame, as do all parts that are not text, so that `zstd -dc` of a
//! snapshot record prints its readable header. The digest at the end covers every byte before it and is
//! checked before a field is used. FORMAT.md, "Envelope".

use super::FormatError;
use super::bytes::Cursor;

/// The newest format version this code writes and reads.
pub const FORMAT_VERSION: u8 = 1;

/// First bytes of a zstd skippable frame (RFC 8878, section 3.1.2), little-endian.
pub const SKIPPABLE: u32 = 0x184D_2A50;
const MARK: [u8; 4] = *b"pgkp";

/// Offset of the version in the header.
pub(crate) const VERSION_AT: usize = 13;
/// Bytes of [`header`].
pub const HEADER_LEN: usize = 16;
/// Bytes of the trailer that [`seal`] appends.
pub const TRAILER_LEN: usize = 48;

/// The kinds of binary objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ObjectKind {
    /// A pack of frames.
    Pack = 1,
    /// A snapshot record.
    Snapshot = 2,
    /// A ref's record.
    Ref = 3,
    /// A record of marks.
    Marks = 4,
    /// What holds the place of a record.
    Husk = 5,
    /// A pack of which slots were left out, as part of a bundle.
    SparsePack = 6,
    /// What packs a bundle holds.
    BundleIndex = 7,
    /// A map that prune wrote anew.
    Map = 8,
    /// A writer's session.
    Session = 9,
    /// What a prune is going to remove.
    Tombstone = 10,
    /// The sessions a prune waits for.
    SessionList = 11,
    /// An object of an encrypted store, sealed whole.
    Sealed = 64,
    /// A pack of an encrypted store: its frames, table and footer sealed each.
    SealedPack = 65,
    /// A key of an encrypted store, under a password.
    KeySlot = 66,
}

impl ObjectKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ObjectKind::Pack => "the pack",
            ObjectKind::Snapshot => "the snapshot record",
            ObjectKind::Ref => "the ref's record",
            ObjectKind::Husk => "the husk",
            ObjectKind::SparsePack => "the sparse pack",
            ObjectKind::BundleIndex => "the bundle's index",
            ObjectKind::Map => "the map",
            ObjectKind::Session => "the session",
            ObjectKind::Tombstone => "the tombstone",
            ObjectKind::SessionList => "the list of sessions",
            ObjectKind::Marks => "the record of marks",
            ObjectKind::Sealed => "the sealed object",
            ObjectKind::SealedPack => "the sealed pack",
            ObjectKind::KeySlot => "the key slot",
        }
    }
}

/// The 16 bytes every object begins with.
pub fn header(kind: ObjectKind) -> [u8; HEADER_LEN] {
    let mut out = [0u8; HEADER_LEN];
    out[0..4].copy_from_slice(&SKIPPABLE.to_le_bytes());
    out[4..8].copy_from_slice(&8u32.to_le_bytes());
    out[8..12].copy_from_slice(&MARK);
    out[12] = kind as u8;
    out[13] = FORMAT_VERSION;
    // Bytes 14 and 15: flags. None is defined in version 1.
    out
}

/// Checks the 16 bytes an object begins with.
///
/// # Errors
/// [`FormatError::NotOurs`], [`FormatError::WrongKind`], [`FormatError::TooNew`], or
/// [`FormatError::Unknown`] for a flag this version does not know.
pub fn check_header(bytes: &[u8], kind: ObjectKind) -> Result<(), FormatError> {
    let what = kind.name();
    let mut cursor = Cursor::new(bytes, what);
    let (magic, len, mark) = (cursor.u32()?, cursor.u32()?, cursor.take(4)?);
    if magic != SKIPPABLE || len != 8 || mark != MARK {
        return Err(FormatError::NotOurs { what, found: bytes[..12.min(bytes.len())].to_vec() });
    }
    let (found, version, flags) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    if version == 0 {
        return Err(FormatError::Unknown { what, found: "format version 0".into() });
    }
    if version > FORMAT_VERSION {
        return Err(FormatError::TooNew { what, found: version.into(), supported: FORMAT_VERSION.into() });
    }
    if found != kind as u8 {
        return Err(FormatError::WrongKind { expected: kind as u8, found });
    }
    if flags != 0 {
        return Err(FormatError::Unknown { what, found: format!("flags {flags:#06x}") });
    }
    Ok(())
}

/// Appends a skippable frame that holds `body`.
pub(crate) fn put_skippable(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(&SKIPPABLE.to_le_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
}

/// Reads a skippable frame and returns what it holds.
pub(crate) fn take_skippable<'a>(cursor: &mut Cursor<'a>, what: &'static str) -> Result<&'a [u8], FormatError> {
    let magic = cursor.u32()?;
    if magic != SKIPPABLE {
        return Err(FormatError::NotOurs { what, found: magic.to_le_bytes().to_vec() });
    }
    let len = cursor.u32()? as usize;
    cursor.take(len)
}

/// Appends the trailer: the object's whole length, and the digest of everything before the digest.
pub(crate) fn seal(out: &mut Vec<u8>) {
    out.extend_from_slice(&SKIPPABLE.to_le_bytes());
    out.extend_from_slice(&40u32.to_le_bytes());
    let total = out.len() as u64 + 40;
    out.extend_from_slice(&total.to_le_bytes());
    let digest = blake3::hash(out);
    out.extend_from_slice(digest.as_bytes());
}

/// Checks header and trailer and returns the bytes between them.
pub(crate) fn open_sealed(bytes: &[u8], kind: ObjectKind) -> Result<&[u8], FormatError> {
    let what = kind.name();
    check_header(bytes, kind)?;
    let least = HEADER_LEN + TRAILER_LEN;
    if bytes.len() < least {
        return Err(FormatError::Truncated { what, needed: least as u64, available: bytes.len() as u64 });
    }
    let (before, trailer) = bytes.split_at(bytes.len() - TRAILER_LEN);
    let mut cursor = Cursor::new(trailer, what);
    let (magic, len, total) = (cursor.u32()?, cursor.u32()?, cursor.u64()?);
    let digest = cursor.hash()?;
    let computed = blake3::hash(&bytes[..bytes.len() - 32]);
    if digest != *computed.as_bytes() {
        let found = blake3::Hash::from_bytes(digest).to_hex().to_string();
        return Err(FormatError::Digest { what, found, computed: computed.to_hex().to_string() });
    }
    if magic != SKIPPABLE || len != 40 || total != bytes.len() as u64 {
        return Err(FormatError::Inconsistent { what, detail: format!("its trailer speaks of {total} bytes") });
    }
    Ok(&before[HEADER_LEN..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut out = header(ObjectKind::Snapshot).to_vec();
        out.extend_from_slice(b"body");
        seal(&mut out);
        out
    }

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let good = sample();
        assert_eq!(open_sealed(&good, ObjectKind::Snapshot).unwrap(), b"body");
        assert!(matches!(open_sealed(&good, ObjectKind::Pack), Err(FormatError::WrongKind { expected: 1, found: 2 })));
        for len in 0..good.len() {
            assert!(open_sealed(&good[..len], ObjectKind::Snapshot).is_err(), "cut to {len}");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open_sealed(&bad, ObjectKind::Snapshot).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut newer = sample();
        newer[13] = 9;
        let error = open_sealed(&newer, ObjectKind::Snapshot).unwrap_err();
        assert!(matches!(error, FormatError::TooNew { found: 9, .. }), "{error}");
    }
}
