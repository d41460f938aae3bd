//! Small objects that are one JSON text: sessions, tombstones, indexes of bundles. FORMAT.md, "Texts".
//!
//! ```text
//! header 16 | lengths | zstd frame of the JSON text | trailer 48
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::FormatError;
use super::bytes::Cursor;
use super::codec;
use super::envelope::{self, FORMAT_VERSION, ObjectKind};

/// Largest text, decompressed: a tombstone that names a million objects.
pub const MAX_TEXT_BYTES: u32 = 256 << 20;

/// The stored form of a text.
pub(super) fn encode(kind: ObjectKind, text: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(text).expect("BUG: what is stored is expressible in JSON");
    let mut out = envelope::header(kind).to_vec();
    put_json(&mut out, &json);
    envelope::seal(&mut out);
    out
}

/// Appends the lengths and the frame of a text.
pub(super) fn put_json(out: &mut Vec<u8>, json: &[u8]) {
    let stored = codec::compress_text(json);
    let lengths = [(stored.len() as u32).to_le_bytes(), (json.len() as u32).to_le_bytes()].concat();
    envelope::put_skippable(out, &lengths);
    out.extend_from_slice(&stored);
}

/// Decodes a text.
///
/// # Errors
/// For damage, a newer format, or fields that are not known.
pub(super) fn decode<T: DeserializeOwned>(kind: ObjectKind, bytes: &[u8]) -> Result<T, FormatError> {
    let what = kind.name();
    let mut cursor = Cursor::new(envelope::open_sealed(bytes, kind)?, what);
    let json = take_json(&mut cursor, what)?;
    cursor.finish()?;
    parse(what, &json)
}

/// Reads what [`put_json`] wrote.
pub(super) fn take_json(cursor: &mut Cursor<'_>, what: &'static str) -> Result<Vec<u8>, FormatError> {
    let mut lengths = Cursor::new(envelope::take_skippable(cursor, what)?, what);
    let (stored, len) = (lengths.u32()?, lengths.u32()?);
    lengths.finish()?;
    FormatError::bound("the length of a text", len.into(), MAX_TEXT_BYTES.into())?;
    codec::decompress(cursor.take(stored as usize)?, len as usize)
}

/// Parses a text, its version first.
pub(super) fn parse<T: DeserializeOwned>(what: &'static str, json: &[u8]) -> Result<T, FormatError> {
    #[derive(serde::Deserialize)]
    struct Version {
        format: u32,
    }
    let wrong = |source| FormatError::Json { what, source };
    let supported = FORMAT_VERSION.into();
    let Version { format } = serde_json::from_slice(json).map_err(wrong)?;
    if format == 0 || format > supported {
        return Err(FormatError::TooNew { what, found: format, supported });
    }
    serde_json::from_slice(json).map_err(wrong)
}
