//! The keys of an encrypted store, and what they seal.
//!
//! A random master key stands behind everything; each use has a key of its own, derived from it, so that no bytes sealed
//! for one use open in another. Every nonce is fresh and random; every sealed thing is bound to what it is and to its
//! place, so that nothing can be put in the place of another. Nothing here knows a remote. No secret is ever shown.

mod cipher;
mod names;
mod pack;
mod slots;

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::base::Nonce;
use crate::format::FormatError;
use crate::format::envelope::{HEADER_LEN, ObjectKind, header};
use crate::format::sealed::{NONCE_LEN, SEAL_LEN, object_bound_to, sealed_body};

pub(super) use pack::sealed_limit;
pub use slots::{Password, SlotError, SlotLabel, unwrap, wrap};

/// 32 bytes that must stay secret.
type Key = Zeroizing<[u8; 32]>;

/// The random key behind all others of a store.
#[derive(Clone)]
pub struct MasterKey(Key);

impl MasterKey {
    /// A fresh one from the operating system.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    pub fn fresh() -> Self {
        let mut key = Key::default();
        getrandom::fill(&mut *key).expect("the operating system gives random bytes");
        Self(key)
    }

    /// These bytes, for tests that need the same key each time.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// HKDF-SHA-256 without salt.
    fn derive(&self, info: &str, out: &mut [u8]) {
        let hkdf = Hkdf::<Sha256>::new(None, &*self.0);
        hkdf.expand(info.as_bytes(), out).expect("BUG: HKDF gives up to 8160 bytes");
    }

    fn key(&self, info: &str) -> Key {
        let mut key = Key::default();
        self.derive(info, &mut *key);
        key
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The keys of one master key, each for its use.
pub struct KeyRing {
    master: MasterKey,
    id: Nonce,
    /// Marks of names in keys.
    marks: Key,
    /// What hides names in keys.
    names: Key,
    /// Parts of packs.
    data: Key,
    /// Objects sealed whole.
    objects: Key,
    /// Labels of key slots.
    labels: Key,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("id", &self.id).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// The keys of a master key.
    pub fn of(master: &MasterKey) -> Self {
        let mut id = [0; 16];
        master.derive("pagekeep 1 id", &mut id);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            id: id.parse().expect("BUG: 32 hexadecimal digits"),
            marks: master.key("pagekeep 1 marks"),
            names: master.key("pagekeep 1 names"),
            data: master.key("pagekeep 1 data"),
            objects: master.key("pagekeep 1 objects"),
            labels: master.key("pagekeep 1 labels"),
            master: master.clone(),
        }
    }

    /// The master key's id, which tells it from others and nothing about it.
    pub fn id(&self) -> &Nonce {
        &self.id
    }

    /// Seals an object whole, bound to its key in plain.
    pub fn seal(&self, key: &str, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN + SEAL_LEN + plain.len());
        out.extend_from_slice(&header(ObjectKind::Sealed));
        append(&self.objects, &object_bound_to(key), plain, &mut out);
        out
    }

    /// Opens an object that was sealed whole under this key.
    ///
    /// # Errors
    /// When it is none, was changed, or was sealed as another object.
    pub fn open(&self, key: &str, sealed: &[u8]) -> Result<Vec<u8>, FormatError> {
        let mut body = sealed_body(sealed)?.to_vec();
        let plain = open(&self.objects, &object_bound_to(key), &mut body);
        let len = plain.ok_or(FormatError::NotAuthentic { what: "the sealed object" })?.len();
        body.drain(..NONCE_LEN);
        body.truncate(len);
        Ok(body)
    }
}

/// Appends a nonce, the sealed bytes, and their tag.
fn append(key: &Key, bound_to: &[u8], plain: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + NONCE_LEN, 0);
    out.extend_from_slice(plain);
    out.resize(at + SEAL_LEN + plain.len(), 0);
    seal(key, bound_to, &mut out[at..]);
}

/// Seals bytes where they lie, with space before them for a nonce, and behind them for their tag.
fn seal(key: &Key, bound_to: &[u8], space: &mut [u8]) {
    let (nonce, rest) = space.split_first_chunk_mut().expect("BUG: there is space for a nonce");
    let (body, tag) = rest.split_last_chunk_mut().expect("BUG: there is space for a tag");
    getrandom::fill(nonce).expect("the operating system gives random bytes");
    *tag = cipher::seal(key, nonce, bound_to, body);
}

/// Opens sealed bytes where they lie; `None` when they are not what was sealed.
fn open<'a>(key: &Key, bound_to: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let (nonce, sealed) = sealed.split_first_chunk_mut()?;
    cipher::open(key, nonce, bound_to, sealed)
}
