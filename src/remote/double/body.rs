//! Bodies that go wrong.

use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::{GetResult, GetResultPayload, Result};

use super::plan::{self, Fault};

/// The answer with its body damaged. What it says of its length stays as it was.
pub(super) async fn damage(answer: GetResult, faults: &[Fault]) -> Result<GetResult> {
    let is_of_bodies = |fault| matches!(fault, &Fault::Tear | &Fault::Shorten | &Fault::Lengthen | &Fault::FlipBit(_));
    if !faults.iter().any(is_of_bodies) {
        return Ok(answer);
    }
    let (meta, range) = (answer.meta.clone(), answer.range.clone());
    let (attributes, extensions) = (answer.attributes.clone(), answer.extensions.clone());
    let mut bytes = Vec::from(answer.bytes().await?);
    let mut torn = false;
    for fault in faults {
        match fault {
            Fault::FlipBit(bit) if !bytes.is_empty() => {
                let bit = bit % (bytes.len() as u64 * 8);
                bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            }
            Fault::Lengthen => bytes.push(0),
            Fault::Shorten => bytes.truncate(bytes.len() / 2),
            Fault::Tear => {
                bytes.truncate(bytes.len() / 2);
                torn = true;
            }
            _ => {}
        }
    }
    let mut pieces = vec![Ok(Bytes::from(bytes))];
    if torn {
        pieces.push(Err(plan::broken("the connection was closed before the body was complete")));
    }
    let payload = GetResultPayload::Stream(stream::iter(pieces).boxed());
    Ok(GetResult { payload, meta, range, attributes, extensions })
}
