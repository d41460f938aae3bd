//! Blocking work away from the threads that serve sockets, and not too much of it at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Failure;

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bound on work.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    turns: Arc<Semaphore>,
}

impl Pool {
    pub(crate) fn new(at_once: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once)) }
    }

    /// A turn, held until dropped.
    ///
    /// # Errors
    /// When there was none in time.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, Failure> {
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Failure::busy("too many requests are at work")),
        }
    }

    /// Does something on a thread that may wait.
    ///
    /// # Errors
    /// When there was no turn in time; when it fails. What panics is told as a failure of the server.
    pub(crate) async fn run<T: Send + 'static, E: Into<Failure> + Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = self.turn().await?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        match done.await {
            Ok(done) => done.map_err(Into::into),
            Err(_) => Err(Failure::ours("the request failed in a way that nobody foresaw")),
        }
    }
}
