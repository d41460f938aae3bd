//! How long remotes are waited for.

use std::time::Duration;

use object_store::{BackoffConfig, ClientOptions, RetryConfig};

/// How long to wait and how often to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// For a connection to be made. A connection that goes silent is given up by the kernel after
    /// about 30 s, whatever is set here.
    pub connect_timeout: Duration,
    /// For one whole request with its body. It must allow for the largest object over the slowest
    /// line: 64 MiB in 300 s are 1.8 Mbit/s.
    pub request_timeout: Duration,
    /// How often one request is tried again.
    pub retries: usize,
    /// How long after the first attempt a request may be tried again.
    pub retry_budget: Duration,
    /// Whether the folder of a `file:` address is made when it does not exist. Off for reading, and
    /// for a remote that has been used before: an empty folder would hide that a disk is not mounted.
    pub create: bool,
}

impl Default for OpenOptions {
    /// For people who wait: four retries within a minute.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(300),
            retries: 4,
            retry_budget: Duration::from_secs(60),
            create: false,
        }
    }
}

impl OpenOptions {
    /// For servers on the same machine: four retries within 20 seconds.
    pub fn for_tests() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(20),
            retries: 4,
            retry_budget: Duration::from_secs(20),
            create: true,
        }
    }

    /// The same for people who wait for another time: requests may be tried again for so long, and each may take five
    /// times as long, since a large object over a slow line is no failure.
    #[must_use]
    pub fn within(retry_budget: Duration) -> Self {
        let default = Self::default();
        let request_timeout = retry_budget.saturating_mul(5).max(Duration::from_secs(1));
        let connect_timeout = default.connect_timeout.min(request_timeout);
        Self { connect_timeout, request_timeout, retry_budget, ..default }
    }

    pub(super) fn client(&self, allow_http: bool) -> ClientOptions {
        ClientOptions::new()
            .with_connect_timeout(self.connect_timeout)
            .with_timeout(self.request_timeout)
            .with_allow_http(allow_http)
    }

    pub(super) fn retry(&self) -> RetryConfig {
        // Four waits that grow from 0.2 s to at most 5 s end within the budget of tests.
        let backoff =
            BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(5), base: 3.0 };
        RetryConfig { backoff, max_retries: self.retries, retry_timeout: self.retry_budget }
    }

    /// For the services that hand out credentials. They answer at once from nearby, or do not exist.
    pub(super) fn client_for_credentials(&self) -> ClientOptions {
        let timeout = Duration::from_secs(10).min(self.request_timeout);
        self.client(false).with_connect_timeout(Duration::from_secs(5).min(self.connect_timeout)).with_timeout(timeout)
    }

    pub(super) fn retry_for_credentials(&self) -> RetryConfig {
        let retry_timeout = Duration::from_secs(10).min(self.retry_budget);
        RetryConfig { max_retries: self.retries.min(1), retry_timeout, ..self.retry() }
    }
}
