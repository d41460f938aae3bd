//! A snapshot brought to a remote that lacks the one before it: all that it is made of, not only what it added.
//!
//! So it is with the first snapshot of a line, after a number that a prune took, and after snapshots that were forgotten
//! before they were pushed. Nothing is taken for granted: what its map and chain name is looked for at the remote.

use std::collections::BTreeSet;

use super::OpError;
use super::prune::whole_map;
use super::push::Push;
use crate::base::Nonce;
use crate::format::bundle::FormerHome;
use crate::format::pack::{Home, PackRef};
use crate::format::record::{Record, SnapshotName};
use crate::map::State;
use crate::store::{BundleWriter, Packs, Store, StoreError, first_of, keys};

/// A bundle is stored when it has grown so far.
const BUNDLE_BYTES: usize = 16 << 20;

impl Push<'_> {
    /// Puts whatever the remote lacks of a snapshot, but for its record.
    pub(super) fn whole(&mut self, to: &Store, record: &Record) -> Result<(), OpError> {
        let own = record.header.name();
        let state = first_of(self.from, |store| State::load(store, record.clone()))?;
        let packs = Packs::new(self.from.to_vec(), self.database.name.clone());
        let mut bundle = BundleWriter::default();
        for pack in needed(&state, &packs)? {
            self.context.progress.check()?;
            match &pack.home {
                Home::Object => {
                    if !self.there.contains(&pack.id) && !to.keeps_pack(&pack.id)? {
                        self.put_object(to, &packs, &pack)?;
                    }
                    self.there.insert(pack.id);
                }
                Home::Record { line, number } => {
                    let home = SnapshotName { line: line.clone(), number: *number };
                    if home != own && !self.rides_there(to, &home, &pack)? {
                        self.add(&mut bundle, &packs, &pack, Some(home))?;
                    }
                }
            }
            if bundle.len() >= BUNDLE_BYTES {
                std::mem::take(&mut bundle).finish(to)?;
            }
        }
        if !bundle.is_empty() {
            bundle.finish(to)?;
        }
        self.chain(to, &state)
    }

    /// Stores a pack of the local store as an object; what is left of one that was moved goes into a bundle.
    fn put_object(&self, to: &Store, packs: &Packs, pack: &PackRef) -> Result<(), OpError> {
        let open = packs.open(pack)?;
        if open.table.is_sparse {
            let mut bundle = BundleWriter::default();
            self.add(&mut bundle, packs, pack, None)?;
            bundle.finish(to)?;
            return Ok(());
        }
        let bytes = open.whole()?;
        to.put_pack(&pack.id, bytes)?;
        Ok(())
    }

    fn add(
        &self,
        bundle: &mut BundleWriter,
        packs: &Packs,
        pack: &PackRef,
        home: Option<SnapshotName>,
    ) -> Result<(), OpError> {
        let open = packs.open(pack)?;
        let bytes = open.whole()?;
        let from = home.map(|snapshot| FormerHome { database: self.database.name.clone(), snapshot });
        let from = from.into_iter().collect();
        match open.table.is_sparse {
            true => bundle.add_sparse(pack.id, open.table.slot_count(), &bytes, from),
            false => bundle.add_whole(pack.id, &bytes, from).map_err(OpError::Inconsistent)?,
        }
        Ok(())
    }

    /// Whether a pack rides in a record at the remote, and stays there.
    fn rides_there(&self, to: &Store, home: &SnapshotName, pack: &PackRef) -> Result<bool, OpError> {
        let name = &self.database.name;
        if to.is_condemned(&keys::snapshot(name, &home.line, home.number))? {
            return Ok(false);
        }
        match to.open_riding(name, &home.line, home.number) {
            Ok(riding) => Ok(riding.is_some_and(|open| open.table.id == pack.id)),
            Err(error) if error.is_absence() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a map that builds on nothing, when a record is lacking that the record builds on.
    fn chain(&self, to: &Store, state: &State) -> Result<(), OpError> {
        let name = &self.database.name;
        for link in &state.header.chain {
            let key = keys::snapshot(name, &link.line, link.number);
            let there = !to.is_condemned(&key)?
                && match to.record(name, &link.line, link.number) {
                    Ok(record) => record.header.lineage == state.header.lineage,
                    Err(StoreError::NoSnapshot { .. }) => false,
                    Err(error) => return Err(error.into()),
                };
            if !there {
                to.put_new_map(&whole_map(state), &Nonce::fresh())?;
                break;
            }
        }
        Ok(())
    }
}

/// The packs a snapshot is made of, those of bases included, each once.
fn needed(state: &State, packs: &Packs) -> Result<Vec<PackRef>, OpError> {
    let (mut needed, mut seen) = (Vec::new(), BTreeSet::new());
    for pack in state.map.live_packs() {
        let open = packs.open(&pack)?;
        for one in open.table.base_packs.iter().chain([&pack]) {
            if seen.insert(one.id) {
                needed.push(one.clone());
            }
        }
    }
    Ok(needed)
}
