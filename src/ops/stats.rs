//! How much a database has of raw data, how much of it is stored at a place, and what that costs.

mod sharing;

use std::time::Duration;

use self::sharing::Sharing;
use super::verify::States;
use super::{Context, History, Listed, OpError, ReadFrom, Spec, lines::lines, retention};
use crate::base::Name;
use crate::format::marks::Marks;
use crate::format::record::SnapshotName;
use crate::remote::RequestCounts;
use crate::store::{Packs, Store, keys};

/// Time over which what happened is taken for what will happen in a month.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is paid, in any currency.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prices {
    /// For a gigabyte (10^9 bytes) that is kept for a month.
    pub gb_month: f64,
    /// For a thousand writes.
    pub put_1000: f64,
    /// For a thousand reads.
    pub get_1000: f64,
}

/// One snapshot's share.
#[derive(Clone, Debug)]
pub struct SnapshotShare {
    /// Which.
    pub name: SnapshotName,
    /// When it was made.
    pub created_at: jiff::Timestamp,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// Bytes it added to the store when it was made.
    pub added_bytes: u64,
    /// Stored bytes that no other snapshot shown here needs.
    pub unique_bytes: u64,
}

/// Objects of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is known of a place and one database in it.
#[derive(Clone, Debug)]
pub struct StatsReport {
    /// The place.
    pub place: String,
    /// The database.
    pub database: Name,
    /// The snapshots of all its lines that are not forgotten, newest first.
    pub snapshots: Vec<SnapshotShare>,
    /// Snapshots that are forgotten and not removed yet.
    pub forgotten: u64,
    /// Bytes of the files of all snapshots, as if each were a copy.
    pub raw_bytes: u64,
    /// Objects of the whole store, by the folder of their keys.
    pub objects: Vec<(&'static str, Objects)>,
    /// Snapshots made in the last 30 days.
    pub month_snapshots: u64,
    /// Objects that they put there: records, and packs of their own.
    pub month_puts: u64,
    /// Reads that a restore of the newest snapshot takes at least.
    pub restore_gets: u64,
    /// Bytes that `prune` would give back, when it was asked.
    pub reclaimable_bytes: Option<u64>,
    /// Requests made to find this out.
    pub requests: RequestCounts,
}

impl StatsReport {
    /// Bytes of all objects of the store.
    pub fn stored_bytes(&self) -> u64 {
        self.objects.iter().map(|(_, objects)| objects.bytes).sum()
    }

    /// Number of all objects of the store.
    pub fn object_count(&self) -> u64 {
        self.objects.iter().map(|(_, objects)| objects.count).sum()
    }

    /// Raw bytes for each byte stored; none when nothing is stored.
    pub fn ratio(&self) -> Option<f64> {
        let stored = self.stored_bytes();
        (stored > 0).then(|| self.raw_bytes as f64 / stored as f64)
    }

    /// What a month costs: what is kept, and snapshots as in the last 30 days.
    pub fn month_cost(&self, prices: &Prices) -> f64 {
        self.stored_bytes() as f64 / 1e9 * prices.gb_month + self.month_puts as f64 / 1e3 * prices.put_1000
    }

    /// What the reads of one restore of the newest snapshot cost.
    pub fn restore_cost(&self, prices: &Prices) -> f64 {
        self.restore_gets as f64 / 1e3 * prices.get_1000
    }
}

/// Looks at a place: its listing, the records of a database, and the tables of the packs they need.
///
/// # Errors
/// When anything but a pack that other places keep cannot be read.
pub fn stats(context: &Context, from: &ReadFrom) -> Result<StatsReport, OpError> {
    let before = from.store.remote().counts();
    let history = from.history(&mut Spec::latest())?;
    let marks = retention::marks(&from.store, &history.database)?;
    let listed = visible(&history, &marks)?;
    let mut states = States::new(&from.store);
    let packs = Packs::new(vec![from.store.clone()], history.database.clone());
    // Oldest first, so that a chain's records were read just before.
    let mut sharing = Sharing::default();
    for one in listed.iter().rev() {
        context.progress.check()?;
        let header = &one.header;
        let record = states.record(&(header.database.clone(), header.line.clone(), header.number))?;
        sharing.add(&packs, &states.lay(&record).map_err(|(_, error)| error)?)?;
    }
    let unique = sharing.unique_bytes(&packs)?;
    let share = |(one, unique): (&Listed, &u64)| SnapshotShare {
        name: one.header.name(),
        created_at: one.header.created_at,
        size_bytes: one.header.totals.size_bytes,
        added_bytes: one.added_bytes(),
        unique_bytes: *unique,
    };
    let snapshots: Vec<SnapshotShare> = listed.iter().zip(unique.iter().rev()).map(share).collect();
    let is_recent = |one: &Listed| context.now().duration_since(one.header.created_at).unsigned_abs() <= MONTH;
    let month = listed.iter().filter(|one| is_recent(one));
    let month_puts = month.clone().map(|one| 1 + sharing.first_packs(&one.header.name())).sum();
    let forgotten = marks.all().filter(|(name, _)| marks.is_forgotten(name)).count() as u64;
    Ok(StatsReport {
        place: from.store.remote().name().to_owned(),
        forgotten,
        raw_bytes: snapshots.iter().map(|one| one.size_bytes).sum(),
        objects: objects(&from.store)?,
        month_snapshots: month.count() as u64,
        month_puts,
        restore_gets: sharing.newest_gets(),
        reclaimable_bytes: None,
        requests: from.store.remote().counts().since(&before),
        database: history.database,
        snapshots,
    })
}

/// The snapshots of all lines that are not forgotten, the newest first.
fn visible(history: &History, marks: &Marks) -> Result<Vec<Listed>, OpError> {
    let mut names = Vec::new();
    for line in lines(&history.store, &history.database)? {
        let mut numbers = history.store.numbers(&history.database, &line.name, usize::MAX)?;
        numbers.retain(|number| *number >= line.first());
        names.extend(numbers.into_iter().map(|number| SnapshotName { line: line.name.clone(), number }));
    }
    names.retain(|name| !marks.is_forgotten(name));
    let mut listed = history.read_all(names)?;
    listed.sort_by_key(|one| std::cmp::Reverse((one.header.created_at, one.header.number)));
    Ok(listed)
}

/// Every object of a store, counted by the folder of its key: one listing each.
fn objects(store: &Store) -> Result<Vec<(&'static str, Objects)>, OpError> {
    let mut found = Vec::new();
    for folder in keys::FOLDERS {
        let listed = store.remote().list(folder)?;
        let bytes = listed.iter().map(|object| object.size).sum();
        found.push((folder, Objects { count: listed.len() as u64, bytes }));
    }
    Ok(found)
}
