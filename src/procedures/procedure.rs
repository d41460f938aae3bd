//! What is known of a procedure: how it is called, what it gives, what it is for.

use super::arguments::Arguments;
use super::rows::Row;
use super::{Caller, Column, Value};
use crate::ops::OpError;

/// What an argument or a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Integer,
    /// Text.
    Text,
    /// 1 for yes, 0 for no.
    Flag,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Integer => "integer",
            Kind::Text => "text",
            Kind::Flag => "flag",
        }
    }

    /// The type of a column in a declaration of SQL.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Kind::Integer | Kind::Flag => "INTEGER",
            Kind::Text => "TEXT",
        }
    }
}

/// A value that is written down in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// Nothing.
    Null,
    /// An integer, or a flag.
    Integer(i64),
    /// Text.
    Text(&'static str),
}

impl Constant {
    pub(super) fn value(self) -> Value {
        match self {
            Constant::Null => Value::Null,
            Constant::Integer(number) => Value::Integer(number),
            Constant::Text(text) => Value::Text(text.to_owned()),
        }
    }
}

/// An argument.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Other names it goes by.
    pub aliases: &'static [&'static str],
    /// What it holds.
    pub kind: Kind,
    /// What it is when it is not given; without one it must be given.
    pub default: Option<Constant>,
    /// What it means.
    pub help: &'static str,
}

/// Whether a procedure changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It only looks: in SQL it is a table as well.
    Reads,
    /// It makes, moves or removes something: in SQL it is a function as well.
    Changes,
}

/// A procedure, or one verb of a procedure that has several.
#[derive(Debug)]
pub struct Procedure {
    /// Its name.
    pub name: &'static str,
    /// Other names it goes by.
    pub aliases: &'static [&'static str],
    /// The first argument by which this verb is chosen, in its spellings; none when the procedure is not one of verbs.
    pub verbs: &'static [&'static str],
    /// The arguments in order, after the verb.
    pub arguments: &'static [Argument],
    /// The columns of its result.
    pub columns: &'static [Column],
    /// Whether it changes anything.
    pub effect: Effect,
    /// What it does.
    pub help: &'static str,
    pub(super) run: fn(&Caller, &Arguments) -> Result<Vec<Row>, OpError>,
}

impl Procedure {
    /// Whether it only looks, or begins or stops a job, and so returns at once without touching a database's files.
    pub fn returns_at_once(&self) -> bool {
        self.effect == Effect::Reads || ["sp_backup_create", "sp_backup_cancel"].contains(&self.name)
    }

    /// The argument of this name, in any of its spellings.
    pub fn argument(&self, name: &str) -> Option<&Argument> {
        let wanted = folded(name);
        let fits = |known: &str| folded(known) == wanted;
        self.arguments.iter().find(|argument| fits(argument.name) || argument.aliases.iter().any(|alias| fits(alias)))
    }

    /// How it is called: `backup('add', name, url [, join])`.
    pub fn signature(&self) -> String {
        let mut text = format!("{}(", self.name);
        let mut first = true;
        if let Some(verb) = self.verbs.first() {
            text.push_str(&format!("'{verb}'"));
            first = false;
        }
        let mut open = 0;
        let needed = self.arguments.iter().rposition(|argument| argument.default.is_none()).map_or(0, |last| last + 1);
        for (place, argument) in self.arguments.iter().enumerate() {
            let separator = if first { "" } else { ", " };
            if place >= needed {
                text.push_str(if first { "[" } else { " [" });
                open += 1;
            }
            text.push_str(separator);
            text.push_str(argument.name);
            first = false;
        }
        text.push_str(&"]".repeat(open));
        text + ")"
    }
}

/// A name without what tells one spelling from another: `BackupId`, `backup_id`, `backup-id`.
pub(super) fn folded(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// The nearest of these names, when one is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = folded(name);
    let scored = known.into_iter().map(|known| (strsim::jaro_winkler(&name, &folded(known)), known));
    scored.filter(|(score, _)| *score > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
