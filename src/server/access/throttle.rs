//! Failures to prove who one is, counted by address: after a few, answers come late and at last not at all for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that nobody minds.
const FREE: u32 = 5;
/// The longest that an address is not heard.
const LONGEST: Duration = Duration::from_secs(300);
/// Addresses that are remembered.
const REMEMBERED: usize = 10_000;

/// Who failed how often.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    failures: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Throttle {
    /// How long an address has to wait before it is heard again.
    pub(crate) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, last) = failures.get(&network(address))?;
        pause(*count).checked_sub(last.elapsed()).filter(|wait| !wait.is_zero())
    }

    /// Somebody there failed.
    pub(crate) fn failed(&self, address: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED {
            failures.retain(|_, (count, last)| last.elapsed() < pause(*count).max(Duration::from_secs(60)));
        }
        let entry = failures.entry(network(address)).or_insert((0, Instant::now()));
        // Who has been quiet for long begins anew.
        let count = if entry.1.elapsed() > 2 * LONGEST { 0 } else { entry.0 };
        *entry = (count.saturating_add(1), Instant::now());
    }

    /// Somebody there proved who they are.
    pub(crate) fn succeeded(&self, address: IpAddr) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&network(address));
    }
}

fn pause(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(more) => Duration::from_secs(1 << more.min(8)).min(LONGEST),
    }
}

/// Whoever has one address of version 6 has 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6((six.to_bits() >> 64 << 64).into()),
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_make_wait_longer_and_longer() {
        let throttle = Throttle::default();
        let (one, other) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        for _ in 0..FREE - 1 {
            throttle.failed(one);
        }
        assert_eq!(throttle.wait(one), None);
        throttle.failed(one);
        let first = throttle.wait(one).unwrap();
        throttle.failed(one);
        assert!(throttle.wait(one).unwrap() > first && throttle.wait(other).is_none());
        for _ in 0..40 {
            throttle.failed(other);
        }
        let neighbour = "2001:db8::2".parse().unwrap();
        assert!(throttle.wait(neighbour).unwrap() > Duration::from_secs(200));
        throttle.succeeded(one);
        assert_eq!(throttle.wait(one), None);
    }
}
