//! The index of a bundle: which packs lie where in it. FORMAT.md, "Bundle".
//!
//! A bundle is packs, one after the other: whole ones, byte for byte, and sparse ones, of which slots that nothing needed
//! were left out. A slot's number never changes its meaning. Of small ones the frames alone lie there: their tables are here.

use serde::{Deserialize, Serialize};

use super::FormatError;
use super::envelope::{FORMAT_VERSION, ObjectKind};
use super::pack::{BareTable, MAX_PACK_BYTES, MAX_SLOTS};
use super::record::SnapshotName;
use super::text;
use crate::base::{Name, PackId};

const WHAT: &str = "the bundle's index";

/// A record in which a pack rode, and does not ride any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerHome {
    /// The database.
    pub database: Name,
    /// The record.
    pub snapshot: SnapshotName,
}

/// A pack in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledPack {
    /// The pack.
    pub id: PackId,
    /// Offset of its first byte in the bundle.
    pub at: u64,
    /// Its length there in bytes.
    pub len: u64,
    /// How many slots are here.
    pub slots: u32,
    /// Whether slots may have been left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
    /// The table of a bare pack, of which only the frames lie there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<BareTable>,
    /// The records in which it rode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<FormerHome>,
}

impl BundledPack {
    /// The kind of object that lies there.
    pub fn kind(&self) -> ObjectKind {
        if self.sparse { ObjectKind::SparsePack } else { ObjectKind::Pack }
    }
}

/// What packs a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleIndex {
    /// Format version.
    pub format: u32,
    /// Bytes of the bundle.
    pub len: u64,
    /// The packs, in the order in which they lie.
    pub packs: Vec<BundledPack>,
}

impl BundleIndex {
    /// Of these packs.
    pub fn new(len: u64, packs: Vec<BundledPack>) -> Self {
        Self { format: FORMAT_VERSION.into(), len, packs }
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        text::encode(ObjectKind::BundleIndex, self)
    }

    /// Decodes an index.
    ///
    /// # Errors
    /// For damage, a newer format, or packs that do not fill the bundle one after the other.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let index: Self = text::decode(ObjectKind::BundleIndex, bytes)?;
        let mut end = 0u64;
        for pack in &index.packs {
            FormatError::bound("a pack's length", pack.len, MAX_PACK_BYTES)?;
            FormatError::bound("a pack's slot count", pack.slots.into(), MAX_SLOTS.into())?;
            if pack.at != end {
                let detail = format!("a pack begins at {}, the one before ends at {end}", pack.at);
                return Err(FormatError::Inconsistent { what: WHAT, detail });
            }
            end = end.saturating_add(pack.len);
        }
        if end != index.len {
            let detail = format!("its packs end at {end}, the bundle at {}", index.len);
            return Err(FormatError::Inconsistent { what: WHAT, detail });
        }
        Ok(index)
    }
}
