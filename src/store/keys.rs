//! Every key of a store, in one place. FORMAT.md, "Keys".

use super::lease::BeatPlace;
use crate::base::{MarksNumber, Name, Nonce, PackId, RefNumber, SnapshotNumber};
use crate::format::record::SnapshotName;
use crate::format::refs::{RefKind, RefName};

/// The description of the store.
pub const STORE_FILE: &str = "store.json";
/// Below it lie the snapshot records.
pub const SNAPSHOTS: &str = "snapshots";
/// Below it lie the packs.
pub const PACKS: &str = "packs";
/// Below it lie the records of tags and lines.
pub const REFS: &str = "refs";
/// Below it lie the records of marks on snapshots.
pub const MARKS: &str = "marks";
/// Below it lie objects that probe what the remote can do; they mean nothing and may be removed.
pub const PROBES: &str = "probes";

/// Below it lie the locks of those who write to a place that overwrites whatever it is asked.
pub const LOCKS: &str = "locks";

/// Below it lie the beats of leases.
pub const LEASES: &str = "leases";
/// Below it lie packs that were put together, and what says which lie where.
pub const BUNDLES: &str = "bundles";
/// Below it lie maps that were written anew.
pub const MAPS: &str = "maps";
/// Below it lie the sessions of writers.
pub const SESSIONS: &str = "sessions";
/// Below it lies what a prune is going to remove.
pub const TOMBSTONES: &str = "tombstones";

/// Below it lie the key slots of an encrypted store.
pub const KEYS: &str = "keys";

/// The folders of keys.
pub const FOLDERS: [&str; 12] =
    [SNAPSHOTS, PACKS, REFS, MARKS, PROBES, LOCKS, LEASES, BUNDLES, MAPS, SESSIONS, TOMBSTONES, KEYS];

/// A key slot.
pub fn slot(id: &Nonce) -> String {
    format!("{KEYS}/{id}")
}

/// Below it lie the records of all lines of a database.
pub fn database_folder(database: &Name) -> String {
    format!("{SNAPSHOTS}/{}", database.to_key())
}

/// Below it lie the records of one line.
pub fn line_folder(database: &Name, line: &Name) -> String {
    format!("{}/{}", database_folder(database), line.to_key())
}

/// A snapshot's record. The key begins with the complement of the number, so that listings, which are in order of keys
/// and give a thousand at a time, begin with the newest.
pub fn snapshot(database: &Name, line: &Name, number: SnapshotNumber) -> String {
    format!("{}/{:08x}-{}", line_folder(database, line), u32::MAX - number.0, number.0)
}

/// The database, line and number of a record's key; `None` for keys that are not a record's.
pub fn parse_snapshot(key: &str) -> Option<(Name, Name, SnapshotNumber)> {
    let rest = key.strip_prefix(SNAPSHOTS)?.strip_prefix('/')?;
    let mut parts = rest.split('/');
    let (database, line, name) = (parts.next()?, parts.next()?, parts.next()?);
    let number = SnapshotNumber(name.split_once('-')?.1.parse().ok()?);
    let (database, line) = (Name::from_key(database)?, Name::from_key(line)?);
    (number.0 > 0 && snapshot(&database, &line, number) == key).then_some((database, line, number))
}

/// Below it lie the records of all refs of a database.
pub fn refs_folder(database: &Name) -> String {
    format!("{REFS}/{}", database.to_key())
}

/// Below it lie the records of one ref.
pub fn ref_folder(database: &Name, name: &RefName) -> String {
    format!("{}/{}/{}", refs_folder(database), name.kind.to_key(), name.name.to_key())
}

/// A ref's record; as with snapshots, listings begin with the newest.
pub fn ref_record(database: &Name, name: &RefName, number: RefNumber) -> String {
    format!("{}/{:08x}-{}", ref_folder(database, name), u32::MAX - number.0, number.0)
}

/// The database, ref and number of a ref's record; `None` for keys that are not one's.
pub fn parse_ref(key: &str) -> Option<(Name, RefName, RefNumber)> {
    let rest = key.strip_prefix(REFS)?.strip_prefix('/')?;
    let mut parts = rest.split('/');
    let (database, kind, name, last) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let number = RefNumber(last.split_once('-')?.1.parse().ok()?);
    let name = RefName { kind: RefKind::from_key(kind)?, name: Name::from_key(name)? };
    let database = Name::from_key(database)?;
    (number.0 > 0 && ref_record(&database, &name, number) == key).then_some((database, name, number))
}

/// Below it lie the records of marks of a database.
pub fn marks_folder(database: &Name) -> String {
    format!("{MARKS}/{}", database.to_key())
}

/// A record of marks; as with snapshots, listings begin with the newest.
pub fn marks(database: &Name, number: MarksNumber) -> String {
    format!("{}/{:08x}-{}", marks_folder(database), u32::MAX - number.0, number.0)
}

/// The database and number of a record of marks; `None` for keys that are not one's.
pub fn parse_marks(key: &str) -> Option<(Name, MarksNumber)> {
    let rest = key.strip_prefix(MARKS)?.strip_prefix('/')?;
    let (database, last) = rest.split_once('/')?;
    let number = MarksNumber(last.split_once('-')?.1.parse().ok()?);
    let database = Name::from_key(database)?;
    (number.0 > 0 && marks(&database, number) == key).then_some((database, number))
}

/// Below it lie the beats of one lease.
pub fn lease_folder(name: &Name) -> String {
    format!("{LEASES}/{}", name.to_key())
}

/// A beat; listings begin with the newest of the newest epoch.
pub fn beat(name: &Name, place: BeatPlace) -> String {
    let BeatPlace { epoch, beat } = place;
    format!("{}/{:08x}-{epoch}/{:08x}-{beat}", lease_folder(name), u32::MAX - epoch, u32::MAX - beat)
}

/// The lease and the place of a beat's key; `None` for keys that are not a beat's.
pub fn parse_beat(key: &str) -> Option<(Name, BeatPlace)> {
    let mut parts = key.strip_prefix(LEASES)?.strip_prefix('/')?.split('/');
    let name = Name::from_key(parts.next()?)?;
    let mut number = || parts.next()?.split_once('-')?.1.parse().ok().filter(|number| *number > 0);
    let place = BeatPlace { epoch: number()?, beat: number()? };
    (beat(&name, place) == key).then_some((name, place))
}

/// A pack.
pub fn pack(id: &PackId) -> String {
    let hex = id.to_string();
    format!("{PACKS}/{}/{hex}", &hex[..2])
}

/// The pack a key belongs to; `None` for keys that are not a pack's.
pub fn parse_pack(key: &str) -> Option<PackId> {
    let id: PackId = key.rsplit('/').next()?.parse().ok()?;
    (pack(&id) == key).then_some(id)
}

/// A bundle.
pub fn bundle(id: &Nonce) -> String {
    format!("{BUNDLES}/{id}")
}

/// The index of a bundle.
pub fn bundle_index(id: &Nonce) -> String {
    format!("{BUNDLES}/{id}.idx")
}

/// The bundle of a key, and whether it is the key of its index; `None` for keys that are neither.
pub fn parse_bundle(key: &str) -> Option<(Nonce, bool)> {
    let name = key.strip_prefix(BUNDLES)?.strip_prefix('/')?;
    let (id, is_index) = match name.strip_suffix(".idx") {
        Some(id) => (id, true),
        None => (name, false),
    };
    Some((id.parse().ok()?, is_index))
}

/// Below it lie the maps of one snapshot that were written anew.
pub fn new_maps_of(database: &Name, name: &SnapshotName) -> String {
    format!("{MAPS}/{}/{}/{}", database.to_key(), name.line.to_key(), name.number)
}

/// The database and snapshot of a folder of maps; `None` for other keys.
pub fn parse_new_maps_of(folder: &str) -> Option<(Name, SnapshotName)> {
    let mut parts = folder.strip_prefix(MAPS)?.strip_prefix('/')?.split('/');
    let (database, line) = (Name::from_key(parts.next()?)?, Name::from_key(parts.next()?)?);
    let name = SnapshotName { line, number: SnapshotNumber(parts.next()?.parse().ok()?) };
    (new_maps_of(&database, &name) == folder).then_some((database, name))
}

/// A map that was written anew; `writing` is the mark of all that were written together.
pub fn new_map(database: &Name, name: &SnapshotName, writing: &Nonce) -> String {
    format!("{}/{writing}", new_maps_of(database, name))
}

/// The database, snapshot and writing of a map's key; `None` for keys that are not a map's.
pub fn parse_new_map(key: &str) -> Option<(Name, SnapshotName, Nonce)> {
    let mut parts = key.strip_prefix(MAPS)?.strip_prefix('/')?.split('/');
    let (database, line) = (Name::from_key(parts.next()?)?, Name::from_key(parts.next()?)?);
    let number = SnapshotNumber(parts.next()?.parse().ok()?);
    let (name, writing) = (SnapshotName { line, number }, parts.next()?.parse().ok()?);
    (number.0 > 0 && new_map(&database, &name, &writing) == key).then_some((database, name, writing))
}

/// A writer's session.
pub fn session(mark: &Nonce) -> String {
    format!("{SESSIONS}/{mark}")
}

/// The session of a key.
pub fn parse_session(key: &str) -> Option<Nonce> {
    key.strip_prefix(SESSIONS)?.strip_prefix('/')?.parse().ok()
}

/// The steps of a prune, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PruneStep {
    /// What it is going to remove is known.
    Marked,
    /// Whom it waits for is known.
    Waiting,
    /// It has removed all.
    Swept,
}

impl PruneStep {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Marked, Self::Waiting, Self::Swept];
}

/// The object that says that a prune came to a step.
pub fn tombstone(number: u32, step: PruneStep) -> String {
    let ending = match step {
        PruneStep::Marked => "",
        PruneStep::Waiting => "-sessions",
        PruneStep::Swept => "-swept",
    };
    format!("{TOMBSTONES}/{number:08x}{ending}")
}

/// The object by which one of those who sweep says that it may still remove something.
pub fn sweeper(number: u32, mark: &Nonce) -> String {
    format!("{TOMBSTONES}/{number:08x}-sweep-{mark}")
}

/// The prune and the mark of a sweeper's key; `None` for other keys.
pub fn parse_sweeper(key: &str) -> Option<(u32, Nonce)> {
    let name = key.strip_prefix(TOMBSTONES)?.strip_prefix('/')?;
    let (number, mark) = name.split_once("-sweep-")?;
    Some((u32::from_str_radix(number, 16).ok()?, mark.parse().ok()?))
}

/// The prune and step of a key; `None` for other keys.
pub fn parse_tombstone(key: &str) -> Option<(u32, PruneStep)> {
    let name = key.strip_prefix(TOMBSTONES)?.strip_prefix('/')?;
    let number = u32::from_str_radix(name.get(..8)?, 16).ok()?;
    let step = PruneStep::ALL.into_iter().find(|step| tombstone(number, *step) == key)?;
    Some((number, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_first_and_back() {
        let (database, line) = (Name::new("my app").unwrap(), Name::main_line());
        let keys: Vec<_> = [1, 2, 9, 10, 1024].map(|n| snapshot(&database, &line, SnapshotNumber(n))).into();
        assert!(keys.is_sorted_by(|a, b| a > b), "{keys:?}");
        assert_eq!(keys[2], "snapshots/my!20app/main/fffffff6-9");
        assert_eq!(parse_snapshot(&keys[4]), Some((database, line, SnapshotNumber(1024))));
        for bad in ["snapshots/a/main/fffffff6-8", "snapshots/a/main/x", "packs/00/00", "snapshots/a/main/b/fffffffe-1"]
        {
            assert_eq!(parse_snapshot(bad), None, "{bad}");
        }
        let tag = RefName::tag(Name::new("v 1").unwrap());
        let key = ref_record(&Name::new("my app").unwrap(), &tag, RefNumber(2));
        assert_eq!(key, "refs/my!20app/tags/v!201/fffffffd-2");
        assert_eq!(parse_ref(&key), Some((Name::new("my app").unwrap(), tag, RefNumber(2))));
        for bad in
            ["refs/a/tags/v/fffffffd-3", "refs/a/heads/v/fffffffd-2", "refs/a/tags/v", "refs/a/tags/v/x/fffffffd-2"]
        {
            assert_eq!(parse_ref(bad), None, "{bad}");
        }
        let key = marks(&Name::new("my app").unwrap(), MarksNumber(3));
        assert_eq!(key, "marks/my!20app/fffffffc-3");
        assert_eq!(parse_marks(&key), Some((Name::new("my app").unwrap(), MarksNumber(3))));
        for bad in ["marks/a/fffffffc-2", "marks/a/b/fffffffc-3", "marks/fffffffc-3", "marks/a/ffffffff-0"] {
            assert_eq!(parse_marks(bad), None, "{bad}");
        }
        let lease = Name::new("my jobs").unwrap();
        let place = BeatPlace { epoch: 3, beat: 12 };
        let key = beat(&lease, place);
        assert_eq!(key, "leases/my!20jobs/fffffffc-3/fffffff3-12");
        assert_eq!(parse_beat(&key), Some((lease, place)));
        for bad in ["leases/a/fffffffc-3", "leases/a/fffffffc-3/fffffff3-11", "leases/a/ffffffff-0/fffffff3-12"] {
            assert_eq!(parse_beat(bad), None, "{bad}");
        }
        let id = PackId([0xab; 32]);
        assert_eq!(parse_pack(&pack(&id)), Some(id));
        let (shop, writing) = (Name::new("my app").unwrap(), Nonce::fresh());
        let at = |number| SnapshotName { line: Name::main_line(), number: SnapshotNumber(number) };
        let key = new_map(&shop, &at(7), &writing);
        assert_eq!(parse_new_map(&key), Some((shop.clone(), at(7), writing.clone())));
        for bad in [new_map(&shop, &at(0), &writing), key.replace("/7/", "/07/"), format!("{key}/x")] {
            assert_eq!(parse_new_map(&bad), None, "{bad}");
        }
    }
}
