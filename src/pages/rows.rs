//! A snapshot's pages as [`rows`](crate::rows) asks for them.

use std::sync::Arc;

use super::SnapshotPages;
use crate::rows::{PageError, Pages};

impl Pages for SnapshotPages {
    fn page_size(&self) -> u32 {
        SnapshotPages::page_size(self)
    }

    fn page_count(&self) -> u32 {
        SnapshotPages::page_count(self)
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        Ok(SnapshotPages::page(self, number)?[..].into())
    }

    fn expect(&self, numbers: &[u32]) {
        self.bring(numbers);
    }
}
