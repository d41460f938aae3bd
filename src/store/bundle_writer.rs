//! Bundles put together: in memory, then stored, the index last.

use bytes::Bytes;

use super::sealing::KeyRing;
use super::{Located, OpenPack, Store, StoreError, keys};
use crate::base::{Nonce, PackId};
use crate::format::FormatError;
use crate::format::bundle::{BundleIndex, BundledPack, FormerHome};
use crate::format::pack::{BareTable, PackTable};
use crate::format::sealed::SEAL_LEN;

impl Store {
    /// Copies a bundle to another store, under its mark; returns the bytes of both parts.
    ///
    /// # Errors
    /// When it is missing or damaged, or either remote fails.
    pub fn copy_bundle(&self, mark: &Nonce, to: &Store) -> Result<u64, StoreError> {
        let BundleIndex { len: bundle_len, packs, .. } = self.bundle_index(mark)?;
        let mut copy = BundleWriter::default();
        for pack in packs {
            let place = Located { bundle: mark.clone(), bundle_len, pack: pack.clone(), is_listed: false };
            copy.add(pack.clone(), &self.open_bundled(&pack.id, &place)?.whole()?);
        }
        copy.finish_as(to, mark)
    }
}

/// A bundle that is put together in memory.
#[derive(Debug, Default)]
pub struct BundleWriter {
    bytes: Vec<u8>,
    packs: Vec<BundledPack>,
}

impl BundleWriter {
    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// Adds a pack as it is.
    ///
    /// # Errors
    /// When the bytes are no pack.
    pub fn add_whole(&mut self, id: PackId, pack: &[u8], from: Vec<FormerHome>) -> Result<(), FormatError> {
        let slots = PackTable::of_pack(pack)?.slot_count();
        self.add(BundledPack { id, at: 0, len: 0, slots, sparse: false, table: None, from }, pack);
        Ok(())
    }

    /// Adds what stays of a pack, with the number of its slots.
    pub fn add_sparse(&mut self, id: PackId, slots: u32, pack: &[u8], from: Vec<FormerHome>) {
        self.add(BundledPack { id, at: 0, len: 0, slots, sparse: true, table: None, from }, pack);
    }

    /// Adds a pack, or what is there of it, from wherever it lies.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add_open(&mut self, open: &OpenPack, from: Vec<FormerHome>) -> Result<(), StoreError> {
        let bytes = open.whole()?;
        let (id, slots, sparse) = (open.table.id, open.table.slot_count(), open.table.is_sparse);
        self.add(BundledPack { id, at: 0, len: 0, slots, sparse, table: None, from }, &bytes);
        Ok(())
    }

    fn add(&mut self, pack: BundledPack, bytes: &[u8]) {
        self.packs.push(BundledPack { at: self.bytes.len() as u64, len: bytes.len() as u64, ..pack });
        self.bytes.extend_from_slice(bytes);
    }

    /// Stores the bundle, then its index: from then on it is found. Returns its mark, and the bytes of both.
    ///
    /// # Errors
    /// When the remote fails; what is there then, a prune removes.
    pub fn finish(self, store: &Store) -> Result<(Nonce, u64), StoreError> {
        let mark = Nonce::fresh();
        let bytes = self.finish_as(store, &mark)?;
        Ok((mark, bytes))
    }

    /// Stores it under this mark.
    fn finish_as(self, store: &Store, mark: &Nonce) -> Result<u64, StoreError> {
        let ring = store.remote().ring()?;
        let (bytes, packs) =
            self.laid_down(ring.as_deref()).map_err(|source| store.damaged(&keys::bundle(mark), source))?;
        let index = BundleIndex::new(bytes.len() as u64, packs).encode();
        let total = (bytes.len() + index.len()) as u64;
        // Whatever is there under a fresh mark came from this request, made twice.
        store.create_object(&keys::bundle(mark), Bytes::from(bytes))?;
        store.create_object(&keys::bundle_index(mark), Bytes::from(index))?;
        store.forget_places();
        Ok(total)
    }

    /// The bundle as it is stored: small packs bare, each part sealed where the store is.
    fn laid_down(self, ring: Option<&KeyRing>) -> Result<(Vec<u8>, Vec<BundledPack>), FormatError> {
        let (mut bytes, mut packs) = (Vec::with_capacity(self.bytes.len()), Vec::with_capacity(self.packs.len()));
        for pack in self.packs {
            let plain = &self.bytes[pack.at as usize..(pack.at + pack.len) as usize];
            let at = bytes.len() as u64;
            let bare = BareTable::of(pack.kind(), plain)?;
            let sealed = ring.map(|ring| ring.seal_pack_as(pack.kind(), plain.to_vec())).transpose()?;
            let there = sealed.as_deref().unwrap_or(plain);
            let table = match bare {
                Some((frames, table)) => {
                    let behind = plain.len() - frames.end + if ring.is_some() { 2 * SEAL_LEN } else { 0 };
                    bytes.extend_from_slice(&there[frames.start..there.len() - behind]);
                    Some(table)
                }
                None => {
                    bytes.extend_from_slice(there);
                    None
                }
            };
            packs.push(BundledPack { at, len: bytes.len() as u64 - at, table, ..pack });
        }
        Ok((bytes, packs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{ChunkId, Name};
    use crate::format::codec::FrameEncoder;
    use crate::format::pack::{Home, Pack, PackBuilder, PackRef};
    use crate::remote::Remote;
    use crate::store::Packs;

    fn pack() -> Pack {
        let mut builder = PackBuilder::new();
        let chunk = [7; 4096];
        builder.add_whole([(ChunkId::of(&chunk), 4096)].into_iter(), &FrameEncoder::new(3).encode(&chunk));
        builder.finish()
    }

    /// Puts a pack into a bundle; gives the bundle's key.
    fn bundled(store: &Store, pack: &Pack) -> String {
        let mut bundle = BundleWriter::default();
        bundle.add_whole(pack.id, &pack.bytes, Vec::new()).unwrap();
        keys::bundle(&bundle.finish(store).unwrap().0)
    }

    fn read(stores: &[&Store], pack: &Pack) -> Result<Bytes, StoreError> {
        let packs = Packs::new(stores.iter().map(|store| (*store).clone()).collect(), Name::new("app").unwrap());
        packs.open(&PackRef { id: pack.id, home: Home::Object })?.whole()
    }

    /// To open a bare pack nothing of its bundle is read. One that is lost or cut is noticed all the same, from afar too, and
    /// the pack is read where it is.
    #[test]
    fn a_bare_pack_is_read_where_it_is() {
        let pack = pack();
        for (lost, is_cut) in
            [(&[0][..], false), (&[1], false), (&[0, 1], false), (&[0], true), (&[1], true), (&[0, 1], true)]
        {
            let store = Store::assume(Remote::memory());
            let places = [bundled(&store, &pack), bundled(&store, &pack)];
            for key in lost.iter().map(|at: &usize| &places[*at]) {
                let bytes = store.remote().get(key, 1 << 20).unwrap();
                assert!(bytes.len() < pack.bytes.len() - 92, "the frames alone");
                store.remote().delete(key).unwrap();
                if is_cut {
                    store.remote().put_new(key, bytes.slice(..bytes.len() - 1)).unwrap();
                }
            }
            if lost.len() < places.len() {
                assert!(read(&[&store], &pack).unwrap() == pack.bytes, "{lost:?}, cut: {is_cut}");
                continue;
            }
            assert!(read(&[&store], &pack).is_err(), "cut: {is_cut}");
            // Another store has it.
            let other = Store::assume(Remote::memory());
            bundled(&other, &pack);
            assert!(read(&[&store, &other], &pack).unwrap() == pack.bytes, "cut: {is_cut}");
        }
    }
}
