//! Percent escapes, strictly: every byte sequence has one encoded form, and decoding it gives it back.

use super::error::UrlError;

/// Bytes that stand for themselves in a path: unreserved characters of RFC 3986, section 2.3, the
/// separator, and a few that are legal in a path and common in names.
const PATH: &[u8] = b"-._~/=+,:@";
/// Bytes that stand for themselves in a parameter's value, RFC 3986, section 3.4, without `&` and `+`.
const VALUE: &[u8] = b"-._~/:[]";

/// Decodes `%XX`; everything else stands for itself (a `+` is a `+`).
pub(super) fn decode(text: &str, place: &'static str) -> Result<Vec<u8>, UrlError> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(digit), bytes.next().and_then(digit)) else {
            return Err(UrlError::BadEscape { place });
        };
        decoded.push(high * 16 + low);
    }
    Ok(decoded)
}

/// Decodes text for a cloud store, where names are UTF-8 without control characters.
pub(super) fn decode_text(text: &str, place: &'static str) -> Result<String, UrlError> {
    let decoded = String::from_utf8(decode(text, place)?).map_err(|_| UrlError::NotUtf8 { place })?;
    if decoded.chars().any(char::is_control) {
        return Err(UrlError::ControlCharacter { place });
    }
    Ok(decoded)
}

/// Encodes the bytes of a path.
pub(super) fn encode_path(bytes: &[u8]) -> String {
    encode(bytes, PATH)
}

/// Encodes a parameter's value.
pub(super) fn encode_value(value: &str) -> String {
    encode(value.as_bytes(), VALUE)
}

fn digit(byte: u8) -> Option<u8> {
    // A hexadecimal digit is below 16, so it fits.
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn encode(bytes: &[u8], literal: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || literal.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
