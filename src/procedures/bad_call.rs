//! Calls that cannot be: what is wrong, what was probably meant, how it is called.

use super::Procedure;
use super::procedure::nearest;
use super::registry::{all, spellings};
use crate::ops::OpError;

/// A failure of the call itself, with how the procedure is called.
pub(super) fn of(procedure: &Procedure, reason: String) -> OpError {
    OpError::BadCall { reason, hint: format!("it is called as {}", procedure.signature()) }
}

/// There is no procedure of this name.
pub fn no_procedure(name: &str) -> OpError {
    let reason = format!("there is no procedure '{name}'{}", meant(nearest(name, all().iter().flat_map(spellings))));
    OpError::BadCall { reason, hint: "list what there is: pagekeep call --list".into() }
}

/// A procedure of verbs is called without one, or with one it does not have.
pub(super) fn no_verb(name: &str, found: Option<&str>, verbs: &[&str]) -> OpError {
    let reason = match found {
        Some(found) => format!("{name} does not know '{found}'{}", meant(nearest(found, verbs.iter().copied()))),
        None => format!("{name} needs to be told what to do"),
    };
    let verbs = verbs.iter().map(|verb| format!("{name}('{verb}', …)")).collect::<Vec<_>>().join(", ");
    OpError::BadCall { reason, hint: format!("there are {verbs}") }
}

/// There is no argument of this name.
pub(super) fn no_argument(procedure: &Procedure, name: &str) -> OpError {
    let known = procedure.arguments.iter().map(|argument| argument.name);
    let reason = format!("{} has no argument '{name}'{}", procedure.name, meant(nearest(name, known)));
    of(procedure, reason)
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; is '{name}' meant?")).unwrap_or_default()
}
