//! A database's history in a store: which snapshots there are, and which one a person means.

use super::spec::{Spec, Version};
use super::{Context, OpError};
use crate::base::ordered::ordered;
use crate::base::{Name, SnapshotNumber};
use crate::format::record::{Header, Record};
use crate::store::{Store, StoreError};

/// Requests for records under way at once.
const FETCHES: usize = 8;

/// One line of one database, in one store.
#[derive(Clone, Debug)]
pub struct History {
    /// The store.
    pub store: Store,
    /// The database.
    pub database: Name,
    /// The line.
    pub line: Name,
}

/// A snapshot in a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its record's header.
    pub header: Header,
    /// Its identity.
    pub id: crate::base::SnapshotId,
    /// Bytes of the record, and of what rides in it.
    pub record_bytes: u64,
    /// Whether the snapshot's pack rides in the record.
    pub rides: bool,
}

impl Listed {
    /// What a listing shows of a record.
    pub fn of(record: &Record) -> Self {
        let (record_bytes, rides) = (record.stored_bytes, record.pack.is_some());
        Self { header: record.header.clone(), id: record.id, record_bytes, rides }
    }
}

impl History {
    /// The history a spec speaks of. A store with one database needs no name; `default` is the one at hand.
    ///
    /// # Errors
    /// When it is not clear which database is meant.
    pub fn find(store: Store, spec: &Spec, default: Option<&Name>) -> Result<History, OpError> {
        let line = spec.line.clone().unwrap_or_else(Name::main_line);
        if let Some(database) = spec.database.clone().or_else(|| default.cloned()) {
            return Ok(History { store, database, line });
        }
        let mut names: Vec<Name> = store.all_snapshots()?.into_iter().map(|(database, ..)| database).collect();
        names.dedup();
        match names.as_slice() {
            [database] => Ok(History { store, database: database.clone(), line }),
            // Nothing listed: is it a store at all? What answers in its place may well have lists without entries.
            [] => Err(Store::open(store.remote().clone()).err().map(OpError::from).unwrap_or(OpError::NoSnapshot {
                spec: spec.text.clone(),
                remote: store.remote().name().to_owned(),
                has: "no snapshot at all".into(),
            })),
            names => {
                let names = names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
                Err(OpError::WhichDatabase {
                    reason: format!(
                        "the store holds several databases, say which, like {}@latest: {names}",
                        names.split(", ").next().unwrap_or_default()
                    ),
                })
            }
        }
    }

    /// The record a version means.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub fn resolve(&self, spec: &Spec) -> Result<Record, OpError> {
        let number = match &spec.version {
            Version::Number(number) => *number,
            Version::Latest(back) => {
                let numbers = self.store.numbers(&self.database, &self.line, *back as usize + 1)?;
                *numbers.get(*back as usize).ok_or_else(|| self.none(spec))?
            }
            Version::Time(moment) => {
                let numbers = self.store.numbers(&self.database, &self.line, usize::MAX)?;
                return self.at_time(&numbers, *moment)?.ok_or_else(|| self.none(spec));
            }
            Version::Word(word) => {
                let fits = |found: &Listed| {
                    found.id.to_string().starts_with(word.as_str()) && word.len() >= 4
                        || found.header.labels.get("name") == Some(word)
                };
                let found: Vec<_> = self.list(usize::MAX)?.into_iter().filter(fits).collect();
                match found.as_slice() {
                    [] => return Err(self.none(spec)),
                    [one] => one.header.number,
                    [first, .., last] => {
                        let (last, first) = (last.header.number, first.header.number);
                        let reason = format!("several snapshots fit, from {last} to {first}");
                        return Err(OpError::BadSpec { text: spec.text.clone(), reason });
                    }
                }
            }
        };
        self.store.record(&self.database, &self.line, number).map_err(|error| match error {
            StoreError::NoSnapshot { .. } => self.none(spec),
            other => other.into(),
        })
    }

    /// The newest record that is not younger than a moment: halving, since times ascend with numbers.
    fn at_time(&self, newest_first: &[SnapshotNumber], moment: jiff::Timestamp) -> Result<Option<Record>, OpError> {
        let (mut low, mut high) = (0, newest_first.len());
        let mut found = None;
        while low < high {
            let middle = (low + high) / 2;
            let record = self.store.record(&self.database, &self.line, newest_first[middle])?;
            if record.header.created_at <= moment {
                high = middle;
                found = Some(record);
            } else {
                low = middle + 1;
            }
        }
        Ok(found)
    }

    fn none(&self, spec: &Spec) -> OpError {
        let newest = self.store.newest(&self.database, &self.line);
        let has = match newest {
            Ok(Some(number)) => format!("{}@{number} at most", self.database),
            Ok(None) => match self.store.all_snapshots() {
                Ok(all) if !all.is_empty() => {
                    let mut names: Vec<String> = all.iter().map(|(name, ..)| name.to_string()).collect();
                    names.dedup();
                    format!("snapshots of {}", names.join(", "))
                }
                _ => match Store::open(self.store.remote().clone()) {
                    Ok(_) => "no snapshot at all".into(),
                    Err(error) => return error.into(),
                },
            },
            Err(_) => String::new(),
        };
        let spec = match &spec.version {
            Version::Number(number) => format!("{}@{number}", self.database),
            _ => format!("{}@{}", self.database, spec.text.split('@').next_back().unwrap_or_default()),
        };
        OpError::NoSnapshot { spec, remote: self.store.remote().name().to_owned(), has }
    }

    /// The headers of the snapshot that a spec means and of those before it, newest first, `count` at most.
    ///
    /// # Errors
    /// As [`History::resolve`] and [`History::list`].
    pub fn list_from(&self, spec: &Spec, count: usize) -> Result<Vec<Listed>, OpError> {
        if spec.version == Version::Latest(0) {
            return self.list(count);
        }
        let newest = self.resolve(spec)?.header.number;
        let mut found = self.list(usize::MAX)?;
        found.retain(|one| one.header.number <= newest);
        found.truncate(count);
        Ok(found)
    }

    /// The newest snapshots' headers, newest first, several fetched at a time.
    ///
    /// # Errors
    /// When the store cannot be listed or a record cannot be read.
    pub fn list(&self, count: usize) -> Result<Vec<Listed>, OpError> {
        let numbers = self.store.numbers(&self.database, &self.line, count)?;
        let mut found = Vec::with_capacity(numbers.len());
        ordered(
            FETCHES.min(numbers.len()).max(1),
            2 * FETCHES,
            |give| numbers.iter().all(|number| give(*number)),
            || (),
            |(), number| Ok(Listed::of(&self.store.record(&self.database, &self.line, number)?)),
            |listed: Result<Listed, StoreError>| -> Result<(), StoreError> {
                found.push(listed?);
                Ok(())
            },
        )?;
        Ok(found)
    }
}

impl Context {
    /// Reads a person's name for a snapshot.
    ///
    /// # Errors
    /// When it is none.
    pub fn spec(&self, text: &str) -> Result<Spec, OpError> {
        Spec::parse(text, self.now(), &self.zone)
    }
}
