//! Reading objects: whole, in part, or from their end. What comes is exactly as long as it should be, or an error.

use std::ops::Range;

use bytes::Bytes;
use object_store::{GetOptions, GetRange, GetResult, ObjectStoreExt};

use super::{Remote, RemoteError, Requests, error, runtime};

impl Remote {
    /// A whole object of at most `limit` bytes.
    ///
    /// # Errors
    /// [`RemoteErrorKind::NotFound`] when there is none; [`RemoteErrorKind::WrongAnswer`] when it is larger, or fewer
    /// bytes came than it is said to have.
    pub fn get(&self, key: &str, limit: u64) -> Result<Bytes, RemoteError> {
        Requests::count(&self.requests.get);
        let fetch = async {
            let answer = self.objects.get(&self.path(key)).await.map_err(|e| self.failed("read", key, e))?;
            let size = answer.meta.size;
            if size > limit {
                return Err(self.wrong("read", key, format!("it has {size} bytes, at most {limit} make sense")));
            }
            let bytes = answer.bytes().await.map_err(|e| self.failed("read", key, e))?;
            if bytes.len() as u64 != size {
                return Err(self.wrong("read", key, format!("{} bytes came of {size}", bytes.len())));
            }
            Ok(bytes)
        };
        self.received(runtime::block_on(fetch))
    }

    /// Part of an object: exactly the bytes of `range`. An empty one needs no request.
    ///
    /// # Errors
    /// As [`Remote::get`]; [`RemoteErrorKind::WrongAnswer`] also when the object ends before the range does.
    pub fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, RemoteError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        Requests::count(&self.requests.get);
        let wanted = range.end - range.start;
        let fetch = async {
            let answer = self.objects.get_range(&self.path(key), range.clone()).await;
            let bytes = answer.map_err(|e| self.failed("read", key, e))?;
            if bytes.len() as u64 != wanted {
                let reason = format!("{} bytes came of the {wanted} from {} on", bytes.len(), range.start);
                return Err(self.wrong("read", key, reason));
            }
            Ok(bytes)
        };
        self.received(runtime::block_on(fetch))
    }

    /// The last `len` bytes of an object (all, when it is shorter), and its whole length. `len` is at least 1. Azure
    /// knows no such ranges: there the length is asked for first, which is one more request.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn get_tail(&self, key: &str, len: u64) -> Result<(Bytes, u64), RemoteError> {
        debug_assert!(len > 0, "BUG: a tail of nothing");
        Requests::count(&self.requests.get);
        let mut size = 0;
        let fetch = async {
            let answer = match self.get_part(key, GetRange::Suffix(len)).await {
                // The client refuses before it sends anything.
                Err(object_store::Error::NotSupported { .. }) => {
                    Requests::count(&self.requests.head);
                    let head = self.objects.head(&self.path(key)).await;
                    let size = head.map_err(|e| self.failed("read", key, e))?.size;
                    if size == 0 {
                        return Ok(Bytes::new());
                    }
                    self.get_part(key, GetRange::Bounded(size.saturating_sub(len)..size)).await
                }
                // Only an empty object has no last byte (RFC 9110, section 14.1.2).
                Err(error) if error::is_past_the_end(&error) => return Ok(Bytes::new()),
                answer => answer,
            };
            let answer = answer.map_err(|e| self.failed("read", key, e))?;
            size = answer.meta.size;
            let bytes = answer.bytes().await.map_err(|e| self.failed("read", key, e))?;
            if bytes.len() as u64 != len.min(size) {
                return Err(self.wrong("read", key, format!("{} bytes came of the last {len}", bytes.len())));
            }
            Ok(bytes)
        };
        let bytes = self.received(runtime::block_on(fetch))?;
        Ok((bytes, size))
    }

    async fn get_part(&self, key: &str, range: GetRange) -> object_store::Result<GetResult> {
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        self.objects.get_opts(&self.path(key), options).await
    }

    fn received(&self, answer: Result<Bytes, RemoteError>) -> Result<Bytes, RemoteError> {
        if let Ok(bytes) = &answer {
            Requests::add(&self.requests.received_bytes, bytes.len());
        }
        answer
    }
}
