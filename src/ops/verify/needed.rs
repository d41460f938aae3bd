//! What is needed against what is there: slots that maps name, and the bases of deltas.

use std::collections::BTreeSet;

use super::finding::{Finding, FindingKind};
use super::held::{WrongBase, wrong_bases};
use super::moved::Moved;
use super::object::{Look, Object};
use super::survey::{Role, Survey};
use crate::base::Name;
use crate::format::map::{MapPart, Place};
use crate::format::pack::PackTable;
use crate::ops::OpError;
use crate::ops::slots::SlotSet;
use crate::store::keys;

impl Survey<'_> {
    /// Notes the slots that a map needs.
    pub(super) fn refer(&mut self, database: &Name, map: &MapPart) {
        let mut needed = vec![SlotSet::default(); map.packs.len()];
        for extent in map.files.iter().flat_map(|file| &file.extents) {
            if let Place::Slots { pack, first } = extent.place {
                needed[pack as usize].add(first.0, extent.count);
            }
        }
        for (pack, slots) in map.packs.iter().zip(needed).filter(|(_, slots)| !slots.is_empty()) {
            let home = Object::home(database, pack).key();
            self.uses.entry((home, pack.id, database.clone())).or_default().join(&slots);
        }
    }

    /// Looks at what was named and not seen yet, until nothing is left; then compares what is needed with what is there.
    pub(super) fn look_at_named(&mut self) -> Result<(), OpError> {
        let mut asked = BTreeSet::new();
        let mut done = BTreeSet::new();
        loop {
            // Whose the bases of a pack are is known from who uses it.
            let used: Vec<(String, Name)> =
                self.uses.keys().map(|(home, _, database)| (home.clone(), database.clone())).collect();
            for (home, database) in used {
                let Some(held) = self.held.get(&home) else { continue };
                if held.bases.is_empty() || !done.insert((home.clone(), database.clone())) {
                    continue;
                }
                for base in held.bases.clone() {
                    self.uses.entry((Object::home(&database, &base).key(), base.id, database.clone())).or_default();
                }
                if keys::parse_pack(&home).is_some() {
                    self.unchecked.insert((home, database));
                }
            }
            let unseen: BTreeSet<&String> = self.uses.keys().map(|(home, ..)| home).collect();
            let unseen: Vec<Object> = unseen
                .into_iter()
                .filter(|home| !self.held.contains_key(*home) && !self.is_bad(home) && !asked.contains(*home))
                .filter_map(|home| Object::parse(home))
                .collect();
            if unseen.is_empty() {
                break;
            }
            asked.extend(unseen.iter().map(Object::key));
            self.look_at(unseen, &mut Role::Home)?;
        }
        self.find_moved()?;
        self.compare();
        self.check_bases()
    }

    /// Each use against the pack that lies there.
    fn compare(&mut self) {
        let (mut wrong, mut doubtful) = (Vec::new(), Vec::new());
        for ((home, pack, _), slots) in &self.uses {
            if self.is_bad(home) {
                continue;
            }
            match self.held.get(home) {
                Some(held) if held.id == *pack => {
                    let Some(slot) = held.lacks(slots) else { continue };
                    let (at, detail) = match self.lies.get(home) {
                        Some(bundle) => (bundle, format!("slot {slot} of pack {pack} is needed and not in it")),
                        None => (home, format!("a map names slot {slot} of pack {pack}, which has {}", held.slots)),
                    };
                    wrong.push(Finding::new(at, FindingKind::Damaged, detail));
                }
                Some(held) => wrong.push(Finding::new(
                    home,
                    FindingKind::Damaged,
                    format!("it holds pack {}, where {pack} should be", held.id),
                )),
                None if self.partial || self.lies.contains_key(home) || self.doubtful.contains_key(home) => {}
                None if slots.is_empty() && !self.is_needed(home) => doubtful.push(home.clone()),
                None => {
                    wrong.push(Finding::new(home, FindingKind::Missing, format!("pack {pack} does not ride in it")));
                }
            }
        }
        wrong.into_iter().for_each(|finding| self.add(finding));
        for home in doubtful {
            let error = self.store.absent(&home);
            self.doubtful.insert(home, error);
        }
    }

    /// Reads tables once more in which a base was not where it should be: now it is known which of the deltas are needed.
    fn check_bases(&mut self) -> Result<(), OpError> {
        for (key, database) in std::mem::take(&mut self.unchecked) {
            let Some(object) = Object::parse(&key).filter(|_| !self.is_bad(&key)) else { continue };
            let wrong = |table: &PackTable| {
                let needed = self.uses.get(&(key.clone(), table.id, database.clone())).cloned().unwrap_or_default();
                wrong_bases(&database, table, Some(&needed), |home| self.held.get(home))
            };
            let wrong = match object.look(self.store) {
                Ok((Look::Record(_, Some(table)), _)) => wrong(&table),
                Ok((Look::Pack(open), _)) => wrong(&open.table),
                Ok(_) => BTreeSet::new(),
                Err(error) => {
                    self.failed(&key, error)?;
                    BTreeSet::new()
                }
            };
            for one in wrong {
                match one {
                    WrongBase::NotWhole(detail) => self.add(Finding::new(&key, FindingKind::Damaged, detail)),
                    WrongBase::NotHeld(home) => self.lacks_base(&home)?,
                }
            }
        }
        self.note_lone_bundles();
        Ok(())
    }

    /// A delta that is needed builds on a pack that is not there.
    fn lacks_base(&mut self, home: &str) -> Result<(), OpError> {
        let Some(error) = self.doubtful.remove(home) else { return Ok(()) };
        match self.moved.as_ref().and_then(Moved::unknown) {
            Some(index) => {
                self.lies.insert(home.to_owned(), index);
                Ok(())
            }
            None => self.failed(home, error),
        }
    }
}
