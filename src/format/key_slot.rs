//! A key slot: the master key of an encrypted store under one password. FORMAT.md, "Key slots".
//!
//! A slot's name is the beginning of its digest, so that a damaged one is told from a wrong password. What is said of the
//! password's work is bounded before it is done, and bound to the wrapped key, so that nobody can make it less.

use super::FormatError;
use super::bytes::Cursor;
use super::envelope::{HEADER_LEN, ObjectKind, check_header, header};
use super::sealed::SEAL_LEN;
use crate::base::Nonce;

const WHAT: &str = "the key slot";
/// The only derivation of keys from passwords: Argon2id, version 0x13.
const ARGON2ID: u8 = 1;

/// Bytes of a key slot.
pub const KEY_SLOT_LEN: usize = 336;
/// Bytes of the salt.
pub const SALT_LEN: usize = 16;
/// Bytes of what the wrapped key is bound to: header, work and salt.
pub const WORK_LEN: usize = HEADER_LEN + 16 + SALT_LEN;
/// Bytes of what the label is bound to: all before it.
const LABEL_AT: usize = WORK_LEN + WRAPPED_LEN;
/// Bytes of a master key, sealed.
pub const WRAPPED_LEN: usize = 32 + SEAL_LEN;
/// Bytes of a slot's label.
pub const LABEL_LEN: usize = 144;
/// Bytes of a label, sealed.
pub const SEALED_LABEL_LEN: usize = LABEL_LEN + SEAL_LEN;
const DIGEST_AT: usize = LABEL_AT + SEALED_LABEL_LEN;
/// Most memory that a slot may ask for, in KiB: a machine of 2 GiB can still open it.
pub const MAX_MEMORY_KIB: u32 = 1 << 20;
/// Least memory of Argon2 with one lane, in KiB.
pub const MIN_MEMORY_KIB: u32 = 8;
/// Most passes over the memory.
pub const MAX_PASSES: u32 = 64;
/// Most KiB that all passes may touch together: 8 GiB, some ten seconds.
pub const MAX_WORK_KIB: u64 = 8 << 20;

/// What it costs to try a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Work {
    /// RFC 9106's second recommendation, in one lane: 64 MiB, three passes; about 0.2 s.
    pub const USUAL: Work = Work { memory_kib: 64 << 10, passes: 3 };
}

/// A key slot, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySlot {
    /// What it costs to try a password.
    pub work: Work,
    /// Tells equal passwords apart.
    pub salt: [u8; SALT_LEN],
    /// The master key, sealed with the key that the password gives.
    pub wrapped: [u8; WRAPPED_LEN],
    /// Who made the slot and when, sealed with the master key.
    pub label: [u8; SEALED_LABEL_LEN],
}

impl KeySlot {
    /// What the wrapped key is bound to.
    pub fn work_bytes(work: Work, salt: &[u8; SALT_LEN]) -> [u8; WORK_LEN] {
        let mut out = [0; WORK_LEN];
        out[..HEADER_LEN].copy_from_slice(&header(ObjectKind::KeySlot));
        out[16] = ARGON2ID;
        out[20..24].copy_from_slice(&work.memory_kib.to_le_bytes());
        out[24..28].copy_from_slice(&work.passes.to_le_bytes());
        out[28..32].copy_from_slice(&1u32.to_le_bytes());
        out[32..].copy_from_slice(salt);
        out
    }

    /// What the label is bound to: all that lies before it.
    pub fn before_label(work: Work, salt: &[u8; SALT_LEN], wrapped: &[u8; WRAPPED_LEN]) -> Vec<u8> {
        [&Self::work_bytes(work, salt)[..], wrapped].concat()
    }

    /// The stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Self::before_label(self.work, &self.salt, &self.wrapped);
        out.extend_from_slice(&self.label);
        let digest = blake3::hash(&out);
        out.extend_from_slice(digest.as_bytes());
        out
    }

    /// The name of the slot with these bytes: the first 16 bytes of its digest.
    pub fn id_of(bytes: &[u8]) -> Option<Nonce> {
        let hex: String = bytes.get(DIGEST_AT..DIGEST_AT + 16)?.iter().map(|byte| format!("{byte:02x}")).collect();
        hex.parse().ok()
    }

    /// Reads a slot.
    ///
    /// # Errors
    /// When its digest is not that of its bytes, or it asks for more than makes sense.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        check_header(bytes, ObjectKind::KeySlot)?;
        if bytes.len() != KEY_SLOT_LEN {
            let (needed, available) = (KEY_SLOT_LEN as u64, bytes.len() as u64);
            return Err(FormatError::Truncated { what: WHAT, needed, available });
        }
        let (body, digest) = bytes.split_at(DIGEST_AT);
        let computed = blake3::hash(body);
        if digest != computed.as_bytes() {
            let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(FormatError::Digest { what: WHAT, found, computed: computed.to_hex().to_string() });
        }
        let mut cursor = Cursor::new(&body[HEADER_LEN..], WHAT);
        let (derivation, reserved) = (cursor.u8()?, cursor.take(3)?);
        if derivation != ARGON2ID || reserved != [0; 3] {
            let found = format!("key derivation {derivation}, {reserved:02x?}");
            return Err(FormatError::Unknown { what: WHAT, found });
        }
        let (memory_kib, passes, lanes) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        FormatError::bound("a key slot's memory in KiB", memory_kib.into(), MAX_MEMORY_KIB.into())?;
        FormatError::bound("a key slot's passes", passes.into(), MAX_PASSES.into())?;
        FormatError::bound("a key slot's work in KiB", u64::from(memory_kib) * u64::from(passes), MAX_WORK_KIB)?;
        if memory_kib < MIN_MEMORY_KIB || passes == 0 || lanes != 1 {
            let detail = format!("{memory_kib} KiB, {passes} passes, {lanes} lanes");
            return Err(FormatError::Inconsistent { what: WHAT, detail });
        }
        let mut take = |len| cursor.take(len);
        let salt = take(SALT_LEN)?.try_into().expect("BUG: 16 bytes");
        let wrapped = take(WRAPPED_LEN)?.try_into().expect("BUG: 72 bytes");
        let label = take(SEALED_LABEL_LEN)?.try_into().expect("BUG: 184 bytes");
        cursor.finish()?;
        Ok(Self { work: Work { memory_kib, passes }, salt, wrapped, label })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(work: Work) -> KeySlot {
        KeySlot { work, salt: [1; 16], wrapped: [2; WRAPPED_LEN], label: [3; SEALED_LABEL_LEN] }
    }

    #[test]
    fn round_trips_and_refuses_every_other_bit() {
        let good = slot(Work::USUAL);
        let bytes = good.encode();
        assert_eq!(bytes.len(), KEY_SLOT_LEN);
        assert_eq!(KeySlot::decode(&bytes).unwrap(), good);
        for len in 0..bytes.len() {
            assert!(KeySlot::decode(&bytes[..len]).is_err(), "cut to {len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(KeySlot::decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn work_that_makes_no_sense_is_refused_before_it_is_done() {
        for (memory_kib, passes) in
            [(7, 1), (MAX_MEMORY_KIB + 1, 1), (8, 0), (8, 65), (MAX_MEMORY_KIB, 9), (u32::MAX, 1)]
        {
            assert!(KeySlot::decode(&slot(Work { memory_kib, passes }).encode()).is_err(), "{memory_kib} {passes}");
        }
        assert!(KeySlot::decode(&slot(Work { memory_kib: MAX_MEMORY_KIB, passes: 8 }).encode()).is_ok());
    }
}
