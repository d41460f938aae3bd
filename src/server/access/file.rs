//! The file of users and tokens, read anew when it was replaced: what the command line changes holds at once.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::{Audit, Deed};
use super::gate::Who;
use super::{AccessError, Account, Scope, Token, check_name, path_in};
use crate::base::{Name, Nonce};
use crate::ops::OpError;

/// How every token begins, so that it is recognised where it does not belong.
const PREFIX: &str = "pgk_";
/// A password that was right is not hashed again for so long.
const TRUSTED: Duration = Duration::from_secs(300);
/// Passwords that are remembered so.
const REMEMBERED: usize = 256;
/// The shortest password.
const SHORTEST: usize = 8;
/// The longest: hashing must not take for ever.
const LONGEST: usize = 1024;

/// Users and tokens.
#[derive(Debug)]
pub struct Access {
    folder: PathBuf,
    state: Mutex<State>,
    /// A key of this process alone: nothing that is kept in memory can be compared with a list of passwords.
    key: [u8; 32],
}

#[derive(Debug, Default)]
struct State {
    stamp: Option<(u64, u64, i64, i64)>,
    content: Arc<Content>,
    /// Hashes of names and passwords that were right lately.
    right: Vec<(Instant, blake3::Hash)>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    users: Vec<Account>,
    #[serde(default)]
    tokens: Vec<Token>,
}

impl Access {
    /// The users and tokens of a server's state folder.
    ///
    /// # Errors
    /// When there are some that cannot be read.
    pub fn open(folder: &Path) -> Result<Self, OpError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system gives random bytes");
        let access = Self { folder: folder.to_owned(), state: Mutex::default(), key };
        access.content()?;
        Ok(access)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file says now.
    fn content(&self) -> Result<Arc<Content>, OpError> {
        let path = path_in(&self.folder);
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut state = self.state();
                (state.stamp, state.content) = (None, Arc::default());
                return Ok(Arc::clone(&state.content));
            }
            Err(source) => return Err(OpError::io("read", &path)(source)),
        };
        let stamp = Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()));
        let mut state = self.state();
        if state.stamp != stamp {
            let text = std::fs::read(&path).map_err(OpError::io("read", &path))?;
            let content = serde_json::from_slice(&text);
            let content = content.map_err(|error| AccessError::File { path, reason: error.to_string() })?;
            (state.stamp, state.content, state.right) = (stamp, Arc::new(content), Vec::new());
        }
        Ok(Arc::clone(&state.content))
    }

    /// Changes the file, one run at a time.
    fn change<T>(&self, change: impl FnOnce(&mut Content) -> Result<T, AccessError>) -> Result<T, OpError> {
        std::fs::create_dir_all(&self.folder).map_err(OpError::io("create", &self.folder))?;
        let lock = self.folder.join("access.lock");
        let held = File::options().write(true).create(true).truncate(false).open(&lock);
        let held = held.and_then(|file| file.lock().map(|()| file)).map_err(OpError::io("lock", &lock))?;
        let mut content = (*self.content()?).clone();
        let answer = change(&mut content)?;
        let text = serde_json::to_vec_pretty(&content).expect("BUG: users are expressible in JSON");
        // Made by a temporary file, which only its owner may read.
        crate::workspace::write_atomically(&path_in(&self.folder), &text)?;
        drop(held);
        Ok(answer)
    }

    /// Notes in the audit log what was changed at a terminal, as requests note themselves.
    pub fn note(&self, at: Timestamp, deed: &str, of: &str) {
        let who = format!("uid {}", rustix::process::getuid().as_raw());
        let deed = Deed { at, who: &who, from: "a terminal", method: deed, path: of, status: 200 };
        Audit::in_folder(&self.folder).write(&deed);
    }

    /// The users.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn users(&self) -> Result<Vec<Account>, OpError> {
        Ok(self.content()?.users.clone())
    }

    /// The tokens.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn tokens(&self) -> Result<Vec<Token>, OpError> {
        Ok(self.content()?.tokens.clone())
    }

    /// Whether there is neither a user nor a token.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn is_empty(&self) -> Result<bool, OpError> {
        let content = self.content()?;
        Ok(content.users.is_empty() && content.tokens.is_empty())
    }

    /// Adds a user.
    ///
    /// # Errors
    /// When the name is taken or none, or the password too short.
    pub fn add_user(
        &self,
        name: &str,
        password: &str,
        scope: Scope,
        databases: Vec<Name>,
        now: Timestamp,
    ) -> Result<(), OpError> {
        check_name(name)?;
        let unfit = |reason: String| AccessError::Unfit { reason };
        if !(SHORTEST..=LONGEST).contains(&password.len()) {
            return Err(unfit(format!("a password has {SHORTEST} to {LONGEST} bytes")).into());
        }
        let hash = Argon2::default().hash_password(password.as_bytes());
        let hash = hash.map_err(|error| unfit(format!("the password cannot be hashed: {error}")))?.to_string();
        let account = Account { name: name.to_owned(), hash, scope, databases, created_at: now };
        self.change(|content| match content.users.iter().any(|user| user.name == name) {
            true => Err(AccessError::Taken { what: "user", name: name.to_owned() }),
            false => {
                content.users.push(account);
                Ok(())
            }
        })
    }

    /// Takes a user away.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn remove_user(&self, name: &str) -> Result<(), OpError> {
        self.change(|content| {
            let before = content.users.len();
            content.users.retain(|user| user.name != name);
            match content.users.len() == before {
                true => Err(AccessError::Missing { what: "user", name: name.to_owned() }),
                false => Ok(()),
            }
        })
    }

    /// Makes a token; its secret is seen only here.
    ///
    /// # Errors
    /// When the name is none, or it cannot be written.
    pub fn add_token(
        &self,
        name: &str,
        scope: Scope,
        databases: Vec<Name>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Token, String), OpError> {
        check_name(name)?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).expect("the operating system gives random bytes");
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = format!("{PREFIX}{digits}");
        let id = Nonce::fresh().as_str()[..12].to_owned();
        let hash = blake3::hash(secret.as_bytes()).to_hex().to_string();
        let token = Token { id, name: name.to_owned(), hash, scope, databases, created_at: now, expires_at };
        self.change(|content| {
            content.tokens.push(token.clone());
            Ok(())
        })?;
        Ok((token, secret))
    }

    /// Takes a token away, by its id or by a name that no other has. Returns its id.
    ///
    /// # Errors
    /// When there is none with this id or name, or several have the name.
    pub fn remove_token(&self, given: &str) -> Result<String, OpError> {
        self.change(|content| {
            let ids: Vec<&str> = content.tokens.iter().map(|token| token.id.as_str()).collect();
            let named = || content.tokens.iter().filter(|token| token.name == given).map(|token| token.id.as_str());
            let found = if ids.contains(&given) { vec![given] } else { named().collect() };
            let id = match found[..] {
                [] => return Err(AccessError::Missing { what: "token", name: given.to_owned() }),
                [id] => id.to_owned(),
                _ => return Err(AccessError::Several { name: given.to_owned(), ids: found.join(", ") }),
            };
            content.tokens.retain(|token| token.id != id);
            Ok(id)
        })
    }

    /// Whose token this is.
    pub(super) fn of_token(&self, secret: &str, now: Timestamp) -> Result<Option<Who>, OpError> {
        let hash = blake3::hash(secret.as_bytes());
        let is_it = |token: &&Token| blake3::Hash::from_hex(&token.hash).is_ok_and(|known| known == hash);
        let content = self.content()?;
        let found = content.tokens.iter().find(is_it);
        let valid = found.filter(|token| token.expires_at.is_none_or(|end| now < end));
        Ok(valid.map(|token| Who {
            name: format!("token {} ({})", token.name, token.id),
            scope: token.scope,
            databases: token.databases.clone(),
        }))
    }

    /// The user of a name, if the session of one still holds.
    pub(super) fn of_name(&self, name: &str) -> Result<Option<Who>, OpError> {
        let content = self.content()?;
        Ok(content.users.iter().find(|user| user.name == name).map(Who::of))
    }

    /// The user of this name and password. Takes its time, and as long for names that there are not.
    pub(super) fn of_password(&self, name: &str, password: &str) -> Result<Option<Who>, OpError> {
        let content = self.content()?;
        let user = content.users.iter().find(|user| user.name == name);
        let mut mixed = blake3::Hasher::new_keyed(&self.key);
        mixed.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(password.as_bytes());
        let mixed = mixed.finalize();
        {
            let mut state = self.state();
            state.right.retain(|(since, _)| since.elapsed() < TRUSTED);
            if state.right.iter().any(|(_, right)| *right == mixed) {
                return Ok(user.map(Who::of));
            }
        }
        let nobody =
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$q2ZkH3tNLqdz4PrgfAtkTMzHWcX0bFFmTGZPwF5G1ts";
        let hash = user.map_or(nobody, |user| user.hash.as_str());
        let right = password.len() <= LONGEST
            && PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        let Some(user) = user.filter(|_| right) else { return Ok(None) };
        let mut state = self.state();
        if state.right.len() >= REMEMBERED {
            state.right.remove(0);
        }
        state.right.push((Instant::now(), mixed));
        Ok(Some(Who::of(user)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_tokens_are_known_by_their_secrets_only() {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let access = Access::open(folder.path()).unwrap();
        assert!(access.is_empty().unwrap());
        access.add_user("ann", "correct horse", Scope::Admin, Vec::new(), now).unwrap();
        assert!(access.add_user("ann", "correct horse", Scope::Read, Vec::new(), now).is_err(), "taken");
        assert!(access.add_user("bob", "short", Scope::Read, Vec::new(), now).is_err());
        assert!(access.add_user("a\nb", "long enough", Scope::Read, Vec::new(), now).is_err());
        let end = now + jiff::SignedDuration::from_hours(24);
        let (token, secret) =
            access.add_token("nightly", Scope::Backup, vec![Name::new("shop").unwrap()], Some(end), now).unwrap();
        let text = std::fs::read_to_string(path_in(folder.path())).unwrap();
        assert!(!text.contains("correct horse") && !text.contains(&secret[PREFIX.len()..]), "{text}");
        // Another process sees what this one wrote, and the other way round.
        let other = Access::open(folder.path()).unwrap();
        for _ in 0..2 {
            assert_eq!(other.of_password("ann", "correct horse").unwrap().unwrap().scope, Scope::Admin);
        }
        for (name, password) in [("ann", "correct horses"), ("ann", ""), ("eve", "correct horse")] {
            assert!(other.of_password(name, password).unwrap().is_none());
        }
        assert_eq!(other.of_token(&secret, now).unwrap().unwrap().databases.len(), 1);
        assert!(other.of_token(&secret, end).unwrap().is_none(), "it has expired");
        assert!(other.of_token("pgk_", now).unwrap().is_none());
        other.remove_user("ann").unwrap();
        other.remove_token(&token.id).unwrap();
        assert!(access.of_password("ann", "correct horse").unwrap().is_none());
        assert!(access.is_empty().unwrap() && access.remove_user("ann").is_err());
    }
}
