//! Content hashes: 32 bytes of BLAKE3, one type per thing that is hashed.
//!
//! The types differ so that the compiler refuses a pack id where a chunk id is meant.
//! Text form is 64 lower-case hexadecimal digits, in files, keys and on the command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} is 64 hexadecimal digits, found {found:?}")]
pub struct ParseIdError {
    what: &'static str,
    found: String,
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Its 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<blake3::Hash> for $name {
            fn from(hash: blake3::Hash) -> Self {
                Self(*hash.as_bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                blake3::Hash::from_hex(text)
                    .map(Self::from)
                    .map_err(|_| ParseIdError { what: $what, found: text.chars().take(80).collect() })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

hash_type!(
    /// The identity of a chunk: BLAKE3 of its bytes.
    ChunkId,
    "a chunk id"
);
hash_type!(
    /// The identity of a pack: BLAKE3 of, for each slot in order, a byte (0 whole, 1 delta) and the chunk's id, and then of
    /// what its table says of the deltas' bases. It names the content, not its compression. Whatever is stored whole can
    /// serve as a base wherever a pack of this name lies, and two histories share a delta only with its bases.
    PackId,
    "a pack id"
);
hash_type!(
    /// The identity of a snapshot: BLAKE3 of its record's header text.
    SnapshotId,
    "a snapshot id"
);
hash_type!(
    /// The identity of a ref's record: BLAKE3 of its text.
    RefId,
    "a ref's id"
);
hash_type!(
    /// The identity of a record of marks: BLAKE3 of its text.
    MarksId,
    "a marks record's id"
);
hash_type!(
    /// The Merkle root of one file's chunk ids; see `format::root`.
    RootHash,
    "a root"
);
hash_type!(
    /// The hash of a snapshot's whole list of files; see `format::record`.
    TreeHash,
    "a tree hash"
);

/// What a slot of a pack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotContent {
    /// The chunk.
    pub id: ChunkId,
    /// Whether it is stored as a delta.
    pub is_delta: bool,
}

impl ChunkId {
    /// Hashes a chunk's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        blake3::hash(bytes).into()
    }
}

impl PackId {
    /// Hashes slots in order: each chunk's id, and whether it is stored as a delta; then `bases`, the encoded list of
    /// bases, which is empty when there is no delta.
    pub fn of(slots: &[SlotContent], bases: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for slot in slots {
            hasher.update(&[u8::from(slot.is_delta)]).update(slot.id.as_bytes());
        }
        hasher.update(bases);
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let id = ChunkId::of(b"page");
        assert_eq!(id.to_string().parse::<ChunkId>(), Ok(id));
        assert_eq!(serde_json::from_str::<ChunkId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert!(text.parse::<PackId>().is_err(), "{text:?}");
        }
    }
}
