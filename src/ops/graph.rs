//! Snapshots of several lines in one order: newest first, each before the one it follows.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use super::{History, Listed, OpError, Refs, lines};
use crate::base::{Name, SnapshotId, SnapshotNumber};
use crate::format::record::SnapshotName;

/// A snapshot with the names that lead to it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The snapshot.
    pub listed: Listed,
    /// Lines whose newest snapshot it is, or that start from it and have none yet.
    pub lines: Vec<Name>,
    /// Tags that stand for it.
    pub tags: Vec<Name>,
}

/// Snapshots, newest first.
#[derive(Clone, Debug)]
pub struct Graph {
    /// One row for each.
    pub rows: Vec<Row>,
}

/// The snapshots of a history; with `all` those of every line and tag of its database.
///
/// # Errors
/// When the store cannot be read.
pub fn graph(history: &History, all: bool, limit: usize) -> Result<Graph, OpError> {
    let (store, database) = (&history.store, &history.database);
    let marks = history.marks()?;
    let refs = Refs::load(store, database)?;
    let mut live: Vec<Name> =
        lines(store, database)?.into_iter().filter(|line| !line.deleted).map(|line| line.name).collect();
    if !all {
        live.retain(|line| *line == history.line);
    }
    let mut names: BTreeSet<SnapshotName> = BTreeSet::new();
    let mut tips: BTreeMap<SnapshotName, Vec<Name>> = BTreeMap::new();
    for line in live {
        let mut found = lines::names(store, database, &line, usize::MAX)?;
        found.retain(|name| !marks.is_forgotten(name));
        if let Some(tip) = found.first() {
            tips.entry(tip.clone()).or_default().push(line);
        }
        names.extend(found);
    }
    let mut tags: BTreeMap<SnapshotName, Vec<Name>> = BTreeMap::new();
    for (tag, _, target) in refs.tags() {
        tags.entry(target.name()).or_default().push(tag.clone());
        // What a deleted line holds is shown as far as a tag leads to it.
        if all && !names.contains(&target.name()) {
            let found = lines::names(store, database, &target.line, usize::MAX)?;
            let leads = |name: &SnapshotName| name.number <= target.number && !marks.is_forgotten(name);
            names.extend(found.into_iter().filter(leads));
        }
    }
    let listed = history.read_all(names.into_iter().collect())?;
    let row = |listed: Listed| {
        let name = listed.header.name();
        let named = |map: &BTreeMap<SnapshotName, Vec<Name>>| map.get(&name).cloned().unwrap_or_default();
        Row { lines: named(&tips), tags: named(&tags), listed }
    };
    let mut rows: Vec<Row> = sorted(listed).into_iter().map(row).collect();
    rows.truncate(limit);
    Ok(Graph { rows })
}

/// Newest first, but none before one that follows it: clocks of several machines may differ.
fn sorted(listed: Vec<Listed>) -> Vec<Listed> {
    let mut children: HashMap<SnapshotId, u32> = HashMap::new();
    for one in &listed {
        if let Some(parent) = one.header.parent {
            *children.entry(parent).or_default() += 1;
        }
    }
    let key = |one: &Listed| (one.header.created_at, one.header.number, one.id);
    let mut left: HashMap<SnapshotId, Listed> = listed.into_iter().map(|one| (one.id, one)).collect();
    let mut ready: BinaryHeap<(jiff::Timestamp, SnapshotNumber, SnapshotId)> =
        left.values().filter(|one| !children.contains_key(&one.id)).map(key).collect();
    let mut sorted = Vec::with_capacity(left.len());
    while let Some((.., id)) = ready.pop() {
        let Some(one) = left.remove(&id) else { continue };
        if let Some(parent) = one.header.parent
            && let Some(waiting) = children.get_mut(&parent)
        {
            *waiting -= 1;
            if *waiting == 0 {
                ready.extend(left.get(&parent).map(key));
            }
        }
        sorted.push(one);
    }
    sorted
}
