//! Why foreign bytes were refused.

/// What is wrong with an object's bytes. It names the place inside the object; the caller knows the
/// object's key and adds it.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Fewer bytes than the structure needs.
    #[error("{what} is cut short: {needed} bytes needed, {available} there")]
    Truncated {
        /// The structure that was being read.
        what: &'static str,
        /// Bytes it needs at least.
        needed: u64,
        /// Bytes that are there.
        available: u64,
    },
    /// The object does not begin with pagekeep's mark.
    #[error("{what} does not begin with pagekeep's mark (found {found:02x?})")]
    NotOurs {
        /// What was expected here.
        what: &'static str,
        /// The first bytes found instead.
        found: Vec<u8>,
    },
    /// An object of another kind lies here.
    #[error("expected an object of kind {expected}, found kind {found}")]
    WrongKind {
        /// The kind byte of the object that was asked for.
        expected: u8,
        /// The kind byte found.
        found: u8,
    },
    /// Written by a later version of pagekeep.
    #[error("{what} has format version {found}; this pagekeep reads up to version {supported}")]
    TooNew {
        /// What was being read.
        what: &'static str,
        /// The version found.
        found: u32,
        /// The newest version this code reads.
        supported: u32,
    },
    /// A flag, option or section that this version does not know, and therefore does not ignore.
    #[error("{what} uses something this pagekeep does not know: {found}")]
    Unknown {
        /// What was being read.
        what: &'static str,
        /// The unknown thing.
        found: String,
    },
    /// The bytes are not those that were written.
    #[error("{what} is damaged: its digest is {found}, its bytes give {computed}")]
    Digest {
        /// What was being read.
        what: &'static str,
        /// The digest the object states.
        found: String,
        /// The digest of its bytes.
        computed: String,
    },
    /// Sealed bytes that this store's key does not open.
    #[error("{what} does not open with this store's key: it is damaged, or was sealed as another object")]
    NotAuthentic {
        /// What was being opened.
        what: &'static str,
    },
    /// A number outside the range in which it makes sense.
    #[error("{what} is {found}, allowed is at most {limit}")]
    OutOfRange {
        /// The number's name.
        what: &'static str,
        /// The number found.
        found: u64,
        /// The largest value allowed here.
        limit: u64,
    },
    /// Two parts of an object contradict each other.
    #[error("{what} contradicts itself: {detail}")]
    Inconsistent {
        /// What was being read.
        what: &'static str,
        /// The contradiction.
        detail: String,
    },
    /// A slot that prune left out, since no kept snapshot needed it.
    #[error("slot {slot} was left out when the pack was moved")]
    LeftOut {
        /// The slot.
        slot: u32,
    },
    /// Text that is not the JSON expected.
    #[error("{what} is not valid JSON of the expected form")]
    Json {
        /// What was being read.
        what: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A zstd frame that cannot be decoded.
    #[error("{what} cannot be decompressed: {reason}")]
    Zstd {
        /// What was being read.
        what: &'static str,
        /// zstd's own words.
        reason: &'static str,
    },
}

impl FormatError {
    /// Refuses a number above its bound.
    pub(crate) fn bound(what: &'static str, found: u64, limit: u64) -> Result<u64, FormatError> {
        if found > limit { Err(FormatError::OutOfRange { what, found, limit }) } else { Ok(found) }
    }
}
