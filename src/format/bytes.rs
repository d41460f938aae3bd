//! Reading and writing little-endian integers and varints, with every read bounded.

use super::FormatError;

/// Appends an unsigned LEB128 varint: 7 bits a byte, least significant first, the high bit set on all
/// but the last.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps signed to unsigned so that small magnitudes stay small: 0, -1, 1, -2 … become 0, 1, 2, 3 …
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A position in foreign bytes; every read is checked against what is left.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte; `what` names the structure in errors.
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// Bytes not yet read.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        match self.rest.split_at_checked(len) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => {
                Err(FormatError::Truncated { what: self.what, needed: len as u64, available: self.rest.len() as u64 })
            }
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("BUG: take returns what was asked for"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn hash(&mut self) -> Result<[u8; 32], FormatError> {
        self.array()
    }

    /// A varint of at most `limit`, named `name` in errors.
    pub(crate) fn varint(&mut self, name: &'static str, limit: u64) -> Result<u64, FormatError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return FormatError::bound(name, value, limit);
            }
        }
        Err(FormatError::OutOfRange { what: name, found: u64::MAX, limit })
    }

    /// A count of things of which each takes at least `least_bytes` of what is left, so that nothing
    /// is allocated for things that cannot be there.
    pub(crate) fn count(&mut self, name: &'static str, least_bytes: usize) -> Result<usize, FormatError> {
        let limit = (self.rest.len() / least_bytes.max(1)) as u64;
        Ok(self.varint(name, limit)? as usize)
    }

    /// Refuses bytes that nothing explains.
    pub(crate) fn finish(self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(FormatError::Inconsistent { what: self.what, detail: format!("{} bytes too many", self.rest.len()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut cursor = Cursor::new(&out, "test");
            prop_assert_eq!(cursor.varint("value", u64::MAX).unwrap(), value);
            cursor.finish().unwrap();
        }

        #[test]
        fn zigzag_round_trips(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn overlong_and_truncated_varints_are_refused() {
        assert!(Cursor::new(&[0xff; 11], "test").varint("value", u64::MAX).is_err());
        assert!(Cursor::new(&[0x80], "test").varint("value", u64::MAX).is_err());
        assert!(Cursor::new(&[0x05], "test").varint("value", 4).is_err());
    }
}
