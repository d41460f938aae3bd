//! The verbs about keys: list, add, remove, rotate. None of them touches data.

use std::sync::Arc;

use super::KeysError;
use super::make::label;
use super::passwords::{PasswordSource, Passwords};
use super::unlock::{Locked, Unlocked, closed, keep_copy, new_password, open_one, unlock};
use crate::base::{Name, Nonce};
use crate::format::key_slot::Work;
use crate::ops::{Context, Database, OpError};
use crate::remote::Remote;
use crate::store::sealing::wrap;
use crate::store::{Store, StoreError, StoredSlot, put_slot, read_slots, remove_slot};

/// A key of a store.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// Its name.
    pub id: Nonce,
    /// Who made it, and when; `None` when it was made for another store.
    pub label: Option<String>,
    /// What a try of its password costs.
    pub work: Work,
    /// Whether the password of this run opens it.
    pub is_mine: bool,
    /// What is wrong with it.
    pub damage: Option<String>,
}

/// What became of a store's keys.
#[derive(Clone, Debug)]
pub struct KeyChange {
    /// Where the store is.
    pub remote: String,
    /// The key that was added.
    pub added: Option<Nonce>,
    /// The key that was removed.
    pub removed: Option<Nonce>,
    /// The sources kept for this remote that do not open it any more.
    pub closed: Vec<String>,
}

/// Where the password of a new key comes from: what the caller names, else a person.
#[derive(Clone, Debug, Default)]
pub struct NewPassword {
    /// A file or a command.
    pub from: Option<PasswordSource>,
}

impl NewPassword {
    fn ask(&self, context: &Context, remote: &Remote) -> Result<crate::store::sealing::Password, OpError> {
        let passwords = Passwords::new(self.from.clone().into_iter().collect(), context.passwords.prompt.clone());
        let words = format!("new password for the store at {}", remote.name());
        let sources = passwords.named(&words);
        new_password(context, sources, "--new-password-file and --new-password-command, and there is no terminal")
    }
}

/// A store whose keys are meant.
struct Meant {
    remote: Remote,
    locked: Locked,
}

/// Finds the store: a remote's name, an address, or the only encrypted remote of the database.
fn meant(context: &Context, database: Result<&Database, OpError>, from: Option<&str>) -> Result<Meant, OpError> {
    let named = |database: &Database, name: &Name| -> Result<Meant, OpError> {
        let opened = database.open_remote(context, name.as_str())?;
        let how = database.workspace.config.remotes.get(name).and_then(|config| config.encryption.as_ref());
        let how = how.ok_or_else(|| KeysError::NotEncrypted { remote: opened.url.clone() })?;
        Ok(Meant { remote: opened.store.remote().raw().clone(), locked: database.locked(name, how) })
    };
    match from {
        None => {
            let database = database?;
            let remotes = database.workspace.config.remotes.iter();
            let all: Vec<&Name> =
                remotes.filter(|(_, config)| config.encryption.is_some()).map(|(name, _)| name).collect();
            match all.as_slice() {
                [name] => named(database, name),
                [] => Err(KeysError::WhichStore { reason: "no remote here is encrypted".into() }.into()),
                several => {
                    let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
                    Err(KeysError::WhichStore { reason: format!("there are {}", names.join(", ")) }.into())
                }
            }
        }
        Some(from) => {
            let is_path = from.contains('/') || context.current_folder.join(from).exists();
            let database = match database {
                Err(error) if !is_path => return Err(error),
                other => other,
            };
            let known = database.ok().filter(|_| !from.contains('/'));
            let name = Name::new(from).ok();
            if let (Some(database), Some(name)) = (known, name)
                && database.workspace.config.remotes.contains_key(&name)
            {
                return named(database, &name);
            }
            let opened = context.open_url(&context.parse_url(from)?, false)?;
            let remote = opened.store.remote().raw().clone();
            let how = Store::describe(&remote)?.encryption;
            let how = how.ok_or(KeysError::NotEncrypted { remote: opened.url })?;
            Ok(Meant { remote, locked: Locked { key: how.key, kept: Vec::new(), copy: None } })
        }
    }
}

impl Meant {
    fn unlock(&self, context: &Context) -> Result<Unlocked, OpError> {
        // What opened the store once and was removed must not change its keys.
        Ok(unlock(context, &Locked { copy: None, ..self.locked.clone() }, &self.remote)?)
    }

    /// The keys that open this store, whoever's they are.
    fn own(&self, unlocked: &Unlocked) -> Result<Vec<StoredSlot>, OpError> {
        let mut slots = read_slots(&self.remote)?.whole;
        slots.retain(|stored| unlocked.ring.label(&stored.slot).is_some());
        Ok(slots)
    }

    fn add(&self, context: &Context, unlocked: &Unlocked, new: &NewPassword) -> Result<Nonce, OpError> {
        let password = new.ask(context, &self.remote)?;
        if let Some(same) = open_one(&self.own(unlocked)?, &password, &self.locked)? {
            return Err(
                KeysError::SamePassword { id: same.slot.to_string(), remote: self.remote.name().to_owned() }.into()
            );
        }
        let slot = wrap(&unlocked.ring, &password, Work::USUAL, &label(context)).map_err(StoreError::from)?;
        Ok(put_slot(&self.remote, &slot)?.id)
    }

    /// Removes a key, and puts it back when that leaves none: somebody else may have removed another meanwhile.
    fn remove(&self, unlocked: &Unlocked, id: &Nonce) -> Result<(), OpError> {
        let removed = self.own(unlocked)?.into_iter().find(|stored| stored.id == *id);
        remove_slot(&self.remote, id)?;
        let Some(removed) = removed else { return Ok(()) };
        if self.own(unlocked)?.is_empty() {
            put_slot(&self.remote, &removed.slot)?;
            return Err(KeysError::LastKey { id: id.to_string(), remote: self.remote.name().to_owned() }.into());
        }
        Ok(())
    }

    fn changed(
        self,
        context: &Context,
        unlocked: &Unlocked,
        added: Option<Nonce>,
        removed: Option<Nonce>,
    ) -> Result<KeyChange, OpError> {
        let own = self.own(unlocked)?;
        keep_copy(&self.locked, &own);
        let closed = removed.iter().flat_map(|_| closed(context, &self.locked, &own)).collect();
        Ok(KeyChange { remote: self.remote.name().to_owned(), added, removed, closed })
    }
}

/// The keys of a store.
///
/// # Errors
/// When it is not clear which store is meant, or no password opens it.
pub fn keys(
    context: &Context,
    database: Result<&Database, OpError>,
    from: Option<&str>,
) -> Result<Vec<KeyInfo>, OpError> {
    let meant = meant(context, database, from)?;
    let unlocked = meant.unlock(context)?;
    let slots = read_slots(&meant.remote)?;
    let whole = slots.whole.into_iter().map(|stored| KeyInfo {
        label: unlocked.ring.label(&stored.slot).map(|label| label.0),
        work: stored.slot.work,
        is_mine: stored.id == unlocked.slot,
        id: stored.id,
        damage: None,
    });
    let damaged = slots.damaged.into_iter().filter_map(|(key, error)| {
        let id = key.rsplit('/').next()?.parse().ok()?;
        let damage = Some(error.to_string());
        Some(KeyInfo { id, label: None, work: Work { memory_kib: 0, passes: 0 }, is_mine: false, damage })
    });
    Ok(whole.chain(damaged).collect())
}

/// Adds a key: one more password that opens the store.
///
/// # Errors
/// As [`keys`], and when there is no new password.
pub fn add_key(
    context: &Context,
    database: Result<&Database, OpError>,
    from: Option<&str>,
    new: &NewPassword,
) -> Result<KeyChange, OpError> {
    let meant = meant(context, database, from)?;
    let unlocked = meant.unlock(context)?;
    let added = meant.add(context, &unlocked, new)?;
    meant.changed(context, &unlocked, Some(added), None)
}

/// Removes a key, said by the first digits of its name; never the last.
///
/// # Errors
/// As [`keys`], and when there is no such key, or it is the last one.
pub fn remove_key(
    context: &Context,
    database: Result<&Database, OpError>,
    from: Option<&str>,
    id: &str,
) -> Result<KeyChange, OpError> {
    let meant = meant(context, database, from)?;
    let unlocked = meant.unlock(context)?;
    let remote = || meant.remote.name().to_owned();
    let own = meant.own(&unlocked)?;
    let found = keys_beginning(&meant.remote, id)?;
    let [found] = found.as_slice() else {
        return Err(KeysError::WhichKey { id: id.to_owned(), count: found.len(), remote: remote() }.into());
    };
    if own.iter().all(|stored| stored.id == *found) {
        return Err(KeysError::LastKey { id: found.to_string(), remote: remote() }.into());
    }
    meant.remove(&unlocked, found)?;
    let found = found.clone();
    meant.changed(context, &unlocked, None, Some(found))
}

/// The names of slots that begin like this; damaged ones can be removed too.
fn keys_beginning(remote: &Remote, id: &str) -> Result<Vec<Nonce>, OpError> {
    let listed = remote.list(crate::store::keys::KEYS).map_err(StoreError::from)?;
    let names = listed.iter().filter_map(|object| object.key.rsplit('/').next()?.parse::<Nonce>().ok());
    Ok(names.filter(|name| !id.is_empty() && name.as_str().starts_with(id)).collect())
}

/// Puts another password in the place of the one that opens the store now. Data stays as it is.
///
/// # Errors
/// As [`add_key`].
pub fn rotate_key(
    context: &Context,
    database: Result<&Database, OpError>,
    from: Option<&str>,
    new: &NewPassword,
) -> Result<KeyChange, OpError> {
    let meant = meant(context, database, from)?;
    let unlocked = meant.unlock(context)?;
    let added = meant.add(context, &unlocked, new)?;
    // The new one is there, and was read again: only now may the old one go.
    meant.remove(&unlocked, &unlocked.slot)?;
    let removed = unlocked.slot.clone();
    let unlocked = Unlocked { ring: Arc::clone(&unlocked.ring), slot: added.clone() };
    meant.changed(context, &unlocked, Some(added), Some(removed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sealing::{KeyRing, MasterKey, Password, SlotLabel};

    /// What two do that find two keys and remove one each: whoever comes last finds none left.
    #[test]
    fn the_last_key_is_put_back() {
        let ring = Arc::new(KeyRing::of(&MasterKey::from_bytes([3; 32])));
        let work = Work { memory_kib: 64, passes: 1 };
        let password = Password::new(b"one".to_vec());
        let slot = wrap(&ring, &password, work, &SlotLabel("a test".into())).unwrap();
        let remote = Remote::memory();
        let last = put_slot(&remote, &slot).unwrap();
        let locked = Locked { key: ring.id().clone(), kept: Vec::new(), copy: None };
        let meant = Meant { remote: remote.clone(), locked };
        let unlocked = Unlocked { ring, slot: last.id.clone() };
        let error = meant.remove(&unlocked, &last.id).unwrap_err();
        assert!(matches!(error, OpError::Keys(KeysError::LastKey { .. })), "{error:?}");
        assert_eq!(read_slots(&remote).unwrap().whole, [last]);
    }
}
