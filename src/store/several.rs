//! One thing looked for in several stores.

use super::{Store, StoreError};

/// The answer of the first of `stores` (one at least) that has one; they are asked in the order given, the nearest first.
///
/// # Errors
/// What is wrong at one place is told only if no other has the thing whole, and rather than that it is absent.
pub fn first_of<T>(stores: &[Store], ask: impl Fn(&Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut failure: Option<StoreError> = None;
    for store in stores {
        match ask(store) {
            Ok(answer) => return Ok(answer),
            Err(error) if failure.is_none() || !error.is_absence() => failure = Some(error),
            Err(_) => {}
        }
    }
    Err(failure.expect("BUG: at least one store is asked"))
}
