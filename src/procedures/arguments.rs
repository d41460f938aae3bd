//! Arguments: given by place or by name, checked against what a procedure takes.

use super::procedure::folded;
use super::{Argument, Kind, Procedure, Value, bad_call};
use crate::ops::OpError;

/// An argument as a caller gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Its name, when it is not given by its place.
    pub name: Option<String>,
    /// Its value.
    pub value: Value,
}

impl Given {
    /// By its place among the others.
    pub fn at_its_place(value: impl Into<Value>) -> Self {
        Self { name: None, value: value.into() }
    }

    /// By its name.
    pub fn named(name: &str, value: impl Into<Value>) -> Self {
        Self { name: Some(name.to_owned()), value: value.into() }
    }
}

/// The arguments of one call, each of its kind or null.
#[derive(Debug)]
pub(super) struct Arguments {
    values: Vec<(&'static str, Value)>,
}

impl Arguments {
    /// Gives each argument its value: what is given, or its default.
    ///
    /// # Errors
    /// [`OpError::BadCall`] for what is unknown, missing, given twice, too many, or of another kind.
    pub(super) fn bind(procedure: &'static Procedure, given: Vec<Given>) -> Result<Self, OpError> {
        let mut values: Vec<Option<Value>> = vec![None; procedure.arguments.len()];
        let mut place = 0;
        for Given { name, value } in given {
            let (at, value) = match (name, flag_named(procedure, &value)) {
                (Some(name), _) => (named(procedure, &name)?, value),
                (None, Some(flag)) => (flag, Value::Integer(1)),
                (None, None) => {
                    place += 1;
                    (place - 1, value)
                }
            };
            let Some(argument) = procedure.arguments.get(at) else {
                let most = procedure.arguments.len() + usize::from(!procedure.verbs.is_empty());
                return Err(bad_call::of(procedure, format!("{} takes {most} arguments at most", procedure.name)));
            };
            if values[at].is_some() {
                return Err(bad_call::of(procedure, format!("the argument '{}' is given twice", argument.name)));
            }
            values[at] = Some(converted(procedure, argument, value)?);
        }
        let filled = procedure.arguments.iter().zip(values).map(|(argument, value)| {
            let missing = || bad_call::of(procedure, format!("{} needs '{}'", procedure.name, argument.name));
            let value = match (value.filter(|value| *value != Value::Null), argument.default) {
                (Some(value), _) => value,
                (None, Some(default)) => default.value(),
                (None, None) => return Err(missing()),
            };
            Ok((argument.name, value))
        });
        Ok(Self { values: filled.collect::<Result<_, _>>()? })
    }

    fn value(&self, name: &str) -> &Value {
        &self.values.iter().find(|(known, _)| *known == name).expect("BUG: an argument that is not in the registry").1
    }

    /// A text, when there is one.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text that must be given.
    pub(super) fn text(&self, name: &str) -> &str {
        self.optional(name).expect("BUG: an argument without a default")
    }

    /// An integer, when there is one.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether a flag says yes.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.integer(name).is_some_and(|number| number != 0)
    }
}

/// The place of the argument of this name.
fn named(procedure: &Procedure, name: &str) -> Result<usize, OpError> {
    let wanted = folded(name);
    let fits = |argument: &Argument| {
        folded(argument.name) == wanted || argument.aliases.iter().any(|alias| folded(alias) == wanted)
    };
    procedure.arguments.iter().position(fits).ok_or_else(|| bad_call::no_argument(procedure, name))
}

/// The place of the flag that a text like `--force` stands for, as Dolt has it.
fn flag_named(procedure: &Procedure, value: &Value) -> Option<usize> {
    let Value::Text(text) = value else { return None };
    let name = folded(text.strip_prefix("--")?);
    procedure.arguments.iter().position(|argument| argument.kind == Kind::Flag && folded(argument.name) == name)
}

/// A value as one of the argument's kind: numbers may come as text, and texts as numbers.
fn converted(procedure: &Procedure, argument: &Argument, value: Value) -> Result<Value, OpError> {
    let found = match (argument.kind, value) {
        (_, Value::Null) => return Ok(Value::Null),
        (Kind::Text, Value::Text(text)) => return Ok(Value::Text(text)),
        (Kind::Text, Value::Integer(number)) => return Ok(Value::Text(number.to_string())),
        (Kind::Flag, Value::Integer(number @ (0 | 1))) => return Ok(Value::Integer(number)),
        (Kind::Flag, Value::Text(text)) => match text.to_lowercase().as_str() {
            "1" | "true" | "yes" => return Ok(Value::Integer(1)),
            "0" | "false" | "no" => return Ok(Value::Integer(0)),
            _ => format!("'{text}'"),
        },
        (Kind::Integer, Value::Integer(number)) => return Ok(Value::Integer(number)),
        (Kind::Integer, Value::Text(text)) => match text.trim().parse() {
            Ok(number) => return Ok(Value::Integer(number)),
            Err(_) => format!("'{text}'"),
        },
        (_, other) => super::rows::shown(&other),
    };
    let wanted = match argument.kind {
        Kind::Integer => "an integer",
        Kind::Text => "a text",
        Kind::Flag => "1 or 0",
    };
    Err(bad_call::of(procedure, format!("'{}' must be {wanted}, not {found}", argument.name)))
}
