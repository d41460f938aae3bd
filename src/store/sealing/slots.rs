//! Passwords: what wraps a master key in a slot, and gets it back.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::{Key, KeyRing, MasterKey, append, open};
use crate::format::key_slot::{KeySlot, LABEL_LEN, SALT_LEN, Work};

/// A password: never shown, and erased when it is no longer needed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// These bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Whether it is no password at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As text, when it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why a slot gave no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// The password is another.
    #[error("the password does not open this key slot")]
    WrongPassword,
    /// There is not enough memory to try.
    #[error("a key slot asks for {memory_kib} KiB of memory, which this machine does not give")]
    NoMemory {
        /// What it asks for.
        memory_kib: u32,
    },
}

/// Who made a slot, and when; sealed, so that it can be read with the key alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotLabel(pub String);

impl SlotLabel {
    fn to_bytes(&self) -> Zeroizing<[u8; LABEL_LEN]> {
        let mut out = Zeroizing::new([0; LABEL_LEN]);
        let mut len = self.0.len().min(LABEL_LEN);
        while !self.0.is_char_boundary(len) {
            len -= 1;
        }
        out[..len].copy_from_slice(&self.0.as_bytes()[..len]);
        out
    }
}

fn key_of(password: &Password, work: Work, salt: &[u8; SALT_LEN]) -> Result<Key, SlotError> {
    let params = Params::new(work.memory_kib, work.passes, 1, Some(32)).expect("BUG: bounded when it was read");
    let mut key = Key::default();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let too_much = SlotError::NoMemory { memory_kib: work.memory_kib };
    argon2.hash_password_into(&password.0, salt, &mut *key).map_err(|_| too_much)?;
    Ok(key)
}

/// Wraps a master key under a password.
///
/// # Errors
/// When there is not enough memory for the work.
pub fn wrap(ring: &KeyRing, password: &Password, work: Work, label: &SlotLabel) -> Result<KeySlot, SlotError> {
    let mut salt = [0; SALT_LEN];
    getrandom::fill(&mut salt).expect("the operating system gives random bytes");
    let (mut wrapped, mut sealed_label) = (Vec::new(), Vec::new());
    let key = key_of(password, work, &salt)?;
    append(&key, &KeySlot::work_bytes(work, &salt), &*ring.master.0, &mut wrapped);
    let wrapped = wrapped.try_into().expect("BUG: 72 bytes");
    append(&ring.labels, &KeySlot::before_label(work, &salt, &wrapped), &*label.to_bytes(), &mut sealed_label);
    Ok(KeySlot { work, salt, wrapped, label: sealed_label.try_into().expect("BUG: 184 bytes") })
}

/// Gets the master key out of a slot.
///
/// # Errors
/// When the password is another, or there is not enough memory to try it.
pub fn unwrap(slot: &KeySlot, password: &Password) -> Result<MasterKey, SlotError> {
    let key = key_of(password, slot.work, &slot.salt)?;
    let mut wrapped = Zeroizing::new(slot.wrapped);
    let bound_to = KeySlot::work_bytes(slot.work, &slot.salt);
    let master = open(&key, &bound_to, &mut *wrapped).ok_or(SlotError::WrongPassword)?;
    let mut out = Key::default();
    out.copy_from_slice(master);
    Ok(MasterKey(out))
}

impl KeyRing {
    /// Reads a slot's label; `None` when it was not made with this master key.
    pub fn label(&self, slot: &KeySlot) -> Option<SlotLabel> {
        let mut label = slot.label;
        let bound_to = KeySlot::before_label(slot.work, &slot.salt, &slot.wrapped);
        let plain = open(&self.labels, &bound_to, &mut label)?;
        let end = plain.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        Some(SlotLabel(String::from_utf8_lossy(&plain[..end]).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Work = Work { memory_kib: 8, passes: 1 };

    #[test]
    fn only_the_password_opens_a_slot() {
        let ring = KeyRing::of(&MasterKey::fresh());
        let label = SlotLabel("2026-11-21 shop".into());
        let slot = wrap(&ring, &Password::new(b"open".to_vec()), CHEAP, &label).unwrap();
        let found = KeyRing::of(&unwrap(&slot, &Password::new(b"open".to_vec())).unwrap());
        assert_eq!(found.id(), ring.id());
        assert_eq!(found.label(&slot), Some(label));
        assert_eq!(unwrap(&slot, &Password::new(b"Open".to_vec())).unwrap_err(), SlotError::WrongPassword);
        // Less work than was wrapped with does not open it either, nor does another's label belong to it.
        let less = KeySlot { work: Work { memory_kib: 8, passes: 2 }, ..slot.clone() };
        assert_eq!(unwrap(&less, &Password::new(b"open".to_vec())).unwrap_err(), SlotError::WrongPassword);
        let other = wrap(&ring, &Password::new(b"open".to_vec()), CHEAP, &SlotLabel("x".into())).unwrap();
        assert_eq!(ring.label(&KeySlot { label: other.label, ..slot }), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let ring = KeyRing::of(&MasterKey::from_bytes([0x41; 32]));
        let text = format!("{:?} {:?} {:?}", ring, ring.master, Password::new(b"hush".to_vec()));
        assert!(!text.contains("hush") && !text.contains("65, 65") && !text.contains("4141"), "{text}");
    }
}
