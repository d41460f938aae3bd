//! How a remote that is added becomes an encrypted one, or is found to be one.

use std::sync::Arc;

use super::KeysError;
use super::passwords::PasswordSource;
use super::unlock::{Locked, keys_of, new_password, under};
use crate::base::Name;
use crate::format::key_slot::Work;
use crate::ops::{Context, Database, OpError, OpenRemote};
use crate::remote::Remote;
use crate::store::sealing::{KeyRing, MasterKey, Password, SlotLabel, wrap};
use crate::store::{Border, Store, StoreError, put_slot, read_slots, remove_slot};
use crate::workspace::EncryptionConfig;

/// Whether a remote that is added is to be encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encrypt {
    /// As it is found; a new one is not.
    #[default]
    AsFound,
    /// With a master key of its own.
    New,
    /// With the master key of this remote, and its passwords.
    KeyOf(Name),
}

/// A remote that was met for the first time, with its keys.
pub(in crate::ops) struct Met {
    pub(in crate::ops) border: Border,
    /// Whether a store was there.
    pub(in crate::ops) existed: bool,
    /// What to keep about its encryption.
    pub(in crate::ops) encryption: Option<EncryptionConfig>,
    /// Slots that were put there for a store that is still to be made.
    slots: Vec<crate::base::Nonce>,
}

impl Met {
    /// Takes the slots back that were put for a store which somebody else made first, under another key.
    pub(in crate::ops) fn take_back(&self) {
        let (remote, Some(own)) = (self.border.raw(), &self.encryption) else { return };
        let theirs = Store::describe(remote).is_ok_and(|file| file.encryption.is_none_or(|how| how.key != own.key));
        for slot in self.slots.iter().filter(|_| theirs) {
            // What stays opens nothing there.
            let _ = remove_slot(remote, slot);
        }
    }
}

/// Looks at a remote that is to be added, and gets or makes its keys.
pub(in crate::ops) fn meet(
    context: &Context,
    database: &Database,
    opened: &OpenRemote,
    wanted: &Encrypt,
) -> Result<Met, OpError> {
    let remote = opened.store.remote().raw().clone();
    let there = match Store::describe(&remote) {
        Ok(file) => Some(file),
        Err(StoreError::NoStore { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let existed = there.is_some();
    let plain = |remote: Remote| Met { border: remote.into(), existed, encryption: None, slots: Vec::new() };
    match (there.map(|file| file.encryption), wanted) {
        (Some(None), Encrypt::AsFound) | (None, Encrypt::AsFound) => Ok(plain(remote)),
        (Some(None), _) => Err(KeysError::AlreadyPlain { remote: remote.name().to_owned() }.into()),
        (Some(Some(how)), wanted) => {
            let ring = match wanted {
                Encrypt::KeyOf(other) => {
                    let ring = database.ring_of(context, other)?;
                    if *ring.id() != how.key {
                        let (remote, other) = (remote.name().to_owned(), other.to_string());
                        return Err(KeysError::OtherKey { remote, other }.into());
                    }
                    ring
                }
                _ => keys_of(context, &Locked { key: how.key, kept: Vec::new(), copy: None }, &remote)?,
            };
            let encryption = Some(kept(context, database, &ring, wanted));
            Ok(Met { border: under(remote, ring), existed, encryption, slots: Vec::new() })
        }
        (None, Encrypt::New) => {
            let password = first_password(context, &remote)?;
            let ring = Arc::new(KeyRing::of(&MasterKey::fresh()));
            let slot = wrap(&ring, &password, Work::USUAL, &label(context)).map_err(StoreError::from)?;
            let slots = vec![put_slot(&remote, &slot)?.id];
            context.passwords.known().insert(ring.id().clone(), Arc::clone(&ring));
            let encryption = Some(kept(context, database, &ring, wanted));
            Ok(Met { border: under(remote, ring), existed, encryption, slots })
        }
        (None, Encrypt::KeyOf(other)) => {
            let ring = database.ring_of(context, other)?;
            let theirs = database.open_remote(context, other.as_str())?;
            let mut slots = Vec::new();
            for stored in read_slots(theirs.store.remote().raw())?.whole {
                if ring.label(&stored.slot).is_some() {
                    slots.push(put_slot(&remote, &stored.slot)?.id);
                }
            }
            let encryption = Some(kept(context, database, &ring, wanted));
            Ok(Met { border: under(remote, ring), existed, encryption, slots })
        }
    }
}

/// What is kept of a remote's encryption: where the caller said the password is, never the password.
fn kept(context: &Context, database: &Database, ring: &KeyRing, wanted: &Encrypt) -> EncryptionConfig {
    let config = |name: &Name| database.workspace.config.remotes.get(name)?.encryption.clone();
    let theirs = match wanted {
        Encrypt::KeyOf(other) => config(other),
        _ => None,
    };
    let given = EncryptionConfig::of(ring.id().clone(), context);
    match theirs {
        Some(theirs) if given.password_file.is_none() && given.password_command.is_none() => theirs,
        _ => given,
    }
}

impl EncryptionConfig {
    /// What is kept of an encrypted store that was opened with what the caller named.
    pub(in crate::ops) fn of(key: crate::base::Nonce, context: &Context) -> Self {
        let (mut password_file, mut password_command) = (None, None);
        for source in &context.passwords.given {
            match source {
                PasswordSource::File(path) => password_file = Some(context.current_folder.join(path)),
                PasswordSource::Command(command) => password_command = Some(command.clone()),
            }
        }
        Self { key, password_file, password_command }
    }
}

/// The password of a store that is made.
fn first_password(context: &Context, remote: &Remote) -> Result<Password, OpError> {
    let words = format!("new password for the store at {}", remote.name());
    let sources = context.passwords.sources(&context.environment, &[], &words);
    new_password(context, sources, &context.passwords.looked_at())
}

/// What a slot says of who made it.
pub(super) fn label(context: &Context) -> SlotLabel {
    SlotLabel(format!("{} {}", context.now().strftime("%Y-%m-%dT%H:%M:%SZ"), context.host))
}

impl Database {
    /// The keys of a named remote.
    pub(super) fn ring_of(&self, context: &Context, name: &Name) -> Result<Arc<KeyRing>, OpError> {
        let opened = self.open_remote(context, name.as_str())?;
        let not = || KeysError::NotEncrypted { remote: opened.url.clone() };
        opened.store.remote().ring()?.ok_or_else(|| not().into())
    }
}
