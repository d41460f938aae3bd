//! What speaks for the snapshots of a database in one store: tags, lines, holds, and remotes that lack them.

use std::collections::BTreeMap;

use super::plan::Candidate;
use super::{RetentionError, held, marks, plan};
use crate::base::{Name, SnapshotNumber};
use crate::format::marks::Marks;
use crate::format::record::{Header, SnapshotName};
use crate::ops::{Context, Database, History, Listed, OpError, ReadFrom, Refs, lines, spec};
use crate::store::Store;

/// What is known of the snapshots of a database at a place.
pub(super) struct Facts {
    database: Name,
    pub(super) marks: Marks,
    /// Marks of the local store, when that is another: a hold travels with the next sync.
    here: Marks,
    tags: BTreeMap<SnapshotName, Vec<Name>>,
    starts: BTreeMap<SnapshotName, Vec<Name>>,
    /// The newest number of each line.
    newest: BTreeMap<Name, SnapshotNumber>,
    /// The numbers of each line's own snapshots, newest first.
    numbers: BTreeMap<Name, Vec<SnapshotNumber>>,
    /// Each remote, with the newest that it is known to have of each line.
    remotes: Vec<(Name, BTreeMap<Name, SnapshotNumber>)>,
}

impl Facts {
    /// Looks at a place, and at the local store beside it when its database is kept here.
    ///
    /// # Errors
    /// When anything cannot be read.
    pub(super) fn load(context: &Context, from: &ReadFrom, name: &Name) -> Result<Self, OpError> {
        let kept = from.database.as_ref().filter(|database| database.name == *name);
        let mut facts = Self {
            database: name.clone(),
            marks: marks(&from.store, name)?,
            here: Marks::default(),
            tags: BTreeMap::new(),
            starts: BTreeMap::new(),
            newest: BTreeMap::new(),
            numbers: BTreeMap::new(),
            remotes: Vec::new(),
        };
        facts.take_refs(&from.store)?;
        for line in lines::lines(&from.store, name)? {
            let mut numbers = from.store.numbers(name, &line.name, usize::MAX)?;
            numbers.retain(|number| *number >= line.first());
            if let Some(newest) = numbers.first() {
                facts.newest.insert(line.name.clone(), *newest);
            }
            facts.numbers.insert(line.name, numbers);
        }
        match kept {
            Some(database) if from.is_local() => facts.remotes = remotes(database, facts.numbers.keys()),
            Some(database) => {
                let local = database.local_store(context)?;
                facts.here = marks(&local, name)?;
                facts.take_refs(&local)?;
            }
            None => {}
        }
        Ok(facts)
    }

    fn take_refs(&mut self, store: &Store) -> Result<(), OpError> {
        let refs = Refs::load(store, &self.database)?;
        let note = |known: &mut BTreeMap<SnapshotName, Vec<Name>>, at: SnapshotName, name: &Name| {
            let names = known.entry(at).or_default();
            if !names.contains(name) {
                names.push(name.clone());
            }
        };
        refs.tags().for_each(|(name, _, target)| note(&mut self.tags, target.name(), name));
        refs.lines().for_each(|(name, _, target)| note(&mut self.starts, target.name(), name));
        Ok(())
    }

    /// All snapshots that are not forgotten, of every line.
    pub(super) fn visible(&self, history: &History) -> Result<Vec<Listed>, OpError> {
        let names = self.numbers.iter().flat_map(|(line, numbers)| {
            numbers.iter().map(|number| SnapshotName { line: line.clone(), number: *number })
        });
        history.read_all(names.filter(|name| !self.marks.is_forgotten(name)).collect())
    }

    /// What a plan is told of a snapshot.
    pub(super) fn candidate(&self, header: &Header) -> Candidate {
        let name = header.name();
        let mark = [&self.marks, &self.here].into_iter().find(|marks| marks.is_held(&name));
        let hold = mark.and_then(|marks| marks.get(&name)).map(|one| one.reason.clone().unwrap_or_default());
        let lacks = |newest: &BTreeMap<Name, SnapshotNumber>| newest.get(&name.line).is_none_or(|n| *n < name.number);
        Candidate {
            created_at: header.created_at,
            tags: self.tags.get(&name).cloned().unwrap_or_default(),
            labels: header.labels.clone(),
            starts: self.starts.get(&name).cloned().unwrap_or_default(),
            held: hold,
            lacking: self.remotes.iter().filter(|(_, newest)| lacks(newest)).map(|(name, _)| name.clone()).collect(),
            name,
        }
    }

    /// Whether a person may forget a snapshot. That a remote lacks it yet is theirs to judge.
    pub(super) fn may_forget(&self, header: &Header) -> Result<(), OpError> {
        let name = header.name();
        let snapshot = spec::title(&self.database, &name.line, name.number);
        let stays = |reason: String, next: String| {
            Err(RetentionError::Stays { snapshot: snapshot.clone(), reason, next }.into())
        };
        if self.newest.get(&name.line) == Some(&name.number) {
            let next = "the next snapshot builds on it; forget it when there is a newer one".into();
            return stays("it is the newest of its line".into(), next);
        }
        let own = [&self.marks, &self.here].into_iter().find(|marks| marks.is_held(&name));
        if let Some(mark) = own.and_then(|marks| marks.get(&name)) {
            return Err(held(&snapshot, mark).into());
        }
        let candidate = Candidate { lacking: Vec::new(), ..self.candidate(header) };
        match plan::protections(&candidate).next() {
            None => Ok(()),
            Some(plan::Reason::Tagged(tag)) => {
                stays(format!("tag {tag} stands for it"), format!("delete the tag first: pagekeep tag --delete {tag}"))
            }
            Some(plan::Reason::Start(line)) => stays(
                format!("line {line} starts at it"),
                format!("delete the line first: pagekeep branch --delete {line}"),
            ),
            Some(other) => stays(other.to_string(), "`pagekeep retention show` lists what is held".into()),
        }
    }
}

/// What each remote of a folder is known to have.
fn remotes<'a>(
    database: &Database,
    lines_there: impl Iterator<Item = &'a Name> + Clone,
) -> Vec<(Name, BTreeMap<Name, SnapshotNumber>)> {
    let known = |remote: Name| {
        let memory = database.workspace.recall_remote(&remote);
        let newest = lines_there.clone().filter_map(|line| {
            let pushed = lines::known(database, &memory, line)?;
            Some((line.clone(), pushed.number))
        });
        (remote, newest.collect())
    };
    database.remote_names().into_iter().map(known).collect()
}
