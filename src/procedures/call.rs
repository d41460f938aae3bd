//! A call: the name of a procedure and what it is given.

use super::arguments::Arguments;
use super::rows::value_from_json;
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
    /// A call with arguments by name, as JSON has them: null, true, false, numbers and texts.
    ///
    /// # Errors
    /// [`OpError::BadCall`] for lists and objects.
    pub fn from_json<'a>(
        name: &str,
        arguments: impl IntoIterator<Item = (&'a String, &'a serde_json::Value)>,
    ) -> Result<Self, OpError> {
        let given = |(argument, value): (&String, &serde_json::Value)| {
            let value = value_from_json(value).ok_or_else(|| OpError::BadCall {
                reason: format!("the argument '{argument}' is a list or an object"),
                hint: "an argument is a number, a text, true, false or null".into(),
            })?;
            Ok(Given::named(argument, value))
        };
        let arguments = arguments.into_iter().map(given).collect::<Result<_, OpError>>()?;
        Ok(Self { name: name.to_owned(), arguments })
    }

    /// Which procedure is meant.
    ///
    /// # Errors
    /// [`OpError::BadCall`] when there is none, or it is not clear which.
    pub fn procedure(&self) -> Result<&'static Procedure, OpError> {
        Ok(self.clone().choose()?.0)
    }

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
