//! Compression of frames and deltas with zstd, each into memory that was bounded beforehand.
//!
//! A *frame* of whole chunks is an ordinary zstd frame. A *delta* is a zstd frame without magic number,
//! content size and checksum (chunk ids check content), whose prefix is the concatenation of its bases.

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, DParameter, FrameFormat};

use super::FormatError;

/// The zstd level deltas are made with: with a prefix nearly all bytes are matches, and higher levels
/// gain under one percent for twice the time (design measurement: 0.16 to 0.21 s at 1 to 3).
const DELTA_LEVEL: i32 = 3;

/// Compresses runs of whole chunks. One per thread: the context is reused.
pub struct FrameEncoder {
    context: CCtx<'static>,
}

impl FrameEncoder {
    /// `level` is zstd's, from 1 to 22.
    pub fn new(level: i32) -> Self {
        let mut context = CCtx::create();
        for parameter in [CParameter::CompressionLevel(level), CParameter::ChecksumFlag(false)] {
            context.set_parameter(parameter).expect("BUG: zstd refuses a constant parameter");
        }
        Self { context }
    }

    /// The zstd frame of `raw`.
    pub fn encode(&mut self, raw: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(raw.len()));
        self.context.compress2(&mut out, raw).expect("BUG: zstd compresses into compress_bound bytes");
        out
    }
}

/// Makes deltas. Bases must outlive the encoder, so one serves a batch.
pub struct DeltaEncoder<'a> {
    context: CCtx<'a>,
}

impl<'a> DeltaEncoder<'a> {
    /// A context for a batch of deltas.
    pub fn new() -> Self {
        let mut context = CCtx::create();
        for parameter in [
            CParameter::CompressionLevel(DELTA_LEVEL),
            CParameter::ChecksumFlag(false),
            CParameter::ContentSizeFlag(false),
            CParameter::DictIdFlag(false),
            CParameter::Format(FrameFormat::Magicless),
        ] {
            context.set_parameter(parameter).expect("BUG: zstd refuses a constant parameter");
        }
        Self { context }
    }

    /// The delta that turns `bases` (concatenated) into `chunk`.
    pub fn encode(&mut self, bases: &'a [u8], chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(chunk.len()));
        self.context.ref_prefix(bases).expect("BUG: no frame is open");
        self.context.compress2(&mut out, chunk).expect("BUG: zstd compresses into compress_bound bytes");
        out.shrink_to_fit();
        out
    }
}

impl Default for DeltaEncoder<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Decodes frames of whole chunks. One per thread.
pub struct FrameDecoder {
    context: DCtx<'static>,
}

impl FrameDecoder {
    /// A fresh context.
    pub fn new() -> Self {
        Self { context: DCtx::create() }
    }

    /// Decodes a whole frame into `out`, which is cleared first.
    ///
    /// # Errors
    /// When the bytes are not one zstd frame of exactly `raw_len` bytes of content. Never allocates
    /// more than `raw_len`, which the caller has bounded.
    pub fn decode(&mut self, payload: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.clear();
        out.reserve_exact(raw_len);
        let result = self.context.decompress(out, payload);
        check_len(result, "a frame", raw_len)
    }
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Applies deltas. One per thread: the context is reused.
pub struct DeltaDecoder {
    context: DCtx<'static>,
}

/// First bytes of a trained zstd dictionary (RFC 8878, section 5).
const DICTIONARY_MAGIC: [u8; 4] = [0x37, 0xA4, 0x30, 0xEC];

impl DeltaDecoder {
    /// A fresh context.
    pub fn new() -> Self {
        Self { context: magicless() }
    }

    /// Rebuilds a chunk of exactly `raw_len` bytes into `out`, which is cleared first.
    ///
    /// # Errors
    /// When the delta does not decode to `raw_len` bytes over these bases.
    pub fn decode(&mut self, bases: &[u8], delta: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.clear();
        out.reserve_exact(raw_len);
        let result = if bases.starts_with(&DICTIONARY_MAGIC) {
            // The call below would take such bytes for a trained dictionary; as a prefix they are only bytes.
            let mut context = magicless();
            context.ref_prefix(bases).and_then(|_| context.decompress(out, delta))
        } else {
            self.context.decompress_using_dict(out, delta, bases)
        };
        check_len(result, "a delta", raw_len)
    }
}

fn magicless<'a>() -> DCtx<'a> {
    let mut context = DCtx::create();
    context.set_parameter(DParameter::Format(FrameFormat::Magicless)).expect("BUG: zstd refuses a constant parameter");
    context
}

impl Default for DeltaDecoder {
    fn default() -> Self {
        Self::new()
    }
}

fn check_len(result: Result<usize, usize>, what: &'static str, raw_len: usize) -> Result<(), FormatError> {
    match result {
        Ok(len) if len == raw_len => Ok(()),
        Ok(len) => {
            Err(FormatError::Inconsistent { what, detail: format!("{len} bytes of content instead of {raw_len}") })
        }
        Err(code) => Err(FormatError::Zstd { what, reason: zstd_safe::get_error_name(code) }),
    }
}

/// Compresses a small structure (a table, a header, a map).
pub(crate) fn compress(raw: &[u8]) -> Vec<u8> {
    FrameEncoder::new(9).encode(raw)
}

/// Compresses a text: of some length with more effort, as long as that takes no time that is noticed.
pub(crate) fn compress_text(text: &[u8]) -> Vec<u8> {
    let level = if (4 << 10..1 << 20).contains(&text.len()) { 19 } else { 9 };
    FrameEncoder::new(level).encode(text)
}

/// Decompresses a small structure whose length was bounded by the caller.
pub(crate) fn decompress(payload: &[u8], raw_len: usize) -> Result<Vec<u8>, FormatError> {
    thread_local! {
        static DECODER: std::cell::RefCell<FrameDecoder> = std::cell::RefCell::default();
    }
    let mut out = Vec::new();
    DECODER.with_borrow_mut(|decoder| decoder.decode(payload, raw_len, &mut out))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn deltas_round_trip(base in prop::collection::vec(any::<u8>(), 0..5000), edits in prop::collection::vec((any::<u16>(), any::<u8>()), 0..20)) {
            let mut chunk = base.clone();
            for (at, value) in edits {
                if !chunk.is_empty() { let n = chunk.len(); chunk[at as usize % n] = value; }
            }
            let delta = DeltaEncoder::new().encode(&base, &chunk);
            let mut out = Vec::new();
            DeltaDecoder::new().decode(&base, &delta, chunk.len(), &mut out).unwrap();
            prop_assert_eq!(out, chunk);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), raw_len in 0usize..10_000) {
            let mut out = Vec::new();
            let _ = FrameDecoder::new().decode(&bytes, raw_len, &mut out);
            let _ = DeltaDecoder::new().decode(b"base", &bytes, raw_len, &mut out);
            prop_assert!(out.capacity() <= raw_len.max(1));
        }
    }

    #[test]
    fn a_base_that_looks_like_a_zstd_dictionary_is_still_only_bytes() {
        let base = [&[0x37, 0xA4, 0x30, 0xEC][..], &[7u8; 4092]].concat();
        let mut chunk = base.clone();
        chunk[2000] = 1;
        let delta = DeltaEncoder::new().encode(&base, &chunk);
        assert!(delta.len() < 60, "{}", delta.len());
        let mut out = Vec::new();
        DeltaDecoder::new().decode(&base, &delta, 4096, &mut out).unwrap();
        assert_eq!(out, chunk);
    }
}
