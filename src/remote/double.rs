//! A place that records what it is asked and fails when it is told to: for tests.
//!
//! It stands in front of any other place. Promises: every call is recorded in order of arrival, before anything else
//! happens to it; a fault hits the calls that its [`Plan`] says and no others, and does so again after a reset; what no
//! fault hits has the effect and the answer that the place behind gives.
//! Refuses to know: what keys and bytes mean. Copies and uploads in parts are refused, since no fault would hit them.
//!
//! ```
//! use std::sync::Arc;
//! use pagekeep::remote::Remote;
//! use pagekeep::remote::double::{Fault, FaultyObjects, Plan, Verb};
//!
//! let memory = Remote::memory();
//! let double = FaultyObjects::new(memory.objects(), Plan::new().on(Verb::Put, 2, Fault::LoseAnswer));
//! let remote = memory.with_objects(Arc::new(double.clone()));
//! remote.put_new("a", "1")?;
//! assert!(remote.put_new("b", "22").is_err());
//! assert!(remote.exists("b")?);
//! assert_eq!(double.log(), ["put a (1)", "put b (2)", "head b"]);
//! # Ok::<(), pagekeep::remote::RemoteError>(())
//! ```

mod body;
mod calls;
mod listing;
mod plan;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

pub use calls::{Call, Verb};
pub use plan::{Fault, Plan, Refusal};

use calls::Log;

/// Objects with faults. Cheap to clone; clones share plan and records.
#[derive(Clone, Debug)]
pub struct FaultyObjects {
    inner: Arc<dyn ObjectStore>,
    log: Arc<Mutex<Log>>,
}

impl FaultyObjects {
    /// Puts the faults of a plan in front of `inner`.
    pub fn new(inner: Arc<dyn ObjectStore>, plan: Plan) -> Self {
        Self { inner, log: Arc::new(Mutex::new(Log::new(plan))) }
    }

    /// The calls since the beginning or the last reset, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls().to_vec()
    }

    /// The same as text, one line each: `put packs/00/01 (16)`, `get a 0..4 (4)`.
    pub fn log(&self) -> Vec<String> {
        self.lock().calls().iter().map(Call::to_string).collect()
    }

    /// Forgets the calls, ends a crash, and begins the plan anew.
    pub fn reset(&self) {
        let mut log = self.lock();
        let plan = log.plan().clone();
        log.reset(plan);
    }

    /// As [`FaultyObjects::reset`], with another plan.
    pub fn reset_with(&self, plan: Plan) {
        self.lock().reset(plan);
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        // A test thread that panicked left nothing half done: the log is changed in single steps.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call; afterwards it is known which faults hit it.
    fn begin(&self, call: Call) -> Hit {
        let (number, faults) = self.lock().begin(call);
        Hit { number, faults }
    }

    fn refused<T>(&self, operation: &str) -> Result<T> {
        Err(Error::NotImplemented { operation: operation.to_owned(), implementer: self.to_string() })
    }
}

/// A call that has been recorded.
struct Hit {
    number: u64,
    faults: Vec<Fault>,
}

impl Hit {
    /// What happens before the call takes effect.
    async fn before(&self, key: &str) -> Result<()> {
        for fault in &self.faults {
            match fault {
                Fault::Delay(time) => tokio::time::sleep(*time).await,
                Fault::Refuse(refusal) => return Err(refusal.error(key)),
                Fault::CrashBefore => return Err(plan::broken("stopped before this call")),
                _ => {}
            }
        }
        Ok(())
    }

    /// What happens to the answer of a call that has taken effect.
    fn after(&self, key: &str) -> Result<()> {
        for fault in &self.faults {
            match fault {
                Fault::LoseAnswer => return Err(plan::broken("the connection was reset before the answer came")),
                Fault::CrashAfter => return Err(plan::broken("stopped after this call")),
                Fault::SayExists => {
                    let source = "412 Precondition Failed".into();
                    return Err(Error::AlreadyExists { path: key.to_owned(), source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The object whose bytes are given instead of those that were asked for.
    fn swapped(&self) -> Option<Path> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Swap(key) => Some(Path::from(key.as_str())),
            _ => None,
        })
    }
}

impl fmt::Display for FaultyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyObjects({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut opts: PutOptions) -> Result<PutResult> {
        let key = location.as_ref();
        let hit = self.begin(Call::new(Verb::Put, key).with_bytes(payload.content_length() as u64));
        hit.before(key).await?;
        if opts.mode == PutMode::Create && self.lock().plan().ignores_create() {
            opts.mode = PutMode::Overwrite;
        }
        let answer = self.inner.put_opts(location, payload, opts).await;
        hit.after(key)?;
        answer
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let key = location.as_ref();
        let verb = if options.head { Verb::Head } else { Verb::Get };
        let hit = self.begin(Call::new(verb, key).with_range(options.range.clone()));
        hit.before(key).await?;
        let from = hit.swapped();
        let answer = self.inner.get_opts(from.as_ref().unwrap_or(location), options).await;
        hit.after(key)?;
        let mut answer = answer?;
        if verb == Verb::Get {
            self.lock().answered(hit.number, answer.range.end - answer.range.start);
        }
        answer.meta.location = location.clone();
        body::damage(answer, &hit.faults).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |location: Result<Path>| {
            let this = this.clone();
            async move {
                let location = location?;
                let hit = this.begin(Call::new(Verb::Delete, location.as_ref()));
                hit.before(location.as_ref()).await?;
                let answer = this.inner.delete(&location).await;
                hit.after(location.as_ref())?;
                answer.map(|()| location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let key = prefix.map(ToString::to_string).unwrap_or_default();
        let hit = self.begin(Call::new(Verb::List, &key));
        let listing = self.inner.list(prefix);
        let answer = async move {
            hit.before(&key).await?;
            hit.after(&key)?;
            listing::damage(listing, &hit.faults).await
        };
        stream::once(answer).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        self.refused("list_with_delimiter")
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.refused("put_multipart_opts")
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        self.refused("copy_opts")
    }
}
