//! Encrypted stores: made, unlocked, and their keys added, removed and rotated.
//!
//! A key is a password's slot at the store. All of them open the same master key, so none of these verbs touches data, and
//! taking a key away does not take back what somebody has read with it. `docs/decisions/0015-encryption.md`.

mod change;
mod error;
mod make;
mod passwords;
mod unlock;

pub use change::{KeyChange, KeyInfo, NewPassword, add_key, keys, remove_key, rotate_key};
pub use error::KeysError;
pub use make::Encrypt;
pub(super) use make::meet;
pub use passwords::{PasswordSource, Passwords, Prompt};
pub(super) use unlock::{key_there, put_keys_back};
