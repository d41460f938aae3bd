//! The first 100 bytes of a database. fileformat2.html, section 1.3.

use std::borrow::Cow;

use super::{Pages, RowsError, fetch};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Least usable bytes of a page.
const LEAST_USABLE: u32 = 480;

/// How text is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
}

impl Encoding {
    /// Stored text as UTF-8, if it is well-formed.
    pub fn decode(self, stored: &[u8]) -> Option<Cow<'_, str>> {
        let unit: fn([u8; 2]) -> u16 = match self {
            Encoding::Utf8 => return std::str::from_utf8(stored).ok().map(Cow::Borrowed),
            Encoding::Utf16Le => u16::from_le_bytes,
            Encoding::Utf16Be => u16::from_be_bytes,
        };
        let (units, rest) = stored.as_chunks::<2>();
        let text: Result<String, _> = char::decode_utf16(units.iter().map(|two| unit(*two))).collect();
        text.ok().filter(|_| rest.is_empty()).map(Cow::Owned)
    }

    /// Text as it would be stored.
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }

    /// Stored text as UTF-8, with a replacement for what is not well-formed.
    pub fn decode_lossy(self, stored: &[u8]) -> Cow<'_, str> {
        let unit: fn([u8; 2]) -> u16 = match self {
            Encoding::Utf8 => return String::from_utf8_lossy(stored),
            Encoding::Utf16Le => u16::from_le_bytes,
            Encoding::Utf16Be => u16::from_be_bytes,
        };
        let units = stored.as_chunks::<2>().0.iter().map(|two| unit(*two));
        char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into()
    }
}

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseHeader {
    /// Bytes of a page that hold content: the rest at its end is reserved for extensions.
    pub usable_bytes: u32,
    /// How text is stored.
    pub encoding: Encoding,
    /// The format of the schema, 1 to 4. Before 4, indexes do not descend.
    pub schema_format: u32,
    /// First trunk page of the list of free pages; 0 when there is none.
    pub free_trunk: u32,
    /// Whether pages that point to parents lie between the others (`auto_vacuum`).
    pub has_pointer_maps: bool,
    /// `PRAGMA user_version`.
    pub user_version: u32,
    /// `PRAGMA application_id`.
    pub application_id: u32,
}

impl DatabaseHeader {
    /// Reads it from the first page. `None` for a database without pages, which is empty.
    ///
    /// # Errors
    /// When it is not a database's.
    pub fn read(pages: &dyn Pages) -> Result<Option<Self>, RowsError> {
        if pages.page_count() == 0 {
            return Ok(None);
        }
        let bytes = fetch(pages, 1, 1)?;
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("BUG: four bytes"));
        let wrong = |detail: String| RowsError::NotADatabase { detail };
        if bytes.len() < 512 || bytes[..16] != *MAGIC {
            return Err(wrong("it does not begin with \"SQLite format 3\"".into()));
        }
        let stored = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            1 => 65_536,
            size => u32::from(size),
        };
        if stored != pages.page_size() {
            return Err(wrong(format!("its header says pages of {stored} bytes, they have {}", pages.page_size())));
        }
        let usable_bytes = stored - u32::from(bytes[20]);
        if usable_bytes < LEAST_USABLE {
            return Err(wrong(format!("only {usable_bytes} bytes of a page are usable")));
        }
        let encoding = match number(56) {
            // 0 as long as nothing was stored.
            0 | 1 => Encoding::Utf8,
            2 => Encoding::Utf16Le,
            3 => Encoding::Utf16Be,
            other => return Err(wrong(format!("text encoding {other} is unknown"))),
        };
        Ok(Some(Self {
            usable_bytes,
            encoding,
            schema_format: number(44),
            free_trunk: number(32),
            has_pointer_maps: number(52) != 0,
            user_version: number(60),
            application_id: number(68),
        }))
    }

    /// Whether a page is one that points to parents (section 1.8), or holds the lock byte (section 1.4).
    pub fn is_bookkeeping(&self, number: u32, page_size: u32) -> bool {
        let lock_byte_page = (1 << 30) / page_size + 1;
        if number == lock_byte_page {
            return true;
        }
        let stride = self.usable_bytes / 5 + 1;
        if !self.has_pointer_maps || number < 2 {
            return false;
        }
        // The map that would lie on the lock-byte page lies behind it.
        let map = (number - 2) / stride * stride + 2;
        let map = if map == lock_byte_page { map + 1 } else { map };
        number == map
    }
}
