//! One state's pages, of which most are another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::ops::diff::Changed;
use crate::rows::{PageError, Pages};

/// Pages of which those that did not change are read from another state, where they are nearer or in memory already.
pub struct Borrowing<'a> {
    own: &'a dyn Pages,
    other: &'a dyn Pages,
    changed: &'a Changed,
}

impl<'a> Borrowing<'a> {
    /// Reads from `other` what did not change.
    pub fn new(own: &'a dyn Pages, other: &'a dyn Pages, changed: &'a Changed) -> Self {
        Self { own, other, changed }
    }

    fn borrows(&self, number: u32) -> bool {
        !self.changed.has(number) && number <= self.other.page_count() && self.own.page_size() == self.other.page_size()
    }
}

impl Pages for Borrowing<'_> {
    fn page_size(&self) -> u32 {
        self.own.page_size()
    }

    fn page_count(&self) -> u32 {
        self.own.page_count()
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        if self.borrows(number) { self.other.page(number) } else { self.own.page(number) }
    }

    fn visit(&self, numbers: &[u32], give: &(dyn Fn(u32, &[u8]) -> bool + Sync)) {
        let (other, own): (Vec<u32>, Vec<u32>) = numbers.iter().partition(|number| self.borrows(**number));
        let more = AtomicBool::new(true);
        let give = |number: u32, page: &[u8]| {
            let wanted = more.load(Relaxed) && give(number, page);
            more.fetch_and(wanted, Relaxed);
            wanted
        };
        self.other.visit(&other, &give);
        if more.load(Relaxed) {
            self.own.visit(&own, &give);
        }
    }

    fn prepare(&self, numbers: &[u32]) {
        let own: Vec<u32> = numbers.iter().copied().filter(|number| !self.borrows(*number)).collect();
        self.own.prepare(&own);
    }

    fn is_near(&self) -> bool {
        self.own.is_near()
    }

    fn expect(&self, numbers: &[u32]) -> bool {
        let (other, own): (Vec<u32>, Vec<u32>) = numbers.iter().partition(|number| self.borrows(**number));
        let (other, own) = (!other.is_empty() && self.other.expect(&other), !own.is_empty() && self.own.expect(&own));
        other || own
    }
}
