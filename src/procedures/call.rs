//! A call: the name of a procedure and what it is given.

use super::arguments::Arguments;
use super::{Caller, Given, Procedure, Rows, Value, bad_call, registry};
use crate::ops::OpError;

/// A call of a procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The procedure's name, in any of its spellings.
    pub name: String,
    /// What it is given.
    pub arguments: Vec<Given>,
}

impl Call {
    /// Calls a procedure.
    ///
    /// # Errors
    /// [`OpError::BadCall`] when there is no such procedure or it cannot be called so; otherwise what the operation fails
    /// with.
    pub fn run(self, caller: &Caller) -> Result<Rows, OpError> {
        let (procedure, given) = self.choose()?;
        let arguments = Arguments::bind(procedure, given)?;
        Ok(Rows { columns: procedure.columns, rows: (procedure.run)(caller, &arguments)? })
    }

    /// The procedure that is meant, and its arguments without the verb.
    fn choose(self) -> Result<(&'static Procedure, Vec<Given>), OpError> {
        let Call { name, mut arguments } = self;
        let found = registry::named(&name);
        let Some(first) = found.first() else { return Err(bad_call::no_procedure(&name)) };
        if first.verbs.is_empty() {
            return Ok((first, arguments));
        }
        let verbs: Vec<&str> = found.iter().filter_map(|procedure| procedure.verbs.first().copied()).collect();
        let is_verb = |given: &Given| given.name.as_deref().is_none_or(|name| name.eq_ignore_ascii_case("verb"));
        let Some(at) = arguments.iter().position(is_verb) else {
            return Err(bad_call::no_verb(first.name, None, &verbs));
        };
        let verb = match arguments.remove(at).value {
            Value::Text(verb) => verb,
            other => super::rows::shown(&other),
        };
        match found.iter().copied().find(|procedure| registry::has_verb(procedure, &verb)) {
            Some(procedure) => Ok((procedure, arguments)),
            None => Err(bad_call::no_verb(first.name, Some(&verb), &verbs)),
        }
    }
}
