//! One state's pages, with those at hand that were brought before they are asked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use super::Changed;
use crate::rows::{LeafRest, PageError, Pages};

/// Memory that the pages of one state may take.
const MOST_BYTES: u64 = 20 << 20;

/// A page at hand.
#[derive(Clone)]
pub(super) enum Kept {
    Page(Arc<[u8]>),
    /// A leaf without the rows that its other version has too, and the usable bytes of its page.
    Rest(Arc<LeafRest>, u32),
}

impl Kept {
    pub(super) fn rest(rest: LeafRest, usable_bytes: u32) -> Self {
        Kept::Rest(Arc::new(rest), usable_bytes)
    }

    fn bytes(&self) -> u64 {
        match self {
            Kept::Page(page) => page.len() as u64,
            Kept::Rest(rest, _) => rest.memory_bytes() as u64,
        }
    }
}

/// See the module.
pub(super) struct Near<'a> {
    pages: &'a dyn Pages,
    /// Another state, and which pages may not be its pages: all others are asked of it.
    twin: Option<(&'a Near<'a>, &'a Changed)>,
    kept: RwLock<HashMap<u32, Kept>>,
    kept_bytes: AtomicU64,
}

impl<'a> Near<'a> {
    pub(super) fn new(pages: &'a dyn Pages, twin: Option<(&'a Near<'a>, &'a Changed)>) -> Self {
        let twin = twin.filter(|(twin, _)| twin.page_size() == pages.page_size());
        Self { pages, twin, kept: RwLock::default(), kept_bytes: AtomicU64::new(0) }
    }

    /// Whose page it is: the other state's when it is the same there.
    fn twin_of(&self, number: u32) -> Option<&Near<'a>> {
        self.twin.filter(|(twin, changed)| !changed.has(number) && number <= twin.page_count()).map(|(twin, _)| twin)
    }

    fn kept(&self, number: u32) -> Option<Kept> {
        self.kept.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&number).cloned()
    }

    /// Keeps a page; false when there is no room for more.
    pub(super) fn keep(&self, number: u32, kept: Kept) -> bool {
        let bytes = kept.bytes() + 64;
        if self.kept_bytes.fetch_add(bytes, Relaxed) + bytes > MOST_BYTES {
            self.kept_bytes.fetch_sub(bytes, Relaxed);
            return false;
        }
        self.kept.write().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(number, kept);
        true
    }

    /// Lets go of all pages but those that are whole.
    pub(super) fn forget_leaves(&self) {
        let mut kept = self.kept.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        kept.retain(|_, one| matches!(one, Kept::Page(_)));
        self.kept_bytes.store(kept.values().map(|one| one.bytes() + 64).sum(), Relaxed);
    }

    /// Keeps what is left of a page in both states, or of none: each is right only beside the other.
    pub(super) fn keep_both(near: [&Near<'_>; 2], number: u32, [old, new]: [Kept; 2]) -> bool {
        if !near[0].keep(number, old) {
            return false;
        }
        let kept = near[1].keep(number, new);
        if !kept {
            near[0].kept.write().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&number);
        }
        kept
    }

    /// A page that is at hand, here or with the other state.
    pub(super) fn at_hand(&self, number: u32) -> Option<Arc<[u8]>> {
        match self.kept(number) {
            Some(kept) => Some(self.whole(kept)),
            None => self.twin_of(number)?.at_hand(number),
        }
    }

    /// Whether a page is a leaf that is at hand and whose rows may have overflow pages.
    pub(super) fn may_overflow(&self, number: u32) -> bool {
        match (self.kept(number), self.twin_of(number)) {
            (Some(Kept::Page(_)), _) => true,
            (Some(Kept::Rest(rest, _)), _) => rest.overflows(),
            (None, twin) => twin.is_some_and(|twin| twin.may_overflow(number)),
        }
    }

    fn whole(&self, kept: Kept) -> Arc<[u8]> {
        match kept {
            Kept::Page(page) => page,
            Kept::Rest(rest, usable_bytes) => rest.page(self.page_size(), usable_bytes),
        }
    }

    /// Brings pages that are far and not at hand, as far as there is room.
    pub(super) fn bring(&self, numbers: &[u32]) {
        let (others, own) = self.absent(numbers);
        if let (Some((twin, _)), false) = (self.twin, others.is_empty()) {
            twin.bring(&others);
        }
        if !own.is_empty() && !self.pages.is_near() {
            self.pages.visit(&own, &|number, page| self.keep(number, Kept::Page(page.into())));
        }
    }

    /// Pages that are not at hand: the other state's, and its own.
    fn absent(&self, numbers: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let absent = numbers.iter().copied().filter(|number| self.kept(*number).is_none());
        absent.partition(|number| self.twin_of(*number).is_some())
    }
}

impl Pages for Near<'_> {
    fn page_size(&self) -> u32 {
        self.pages.page_size()
    }

    fn page_count(&self) -> u32 {
        self.pages.page_count()
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        match (self.kept(number), self.twin_of(number)) {
            (Some(kept), _) => Ok(self.whole(kept)),
            (None, Some(twin)) => twin.page(number),
            (None, None) => self.pages.page(number),
        }
    }

    fn expect(&self, numbers: &[u32]) -> bool {
        let (others, own) = self.absent(numbers);
        let others = self.twin.is_some_and(|(twin, _)| !others.is_empty() && twin.expect(&others));
        let own = !own.is_empty() && self.pages.expect(&own);
        others || own
    }

    fn visit(&self, numbers: &[u32], give: &(dyn Fn(u32, &[u8]) -> bool + Sync)) {
        self.pages.visit(numbers, give);
    }

    fn prepare(&self, numbers: &[u32]) {
        self.pages.prepare(numbers);
    }

    fn is_near(&self) -> bool {
        self.pages.is_near()
    }
}
