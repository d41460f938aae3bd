//! Credentials that expire: fetched when needed, kept while good.
//!
//! Promises: one fetch at a time however many requests wait; a new fetch begins five minutes before
//! the old credentials expire; while those are still good, a failed fetch is no failure.
//! Time is the wall clock, because credentials expire while a machine sleeps.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use object_store::CredentialProvider;
use tokio::sync::Mutex;

use super::{CredentialError, unauthenticated};

/// How long before their end credentials are fetched anew: a request that starts now, with its
/// retries, must end before they do.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);
/// How soon after a fetch the next may follow, when what was fetched already is within the margin.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// Where expiring credentials come from.
#[async_trait]
pub(super) trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// What is fetched.
    type Credential: Send + Sync + 'static;

    /// Fetches credentials and the time at which they expire, if they do.
    async fn fetch(&self) -> Result<(Self::Credential, Option<Timestamp>), CredentialError>;
}

/// A provider that keeps what `F` fetches.
pub(super) struct Refreshing<F: Fetch> {
    from: F,
    now: fn() -> Timestamp,
    kept: Mutex<Option<Kept<F::Credential>>>,
}

struct Kept<C> {
    credential: Arc<C>,
    expires: Option<Timestamp>,
    fetched: Timestamp,
}

impl<F: Fetch> Refreshing<F> {
    pub(super) fn new(from: F) -> Self {
        Self { from, now: Timestamp::now, kept: Mutex::new(None) }
    }
}

impl<F: Fetch> fmt::Debug for Refreshing<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refreshing").field(&self.from).finish()
    }
}

#[async_trait]
impl<F: Fetch> CredentialProvider for Refreshing<F> {
    type Credential = F::Credential;

    async fn get_credential(&self) -> object_store::Result<Arc<F::Credential>> {
        let mut kept = self.kept.lock().await;
        let now = (self.now)();
        let mut good = None;
        if let Some(kept) = kept.as_ref() {
            let left = kept.expires.map(|expires| expires.duration_since(now));
            let fresh = left.is_none_or(|left| left > MARGIN);
            // A clock that was set back makes the difference negative: then too it is not just now.
            let since = now.duration_since(kept.fetched);
            let just_fetched = !since.is_negative() && since < PAUSE;
            if left.is_none_or(|left| left.is_positive()) {
                good = Some(kept.credential.clone());
            }
            if let Some(credential) = good.as_ref().filter(|_| fresh || just_fetched) {
                return Ok(credential.clone());
            }
        }
        match (self.from.fetch().await, good) {
            (Ok((credential, expires)), _) => {
                let credential = Arc::new(credential);
                *kept = Some(Kept { credential: credential.clone(), expires, fetched: now });
                Ok(credential)
            }
            (Err(_), Some(credential)) => Ok(credential),
            (Err(error), None) => Err(unauthenticated(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    static NOW: AtomicI64 = AtomicI64::new(0);

    fn now() -> Timestamp {
        Timestamp::from_second(NOW.load(Ordering::SeqCst)).unwrap()
    }

    /// Gives 1, 2, 3 …, each good for the next lifetime on the list; none left means failure.
    #[derive(Debug)]
    struct Counter(StdMutex<(u32, Vec<Option<i64>>)>);

    #[async_trait]
    impl Fetch for Counter {
        type Credential = u32;

        async fn fetch(&self) -> Result<(u32, Option<Timestamp>), CredentialError> {
            let mut state = self.0.lock().unwrap();
            if state.1.is_empty() {
                return Err(CredentialError::Malformed { origin: "counter".into(), reason: "is empty".into() });
            }
            state.0 += 1;
            let lifetime = state.1.remove(0);
            let expires = lifetime.map(|seconds| now() + SignedDuration::from_secs(seconds));
            Ok((state.0, expires))
        }
    }

    #[tokio::test]
    async fn credentials_are_kept_refreshed_and_outlive_a_failed_refresh() {
        let counter = Counter(StdMutex::new((0, vec![Some(3600), Some(3600)])));
        let provider = Refreshing { now, ..Refreshing::new(counter) };
        let at = async |second: i64| {
            NOW.store(second, Ordering::SeqCst);
            provider.get_credential().await.map(|credential| *credential).map_err(|error| error.to_string())
        };
        assert_eq!(at(0).await, Ok(1));
        assert_eq!(at(3299).await, Ok(1), "six minutes before the end nothing is fetched");
        assert_eq!(at(3301).await, Ok(2), "within the margin it is");
        assert_eq!(at(3301 + 3500).await, Ok(2), "a failed fetch does not matter while the old are good");
        assert!(at(3301 + 3600).await.is_err_and(|error| error.contains("counter is empty")));
    }

    #[tokio::test]
    async fn without_an_expiry_they_are_fetched_once() {
        let provider = Refreshing::new(Counter(StdMutex::new((0, vec![None]))));
        assert_eq!(*provider.get_credential().await.unwrap(), 1);
        assert_eq!(*provider.get_credential().await.unwrap(), 1);
    }
}
