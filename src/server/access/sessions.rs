//! Sessions of people in browsers: a cookie that cannot be guessed, and a second secret that every change must repeat.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::base::Nonce;

/// A session that nobody uses ends.
const IDLE: Duration = Duration::from_secs(8 * 3600);
/// Sessions there may be.
const MOST: usize = 10_000;

/// All sessions. They end with the server.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: Mutex<HashMap<blake3::Hash, Session>>,
}

#[derive(Clone, Debug)]
struct Session {
    user: String,
    csrf: String,
    used: Instant,
}

/// What a session's holder gets.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// The cookie's value.
    pub(crate) secret: String,
    /// What every change must bring in the header `X-CSRF-Token`.
    pub(crate) csrf: String,
}

impl Sessions {
    /// Begins a session of a user.
    pub(crate) fn open(&self, user: &str) -> Opened {
        let fresh = || format!("{}{}", Nonce::fresh(), Nonce::fresh());
        let opened = Opened { secret: fresh(), csrf: fresh() };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, session| session.used.elapsed() < IDLE);
        if all.len() >= MOST
            && let Some(oldest) = all.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            all.remove(&oldest);
        }
        let session = Session { user: user.to_owned(), csrf: opened.csrf.clone(), used: Instant::now() };
        all.insert(blake3::hash(opened.secret.as_bytes()), session);
        opened
    }

    /// The user and the second secret of a session.
    pub(crate) fn find(&self, secret: &str) -> Option<(String, String)> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let session = all.get_mut(&blake3::hash(secret.as_bytes())).filter(|session| session.used.elapsed() < IDLE)?;
        session.used = Instant::now();
        Some((session.user.clone(), session.csrf.clone()))
    }

    /// Ends a session.
    pub(crate) fn close(&self, secret: &str) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&blake3::hash(secret.as_bytes()));
    }
}
