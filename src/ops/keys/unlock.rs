//! From a password to the keys of a store: every slot is tried with every source until one opens.

use std::path::PathBuf;
use std::sync::Arc;

use super::passwords::{Named, PasswordSource, Passwords};
use crate::base::{Name, Nonce};
use crate::ops::{Context, Database, OpError};
use crate::remote::Remote;
use crate::store::sealing::{KeyRing, Password, unwrap};
use crate::store::{Border, KeyError, Store, StoreError, StoredSlot, put_slot, read_slots};
use crate::workspace::EncryptionConfig;

/// What is known of a store before it is unlocked.
#[derive(Clone, Debug)]
pub(super) struct Locked {
    /// The id of its master key.
    pub(super) key: Nonce,
    /// Where its password may come from.
    pub(super) kept: Vec<PasswordSource>,
    /// A copy of its key slots on this machine, which saves requests.
    pub(super) copy: Option<PathBuf>,
}

/// Keys, and the slot that gave them.
pub(super) struct Unlocked {
    pub(super) ring: Arc<KeyRing>,
    pub(super) slot: Nonce,
}

/// The keys of the store at a remote; asks for nothing that is known already.
pub(super) fn keys_of(context: &Context, locked: &Locked, remote: &Remote) -> Result<Arc<KeyRing>, StoreError> {
    if let Some(ring) = context.passwords.known().get(&locked.key) {
        return Ok(Arc::clone(ring));
    }
    Ok(unlock(context, locked, remote)?.ring)
}

/// Opens a slot with a password, whatever is known already.
pub(super) fn unlock(context: &Context, locked: &Locked, remote: &Remote) -> Result<Unlocked, StoreError> {
    let place = || remote.name().to_owned();
    let sources = context.passwords.sources(
        &context.environment,
        &locked.kept,
        &format!("password of the store at {}", remote.name()),
    );
    if sources.is_empty() {
        return Err(KeyError::NoPassword { remote: place(), looked: context.passwords.looked_at() }.into());
    }
    let near = locked.copy.as_ref().map(copied).unwrap_or_default();
    let (mut there, mut problem, mut tried) = (None, None, Vec::new());
    for source in &sources {
        let password = match source.password(&context.environment) {
            Ok(password) => password,
            Err(error) => {
                problem.get_or_insert(error);
                continue;
            }
        };
        if let Some(found) = open_one(&near, &password, locked)? {
            return Ok(remember(context, locked, found));
        }
        if there.is_none() {
            let slots = read_slots(remote)?;
            if slots.whole.is_empty() {
                let reason = match slots.damaged.first() {
                    Some((key, error)) => format!("{key}: {error}"),
                    None => "there is none".into(),
                };
                return Err(KeyError::NoSlot { remote: place(), reason }.into());
            }
            there = Some(slots.whole);
        }
        let there = there.as_deref().unwrap_or_default();
        let fresh: Vec<StoredSlot> = there.iter().filter(|slot| !near.contains(slot)).cloned().collect();
        if let Some(found) = open_one(&fresh, &password, locked)? {
            keep_copy(locked, there);
            return Ok(remember(context, locked, found));
        }
        tried.push(source.name.clone());
    }
    Err(match (tried.is_empty(), problem) {
        (true, Some(problem)) => problem.into(),
        _ => KeyError::WrongPassword { remote: place(), tried: tried.join(", ") }.into(),
    })
}

fn remember(context: &Context, locked: &Locked, found: Unlocked) -> Unlocked {
    context.passwords.known().insert(locked.key.clone(), Arc::clone(&found.ring));
    found
}

/// The first slot that the password opens. One of another master key is none of this store.
pub(super) fn open_one(
    slots: &[StoredSlot],
    password: &Password,
    locked: &Locked,
) -> Result<Option<Unlocked>, StoreError> {
    for stored in slots {
        // Too little memory for one slot is no reason not to try the next.
        let Ok(master) = unwrap(&stored.slot, password) else { continue };
        let ring = KeyRing::of(&master);
        if *ring.id() == locked.key {
            return Ok(Some(Unlocked { ring: Arc::new(ring), slot: stored.id.clone() }));
        }
    }
    Ok(None)
}

/// The sources kept for a store whose passwords open none of these slots.
pub(super) fn closed(context: &Context, locked: &Locked, slots: &[StoredSlot]) -> Vec<String> {
    let opens = |source: &&PasswordSource| {
        let named = Passwords::new(vec![(*source).clone()], None).named("");
        let password = named.first().and_then(|source| source.password(&context.environment).ok());
        password.is_some_and(|password| matches!(open_one(slots, &password, locked), Ok(Some(_))))
    };
    locked.kept.iter().filter(|source| !opens(source)).map(PasswordSource::to_string).collect()
}

/// The slots that were copied to this machine. What is damaged is read again from the remote.
fn copied(path: &PathBuf) -> Vec<StoredSlot> {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.chunks(crate::format::key_slot::KEY_SLOT_LEN).filter_map(|slot| StoredSlot::decode(slot).ok()).collect()
}

/// Puts the keys of which this machine has copies back to a remote where none opens the store any more; how many.
///
/// # Errors
/// When the remote may not be written to.
pub(in crate::ops) fn put_keys_back(database: &Database, name: &Name, store: &Store) -> Result<usize, OpError> {
    let (Some(ring), remote) = (store.remote().ring()?, store.remote().raw()) else { return Ok(0) };
    let mut copies = copied(&database.workspace.slots_path(name));
    copies.retain(|copy| ring.label(&copy.slot).is_some());
    for copy in &copies {
        match put_slot(remote, &copy.slot) {
            // Something else lies under its name.
            Err(StoreError::Damaged { key, .. }) => {
                remote.replace(&key, copy.slot.encode()).map_err(StoreError::from)?;
            }
            other => drop(other?),
        }
    }
    Ok(copies.len())
}

/// The key of a named remote that the passwords there are for it open, as the remote has it now: a copy here may be of one
/// that was removed.
///
/// # Errors
/// When none opens it.
pub(in crate::ops) fn key_there(context: &Context, database: &Database, name: &Name) -> Result<Option<Nonce>, OpError> {
    let Some(config) = &database.workspace.config.remotes[name].encryption else { return Ok(None) };
    let remote = database.open_remote(context, name.as_str())?.store.remote().raw().clone();
    let locked = Locked { copy: None, ..database.locked(name, config) };
    Ok(Some(unlock(context, &locked, &remote)?.slot))
}

/// Copies the slots to this machine; without the copy they are only read again.
pub(super) fn keep_copy(locked: &Locked, slots: &[StoredSlot]) {
    if let Some(path) = &locked.copy {
        let bytes: Vec<u8> = slots.iter().flat_map(|stored| stored.slot.encode()).collect();
        let _ = crate::workspace::write_atomically(path, &bytes);
    }
}

impl Database {
    /// What is known of the encryption of a named remote.
    pub(super) fn locked(&self, name: &Name, config: &EncryptionConfig) -> Locked {
        let kept = config.password_file.clone().map(PasswordSource::File);
        let kept = kept.into_iter().chain(config.password_command.clone().map(PasswordSource::Command)).collect();
        Locked { key: config.key.clone(), kept, copy: Some(self.workspace.slots_path(name)) }
    }

    /// The objects of a named remote, which are opened with its keys when they are first needed.
    pub(in crate::ops) fn sealed(
        &self,
        context: &Context,
        name: &Name,
        config: &EncryptionConfig,
        at: &Remote,
    ) -> Border {
        let (locked, context) = (self.locked(name, config), context.clone());
        Border::sealed(at.clone(), Arc::new(move |remote: &Remote| keys_of(&context, &locked, remote)))
    }
}

impl Context {
    /// Looks whether a store that was named by its address is encrypted, and gets its keys then.
    ///
    /// # Errors
    /// When there is no store, or its keys are not to be had.
    pub fn look_at(&self, store: Store) -> Result<Store, OpError> {
        if store.remote().is_sealed() {
            return Ok(store);
        }
        let remote = store.remote().raw().clone();
        let Some(how) = Store::describe(&remote)?.encryption else { return Ok(store) };
        let ring = keys_of(self, &Locked { key: how.key, kept: Vec::new(), copy: None }, &remote)?;
        Ok(store.across(under(remote, ring)))
    }
}

/// The objects at a remote under keys that are known.
pub(super) fn under(remote: Remote, ring: Arc<KeyRing>) -> Border {
    Border::sealed(remote, Arc::new(move |_: &Remote| Ok(Arc::clone(&ring))))
}

/// A new password: from the sources that the caller named, or asked for twice.
pub(super) fn new_password(context: &Context, sources: Vec<Named>, looked: &str) -> Result<Password, OpError> {
    let Some(source) = sources.first() else {
        let error = KeyError::NoNewPassword { looked: looked.to_owned() };
        return Err(StoreError::from(error).into());
    };
    let password = source.password(&context.environment).map_err(StoreError::from)?;
    if source.is_person() {
        let again = source.password(&context.environment).map_err(StoreError::from)?;
        if again != password {
            let error = KeyError::Source { from: source.name.clone(), reason: "the two are not the same".into() };
            return Err(StoreError::from(error).into());
        }
    }
    Ok(password)
}
