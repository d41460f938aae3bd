//! The walk over a store's objects: what is there, what is needed, and what does not fit.
//!
//! Tables of packs are decoded one at a time; of each a [`Held`] is kept, a few ranges. Order: refs, packs, records from the
//! oldest on, then whatever was named and not seen yet. Only a store with something wrong is walked twice, to say whom it
//! touches.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::finding::{Finding, FindingKind};
use super::held::{Held, wrong_bases};
use super::moved::Moved;
use super::object::{Look, Object, SnapshotPlace};
use super::states::States;
use crate::base::ordered::ordered;
use crate::base::{Name, Nonce, PackId, RefNumber, SnapshotId};
use crate::format::marks::Marks;
use crate::format::record::{Record, SnapshotName};
use crate::format::refs::{RefKind, RefName, RefTarget};
use crate::ops::slots::SlotSet;
use crate::ops::{Context, OpError};
use crate::store::{Store, StoreError, keys, read_slots};

/// Requests under way at once.
const LOOKS: usize = 8;

/// What is known of a record that could be read.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Known {
    pub(in crate::ops) id: SnapshotId,
    pub(in crate::ops) parent: Option<SnapshotId>,
    pub(in crate::ops) lineage: Nonce,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looked {
    /// Records of snapshots.
    pub records: u64,
    /// Records of tags and lines.
    pub refs: u64,
    /// Records of marks on snapshots.
    pub marks: u64,
    /// Packs, those that ride in records too.
    pub packs: u64,
    /// Packs that this store need not have: remotes keep them.
    pub elsewhere: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// A walk, and what it found so far.
pub(in crate::ops) struct Survey<'a> {
    pub(super) context: &'a Context,
    pub(in crate::ops) store: &'a Store,
    /// Whether packs and old records may lie at remotes only.
    pub(super) partial: bool,
    /// The store's identity, as far as its description can be read.
    pub(super) store_id: Option<Nonce>,
    pub(in crate::ops) looked: Looked,
    pub(in crate::ops) findings: BTreeMap<String, Finding>,
    pub(in crate::ops) records: BTreeMap<SnapshotPlace, Option<Known>>,
    pub(in crate::ops) refs: BTreeMap<(Name, RefName), BTreeSet<RefNumber>>,
    pub(in crate::ops) targets: Vec<(Name, RefName, RefTarget)>,
    pub(super) starts: BTreeMap<(Name, Name), RefTarget>,
    pub(super) marks: BTreeMap<Name, Marks>,
    /// Numbers that are taken and have no record.
    pub(super) husks: BTreeSet<SnapshotPlace>,
    /// Packs in bundles, once one was not at its home.
    pub(super) moved: Option<Moved>,
    /// By home: the object in which the pack lies that left it, or lay, as far as that can be known.
    pub(super) lies: BTreeMap<String, String>,
    pub(super) held: HashMap<String, Held>,
    /// What maps and bases name: the home's key, the pack, and the database; with the slots that maps need.
    pub(super) uses: BTreeMap<(String, PackId, Name), SlotSet>,
    /// Homes that are not there and serve as bases only: nothing is lost where the deltas are not needed.
    pub(super) doubtful: BTreeMap<String, StoreError>,
    /// Packs whose bases are checked when all are known.
    pub(super) unchecked: BTreeSet<(String, Name)>,
}

/// Why objects are looked at.
pub(super) enum Role<'a> {
    /// They are part of what is checked, and records are laid together.
    Laid(States<'a>),
    /// They are part of what is checked.
    Wanted,
    /// For the packs in them.
    Home,
}

impl<'a> Survey<'a> {
    pub(super) fn new(context: &'a Context, store: &'a Store, partial: bool) -> Self {
        Self {
            context,
            store,
            partial,
            store_id: None,
            looked: Looked::default(),
            findings: BTreeMap::new(),
            records: BTreeMap::new(),
            refs: BTreeMap::new(),
            targets: Vec::new(),
            starts: BTreeMap::new(),
            husks: BTreeSet::new(),
            moved: None,
            lies: BTreeMap::new(),
            marks: BTreeMap::new(),
            held: HashMap::new(),
            uses: BTreeMap::new(),
            doubtful: BTreeMap::new(),
            unchecked: BTreeSet::new(),
        }
    }

    pub(in crate::ops) fn add(&mut self, finding: Finding) {
        self.findings.entry(finding.object.clone()).or_insert(finding);
    }

    pub(super) fn failed(&mut self, key: &str, error: StoreError) -> Result<(), OpError> {
        let finding = Finding::of(self.store, key, error)?;
        self.add(finding);
        Ok(())
    }

    /// Whether a key is that of an object known to be bad.
    pub(in crate::ops) fn is_bad(&self, key: &str) -> bool {
        self.findings.get(key).is_some_and(Finding::is_bad)
    }

    /// The homes of packs that could be opened, with the packs and their bytes.
    pub(in crate::ops) fn homes(&self) -> impl Iterator<Item = (&String, PackId, u64)> {
        self.held.iter().map(|(key, held)| (key, held.id, held.len))
    }

    /// Whether a pack that is not there may be at remotes only.
    pub(in crate::ops) fn may_lack(&self, home: &str) -> bool {
        self.partial && !self.held.contains_key(home)
    }

    /// Whether a pack that could be opened lies at this key.
    pub(in crate::ops) fn holds(&self, key: &str) -> bool {
        self.held.contains_key(key) || self.lies.values().any(|lies| lies == key)
    }

    /// The object in which the pack lies that is named with a home, where that is another.
    pub(in crate::ops) fn lies_in(&self, home: &str) -> Option<&String> {
        self.lies.get(home)
    }

    /// Whether a pack that cannot be read lies in an object that is known to be bad.
    pub(in crate::ops) fn is_explained(&self, home: &str) -> bool {
        self.lies_in(home).is_some_and(|lies| self.is_bad(lies))
    }

    /// The packs that lie in an object, or lay, with the homes and databases under which they are needed.
    pub(in crate::ops) fn needed_of<'s>(
        &'s self,
        key: &'s str,
    ) -> impl Iterator<Item = (&'s String, PackId, &'s Name)> {
        let there = self.uses.keys().filter(move |(home, ..)| self.lies.get(home).is_some_and(|lies| lies == key));
        there.map(|(home, id, database)| (home, *id, database))
    }

    /// Whether it was said of a number that its snapshot is gone for good.
    pub(in crate::ops) fn is_pruned(&self, (database, line, number): &SnapshotPlace) -> bool {
        let name = SnapshotName { line: line.clone(), number: *number };
        self.marks.get(database).is_some_and(|marks| marks.is_pruned(&name))
    }

    /// The databases whose snapshots use the pack at a home.
    pub(in crate::ops) fn users<'s>(&'s self, home: &str) -> impl Iterator<Item = &'s Name> {
        let from = (home.to_owned(), PackId([0; 32]), Name::main_line());
        let home = home.to_owned();
        self.uses.range(from..).take_while(move |((key, ..), _)| *key == home).map(|((.., database), _)| database)
    }

    /// The slots of a pack at a home that maps need, whosesoever.
    pub(in crate::ops) fn slots(&self, home: &str, id: &PackId) -> SlotSet {
        let mut slots = SlotSet::default();
        let from = (home.to_owned(), PackId([0; 32]), Name::main_line());
        let there = self.uses.range(from..).take_while(|((key, ..), _)| key == home);
        there.filter(|((_, pack, _), _)| pack == id).for_each(|(_, some)| slots.join(some));
        slots
    }

    /// Whether maps need something of the pack at a home; of others only bases may be needed.
    pub(super) fn is_needed(&self, home: &str) -> bool {
        let from = (home.to_owned(), PackId([0; 32]), Name::main_line());
        self.uses.range(from..).take_while(|((key, ..), _)| key == home).any(|(_, slots)| !slots.is_empty())
    }

    /// The packs that are named with a home.
    pub(super) fn named_at<'s>(&'s self, home: &'s str) -> impl Iterator<Item = PackId> + 's {
        let from = (home.to_owned(), PackId([0; 32]), Name::main_line());
        self.uses.range(from..).take_while(move |((key, ..), _)| key == home).map(|((_, id, _), _)| *id)
    }

    /// Looks at everything that is listed.
    pub(super) fn all(&mut self) -> Result<(), OpError> {
        self.look_at([Object::StoreFile], &mut Role::Wanted)?;
        let mut found: [Vec<Object>; 4] = Default::default();
        for (folder, found) in [keys::REFS, keys::MARKS, keys::PACKS, keys::SNAPSHOTS].into_iter().zip(&mut found) {
            for listed in self.store.remote().list(folder)? {
                if self.take_husk(&listed)? {
                    continue;
                }
                match Object::parse(&listed.key) {
                    Some(object) => found.push(object),
                    None => self.add(Finding::new(&listed.key, FindingKind::Unexpected, "no writer makes such a key")),
                }
            }
        }
        // An empty folder is no store that lost everything: nothing may be made there.
        if self.is_bad(keys::STORE_FILE) && found.iter().all(Vec::is_empty) {
            return Err(StoreError::NoStore { remote: self.store.remote().name().to_owned() }.into());
        }
        let [refs, marks, packs, mut records] = found;
        records.sort_by_key(|object| match object {
            Object::Record(place) => Some(place.clone()),
            _ => None,
        });
        self.look_at(refs, &mut Role::Wanted)?;
        self.look_at(marks, &mut Role::Wanted)?;
        let listed: Vec<String> = packs.iter().map(Object::key).collect();
        self.look_at(packs, &mut Role::Wanted)?;
        self.look_at(records, &mut Role::Laid(States::new(self.store)))?;
        self.look_at_named()?;
        self.key_slots()?;
        for key in listed {
            let used = self.users(&key).next().is_some();
            if !used && !self.findings.contains_key(&key) {
                let detail = "no snapshot needs it: a run that was stopped left it; the next one may use it";
                self.add(Finding::new(&key, FindingKind::Unexpected, detail));
            }
        }
        self.gaps();
        Ok(())
    }

    /// Looks at the keys of an encrypted store.
    fn key_slots(&mut self) -> Result<(), OpError> {
        let remote = self.store.remote();
        let Some(ring) = remote.ring()? else { return Ok(()) };
        let slots = read_slots(remote.raw())?;
        for (key, error) in slots.damaged {
            let detail = format!("{error}; its password opens nothing: pagekeep key remove, then add");
            self.add(Finding::new(&key, FindingKind::Damaged, detail));
        }
        if slots.whole.iter().all(|stored| ring.label(&stored.slot).is_none()) {
            let detail =
                "no key is there that opens the store: it is read by machines that have copies, and by nobody else";
            self.add(Finding::new(keys::KEYS, FindingKind::Missing, detail));
        }
        for stored in slots.whole {
            if ring.label(&stored.slot).is_none() {
                let detail = "a key of another store, which opens nothing here";
                self.add(Finding::new(&keys::slot(&stored.id), FindingKind::Unexpected, detail));
            }
        }
        Ok(())
    }

    /// Looks at what one snapshot needs.
    pub(super) fn one(&mut self, record: &Record) -> Result<(), OpError> {
        self.look_at([Object::StoreFile], &mut Role::Wanted)?;
        let header = &record.header;
        let place = |line: &Name, number| Object::Record((header.database.clone(), line.clone(), number));
        let chain = header.chain.iter().map(|link| place(&link.line, link.number));
        let own = place(&header.line, header.number);
        self.look_at(chain.chain([own]).collect::<Vec<_>>(), &mut Role::Wanted)?;
        // Only what is laid on top is needed of the parts below it.
        self.uses.clear();
        match States::new(self.store).lay(record) {
            Ok(state) => self.refer(&header.database, &state.map.to_part()),
            Err((key, error)) => self.failed(&key, error)?,
        }
        self.look_at_named()
    }

    /// Looks at objects, several at a time, and takes them in, in order.
    pub(super) fn look_at(
        &mut self,
        objects: impl IntoIterator<Item = Object, IntoIter: Send>,
        role: &mut Role<'a>,
    ) -> Result<(), OpError> {
        let (store, progress) = (self.store, Arc::clone(&self.context.progress));
        let objects = objects.into_iter();
        ordered(
            LOOKS,
            2 * LOOKS,
            |give| {
                for object in objects {
                    if !give(object) {
                        return;
                    }
                }
            },
            || (),
            |(), object| {
                let look = object.look(store);
                (object, look)
            },
            |(object, look)| -> Result<(), OpError> {
                progress.check()?;
                self.take(object, look, role)
            },
        )
    }

    fn take(
        &mut self,
        object: Object,
        look: Result<(Look, u64), StoreError>,
        role: &mut Role<'a>,
    ) -> Result<(), OpError> {
        let key = object.key();
        let (look, bytes) = match look {
            Ok(found) => found,
            // A later one superseded it, and a prune removed it after it was listed.
            Err(error) if error.is_absence() && matches!(object, Object::Marks(..)) => return Ok(()),
            Err(error) if error.is_absence() && matches!(role, Role::Home) && self.take_moved(&key)? => return Ok(()),
            Err(error) if self.partial && error.is_absence() && matches!(role, Role::Home) => {
                self.looked.elsewhere += 1;
                return Ok(());
            }
            Err(error) if error.is_absence() && matches!(role, Role::Home) && !self.is_needed(&key) => {
                self.doubtful.insert(key, error);
                return Ok(());
            }
            Err(error) => {
                if let (Object::Record(place), Role::Laid(_) | Role::Wanted) = (object, role) {
                    self.records.insert(place, None);
                }
                return self.failed(&key, error);
            }
        };
        self.looked.bytes += bytes;
        match (object, look) {
            (Object::Record(place), Look::Record(record, pack)) => {
                if let Some(table) = pack {
                    self.hold(key.clone(), &place.0, &table);
                }
                if !matches!(role, Role::Home) {
                    self.take_record(place, *record, role)?;
                }
            }
            (Object::StoreFile, Look::StoreFile(file)) => self.store_id = Some(file.store_id),
            (Object::Pack(_), Look::Pack(open)) => {
                self.looked.packs += 1;
                if let Some(bundle) = open.bundle_key() {
                    self.lies.insert(key.clone(), bundle.to_owned());
                }
                self.held.insert(key, Held::of(&open.table));
            }
            (Object::Ref(database, name, number), Look::Ref(record)) => {
                self.looked.refs += 1;
                self.refs.entry((database.clone(), name.clone())).or_default().insert(number);
                let Some(target) = record.header.target else { return Ok(()) };
                // Newest first: an older record counts only for a line that was deleted.
                if name.kind == RefKind::Line {
                    self.starts.entry((database.clone(), name.name.clone())).or_insert_with(|| target.clone());
                }
                if self.targets.last().is_none_or(|(last, known, _)| (last, known) != (&database, &name)) {
                    self.targets.push((database, name, target));
                }
            }
            // Newest first, and the newest says all that holds.
            (Object::Marks(database, _), Look::Marks(record)) => {
                self.looked.marks += 1;
                if let (Entry::Vacant(free), Ok(marks)) = (self.marks.entry(database), Marks::of(&record.header)) {
                    free.insert(marks);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes in the table of a pack that rides in a record.
    fn hold(&mut self, key: String, database: &Name, table: &crate::format::pack::PackTable) {
        self.looked.packs += 1;
        // Before all maps are known, only what holds for each of its deltas can be said.
        if !wrong_bases(database, table, None, |home| self.held.get(home)).is_empty() {
            self.unchecked.insert((key.clone(), database.clone()));
        }
        self.held.insert(key, Held::of(table));
    }

    fn take_record(&mut self, place: SnapshotPlace, record: Record, role: &mut Role<'a>) -> Result<(), OpError> {
        self.looked.records += 1;
        let header = &record.header;
        let is_pruned = |name: &SnapshotName| self.marks.get(&place.0).is_some_and(|marks| marks.is_pruned(name));
        // Of a pruned one only the map stays, for those that build on it; what they need of it is laid together.
        let (own, below) = (is_pruned(&header.name()), header.chain.iter().any(is_pruned));
        if !own {
            self.refer(&place.0, &record.map);
        }
        let known = Known { id: record.id, parent: header.parent, lineage: header.lineage.clone() };
        self.records.insert(place.clone(), Some(known));
        if let Role::Laid(states) = role {
            if own {
                states.keep(place, Arc::new(record));
                return Ok(());
            }
            let laid = states.lay(&record);
            states.keep(place.clone(), Arc::new(record));
            match laid {
                Err((key, error)) => self.failed(&key, error)?,
                Ok(state) if below || state.parts.is_empty() => self.refer(&place.0, &state.map.to_part()),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}
