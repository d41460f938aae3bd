//! The one place where asynchronous code is waited for.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::Runtime;

/// Two workers: they only move bytes between sockets and memory; the thinking is done by the callers' threads.
const WORKERS: usize = 2;

/// Waits for a request. Must not be called from inside the runtime, which nothing above this layer ever is.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("pagekeep-io")
            .enable_all()
            .build()
            .expect("the operating system gives two threads")
    });
    runtime.block_on(future)
}
