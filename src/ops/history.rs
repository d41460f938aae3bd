//! A database's history in a store: which snapshots there are, and which one a person means.

use std::path::Path;

use super::spec::{Spec, Version, title};
use super::{Context, Database, OpError, lines, retention};
use crate::base::ordered::ordered;
use crate::base::{Name, SnapshotNumber};
use crate::format::marks::Marks;
use crate::format::record::{Header, Record, SnapshotName};
use crate::format::refs::RefName;
use crate::store::{Store, StoreError};

/// Requests for records under way at once.
const FETCHES: usize = 8;

/// One line of one database, in one store, with what it starts from.
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

    /// Bytes it added to its store when it was made: packs of its own, and the record.
    pub fn added_bytes(&self) -> u64 {
        if self.rides { self.record_bytes } else { self.header.totals.added_bytes + self.record_bytes }
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
                let first = names.split(", ").next().unwrap_or_default();
                Err(OpError::WhichDatabase {
                    reason: format!("the store holds several databases: {names}"),
                    next: format!("say which, like {first}@latest"),
                })
            }
        }
    }

    /// The history a spec speaks of when a database is at hand. Without a name it is that database's own line; a name
    /// alone may be that of a line or a tag of it.
    ///
    /// # Errors
    /// As [`History::find`].
    pub fn find_for(store: Store, spec: &mut Spec, database: Option<&Database>) -> Result<History, OpError> {
        let Some(at_hand) = database else { return Self::find(store, spec, None) };
        // Who names it by its path means what is here, whatever it is called in stores.
        let is_path = |name: &Name| *name != at_hand.name && at_hand.config().path == Path::new(name.as_str());
        if spec.database.as_ref().is_some_and(is_path) {
            spec.database = Some(at_hand.name.clone());
        }
        if let Some(word) = spec.bare().filter(|word| **word != at_hand.name).cloned()
            && store.lines(&word)?.is_empty()
        {
            let is_tag = store.newest_ref(&at_hand.name, &RefName::tag(word.clone()))?;
            if is_line(&store, &at_hand.name, &word)? {
                *spec = Spec { database: None, line: Some(word), ..spec.clone() };
            } else if is_tag.is_some_and(|tag| tag.header.target.is_some()) {
                *spec = Spec { database: None, version: Version::Word(word.to_string()), ..spec.clone() };
            }
        }
        let mut history = Self::find(store, spec, Some(&at_hand.name))?;
        if spec.line.is_none() && history.database == at_hand.name {
            history.line = at_hand.config().line.clone();
        }
        Ok(history)
    }

    /// The newest snapshot of the line; while it has none of its own, the one it starts from.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn tip(&self) -> Result<Option<SnapshotName>, OpError> {
        Ok(self.names(1)?.into_iter().next())
    }

    /// The names of the newest snapshots, newest first, and of those before the line's start; without those that were
    /// forgotten. The newest never is, so that for it alone nothing is asked.
    pub(super) fn names(&self, count: usize) -> Result<Vec<SnapshotName>, OpError> {
        let marks = if count > 1 { self.marks()? } else { Marks::default() };
        let wanted = if marks.is_empty() { count } else { usize::MAX };
        let mut names = lines::names(&self.store, &self.database, &self.line, wanted)?;
        names.retain(|name| !marks.is_forgotten(name));
        names.truncate(count);
        Ok(names)
    }

    /// The marks on the database's snapshots.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn marks(&self) -> Result<Marks, OpError> {
        retention::marks(&self.store, &self.database)
    }

    fn read(&self, name: &SnapshotName) -> Result<Record, StoreError> {
        self.store.record(&self.database, &name.line, name.number)
    }

    /// The record a version means.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub fn resolve(&self, spec: &Spec) -> Result<Record, OpError> {
        let name = match &spec.version {
            Version::Number(number) => self.numbered(*number)?,
            Version::Latest(back) => {
                let names = self.names(*back as usize + 1)?;
                names.get(*back as usize).cloned().ok_or_else(|| self.none(spec))?
            }
            Version::Time(moment) => {
                let names = self.names(usize::MAX)?;
                return self.at_time(&names, *moment)?.ok_or_else(|| self.none(spec));
            }
            Version::Word(word) => match self.tagged(word)? {
                Some(record) => return Ok(record),
                None => self.called(word, spec)?,
            },
        };
        self.read(&name).map_err(|error| match error {
            StoreError::NoSnapshot { .. } => self.none(spec),
            other => other.into(),
        })
    }

    /// The snapshot of this number: the line's own, or one before its start.
    fn numbered(&self, number: SnapshotNumber) -> Result<SnapshotName, OpError> {
        let own = SnapshotName { line: self.line.clone(), number };
        match lines::start(&self.store, &self.database, &self.line)? {
            Some(start) if number <= start.number => {
                let all = lines::names(&self.store, &self.database, &self.line, usize::MAX)?;
                let found = all.into_iter().find(|name| name.number == number);
                Ok(found.unwrap_or(own))
            }
            _ => Ok(own),
        }
    }

    /// The snapshot that a tag stands for, if there is one of this name.
    fn tagged(&self, word: &str) -> Result<Option<Record>, OpError> {
        let Ok(name) = Name::new(word) else { return Ok(None) };
        let tag = self.store.newest_ref(&self.database, &RefName::tag(name))?;
        let Some(target) = tag.and_then(|tag| tag.header.target) else { return Ok(None) };
        let record = self.read(&target.name())?;
        if record.id != target.id {
            return Err(OpError::WrongContent { what: format!("tag {word}") });
        }
        Ok(Some(record))
    }

    /// The snapshot whose id begins so, or that was given this name when it was made: on this line, else on any.
    fn called(&self, word: &str, spec: &Spec) -> Result<SnapshotName, OpError> {
        let fits = |found: &Listed| {
            found.id.to_string().starts_with(word) && word.len() >= 4
                || found.header.labels.get("name").is_some_and(|name| name == word)
        };
        let mut found = self.list(usize::MAX)?;
        found.retain(fits);
        if found.is_empty() {
            let marks = self.marks()?;
            for line in self.store.lines(&self.database)?.into_iter().filter(|line| *line != self.line) {
                let numbers = self.store.numbers(&self.database, &line, usize::MAX)?;
                let names = numbers.into_iter().map(|number| SnapshotName { line: line.clone(), number });
                let names = names.filter(|name| !marks.is_forgotten(name)).collect();
                found.extend(self.read_all(names)?.into_iter().filter(fits));
            }
        }
        match found.as_slice() {
            [] => Err(self.none(spec)),
            [one] => Ok(one.header.name()),
            [first, .., last] => {
                let (last, first) = (last.header.number, first.header.number);
                let reason = format!("several snapshots fit, from {last} to {first}");
                Err(OpError::BadSpec { text: spec.text.clone(), reason })
            }
        }
    }

    /// The newest record that is not younger than a moment: halving, in one run of ascending times after the other, from the
    /// newest on. A clock that was put back begins a run.
    fn at_time(&self, newest_first: &[SnapshotName], moment: jiff::Timestamp) -> Result<Option<Record>, OpError> {
        let mut rest = newest_first;
        while let Some(newest) = rest.first() {
            let last = self.read(newest)?;
            let first = last.header.ascends_from;
            let count = first.map_or(rest.len(), |first| rest.partition_point(|name| name.number >= first)).max(1);
            if last.header.created_at <= moment {
                return Ok(Some(last));
            }
            let (mut low, mut high) = (1, count);
            let mut found = None;
            while low < high {
                let middle = (low + high) / 2;
                let record = self.read(&rest[middle])?;
                if record.header.created_at <= moment {
                    high = middle;
                    found = Some(record);
                } else {
                    low = middle + 1;
                }
            }
            if found.is_some() {
                return Ok(found);
            }
            rest = &rest[count..];
        }
        Ok(None)
    }

    fn none(&self, spec: &Spec) -> OpError {
        let has = match self.tip() {
            Ok(Some(_)) if matches!(spec.version, Version::Time(_)) => self.oldest(),
            Ok(Some(tip)) => format!("{} at most", title(&self.database, &self.line, tip.number)),
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
            Version::Number(number) => title(&self.database, &self.line, *number),
            _ => format!("{}@{}", self.database, spec.text.split('@').next_back().unwrap_or_default()),
        };
        OpError::NoSnapshot { spec, remote: self.store.remote().name().to_owned(), has }
    }

    /// What there is in place of a snapshot that would be older than all.
    fn oldest(&self) -> String {
        let read = || -> Result<Option<Record>, OpError> {
            let oldest = self.names(usize::MAX)?.pop();
            Ok(oldest.map(|name| self.read(&name)).transpose()?)
        };
        let Ok(Some(Record { header, .. })) = read() else { return String::new() };
        let (name, at) = (title(&header.database, &header.line, header.number), header.created_at);
        format!("none so old: the oldest, {name}, is of {}", at.strftime("%Y-%m-%d %H:%M:%S UTC"))
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
        self.read_all(self.names(count)?)
    }

    pub(super) fn read_all(&self, names: Vec<SnapshotName>) -> Result<Vec<Listed>, OpError> {
        let mut found = Vec::with_capacity(names.len());
        ordered(
            FETCHES.min(names.len()).max(1),
            2 * FETCHES,
            |give| names.into_iter().all(give),
            || (),
            |(), name| Ok(Listed::of(&self.read(&name)?)),
            |listed: Result<Listed, StoreError>| -> Result<(), StoreError> {
                found.push(listed?);
                Ok(())
            },
        )?;
        Ok(found)
    }
}

/// Whether a database has this line in a store.
fn is_line(store: &Store, database: &Name, line: &Name) -> Result<bool, OpError> {
    let live = store.newest_ref(database, &RefName::line(line.clone()))?;
    Ok(match live {
        Some(record) => record.header.target.is_some(),
        None => store.newest(database, line)?.is_some(),
    })
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
