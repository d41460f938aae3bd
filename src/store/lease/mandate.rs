//! Leave to make something visible, asked for right before it becomes so.

use std::fmt::Debug;

use super::{Store, StoreError, lost, places};
use crate::base::Name;

/// Says whether its holder may still make snapshots, refs and marks visible.
pub trait Mandate: Debug + Send + Sync {
    /// # Errors
    /// [`StoreError::LeaseLost`] when not; and when that cannot be known.
    fn check(&self) -> Result<(), StoreError>;
}

/// The mandate of whoever held a lease in an epoch, and of those who work for them: it ends when there is a later epoch. It
/// needs no clock, so that a process that was asleep is no exception.
#[derive(Debug)]
pub struct Epoch {
    store: Store,
    name: Name,
    epoch: u32,
}

impl Epoch {
    /// Asks nothing yet.
    pub fn new(store: Store, name: Name, epoch: u32) -> Self {
        Self { store, name, epoch }
    }
}

impl Mandate for Epoch {
    fn check(&self) -> Result<(), StoreError> {
        match places(&self.store, &self.name)?.first() {
            Some(newest) if newest.epoch == self.epoch => Ok(()),
            _ => Err(lost(&self.store, &self.name)),
        }
    }
}
