//! Listings that go wrong.

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, Result};

use super::plan::{self, Fault};

/// The listing with its entries damaged. It is read whole only when a fault hits it.
pub(super) async fn damage(
    listing: BoxStream<'static, Result<ObjectMeta>>,
    faults: &[Fault],
) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
    let is_of_listings = |fault| matches!(fault, &Fault::Tear | &Fault::Shorten | &Fault::Omit(_) | &Fault::Reorder(_));
    if !faults.iter().any(is_of_listings) {
        return Ok(listing);
    }
    let mut entries: Vec<ObjectMeta> = listing.try_collect().await?;
    let mut torn = false;
    for fault in faults {
        match fault {
            Fault::Omit(entry) if !entries.is_empty() => {
                entries.remove((entry % entries.len() as u64) as usize);
            }
            Fault::Reorder(seed) => shuffle(&mut entries, *seed),
            Fault::Shorten => entries.truncate(entries.len() / 2),
            Fault::Tear => {
                entries.truncate(entries.len() / 2);
                torn = true;
            }
            _ => {}
        }
    }
    let mut answers: Vec<Result<ObjectMeta>> = entries.into_iter().map(Ok).collect();
    if torn {
        answers.push(Err(plan::broken("the connection was closed before the listing was complete")));
    }
    Ok(stream::iter(answers).boxed())
}

/// Every order is as likely (Fisher and Yates).
fn shuffle(entries: &mut [ObjectMeta], seed: u64) {
    for end in (1..entries.len()).rev() {
        let other = plan::mix(seed ^ plan::mix(end as u64)) % (end as u64 + 1);
        entries.swap(end, other as usize);
    }
}
