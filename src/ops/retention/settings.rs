//! The policy of each place, as it is configured.

use std::collections::BTreeMap;

use super::{LOCAL, RetentionError};
use crate::base::policy::Policy;
use crate::ops::{Database, OpError};

/// The places that have a policy, each with it: `.` is the local store, all others are remotes by their names.
pub fn policies(database: &Database) -> &BTreeMap<String, Policy> {
    &database.workspace.config.retention
}

/// Sets the policy of a remote, or of the local store, in the place of the one it had. Returns the place.
///
/// # Errors
/// When the policy names nothing to keep, or there is no such remote.
pub fn set_policy(database: &mut Database, remote: Option<&str>, policy: Policy) -> Result<String, OpError> {
    if policy.is_empty() {
        return Err(RetentionError::EmptyPolicy.into());
    }
    let place = place(database, remote)?;
    database.workspace.change(|config| -> Result<(), OpError> {
        config.retention.insert(place.clone(), policy);
        Ok(())
    })?;
    Ok(place)
}

/// Takes the policy of a place away. Returns the place.
///
/// # Errors
/// When it has none.
pub fn clear_policy(database: &mut Database, remote: Option<&str>) -> Result<String, OpError> {
    let place = remote.unwrap_or(LOCAL).to_owned();
    let had = database.workspace.change(|config| -> Result<_, OpError> { Ok(config.retention.remove(&place)) })?;
    match had {
        Some(_) => Ok(place),
        None => Err(RetentionError::NoPolicy { place: Some(place) }.into()),
    }
}

fn place(database: &Database, remote: Option<&str>) -> Result<String, OpError> {
    let Some(name) = remote.filter(|name| *name != LOCAL) else { return Ok(LOCAL.to_owned()) };
    let known: Vec<String> = database.remote_names().iter().map(ToString::to_string).collect();
    match known.iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(OpError::NoBackup { name: name.to_owned(), known }),
    }
}
