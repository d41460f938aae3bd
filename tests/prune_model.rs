//! Prune among writers, forgetters and readers: seeded interleavings of single requests, under a clock of their own.
//!
//! The code of the store, of marks and of prune is the real one; only the place is not, and what writers do around it is
//! reduced to what concerns a prune. A seed gives the same run again: `PAGEKEEP_TEST_PRUNE_SEED=17`. How many are tried:
//! `PAGEKEEP_TEST_PRUNE_SCHEDULES`.

#[path = "prune_model/actors.rs"]
mod actors;
#[path = "prune_model/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pagekeep::base::{Name, SnapshotNumber};
use pagekeep::ops::retention::marks;
use pagekeep::ops::{PruneOptions, prune_store};

use actors::{SharedTold, Stage, check, database, load};
use world::{Dice, Weather, World};

const ACTORS: usize = 6;

/// Runs a schedule; what is wrong in the end, with everything that was asked.
fn run(seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed ^ 0x5eed);
    let mut weather = Weather::default();
    if dice.one_in(2) {
        weather.failures = 150;
        weather.lost_answers = 30;
    }
    if dice.one_in(2) {
        weather.crashes = 400;
    }
    if dice.one_in(2) {
        weather.sleeps = 40;
    }
    let world = World::new(seed, ACTORS, weather);
    let told: SharedTold = Arc::new(Mutex::default());
    let quiet = Stage::new(&world, None, seed, &told);
    let mut beginning = Stage::new(&world, None, seed ^ 99, &told);
    beginning.write(1 + dice.below(8) as u32);
    std::thread::scope(|scope| {
        for actor in 0..ACTORS {
            let mut stage = Stage::new(&world, Some(actor), dice.next(), &told);
            let (world, rounds) = (&world, 1 + dice.below(6) as u32);
            scope.spawn(move || {
                let _end = End(world, actor);
                match actor {
                    0 | 1 => stage.write(rounds * 2),
                    2 => stage.forget(rounds * 3),
                    3 | 4 => stage.prune(rounds),
                    _ => stage.read(rounds),
                }
            });
        }
        world.conduct();
    });
    let verdict = judge(&world, &quiet);
    verdict.map_err(|wrong| format!("seed {seed}: {wrong}\n{}", world.log().join("\n")))
}

/// Lets the others go on when an actor comes to its end, or falls.
struct End<'a>(&'a Arc<World>, usize);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.done(self.1);
    }
}

fn judge(world: &Arc<World>, quiet: &Stage) -> Result<(), String> {
    let (store, name, line) = (&quiet.store, database(), Name::main_line());
    whole(quiet, "when all are done")?;
    for turn in 1..=2 {
        world.advance(1000 * 3600 * 1000);
        let options = PruneOptions { grace: Duration::ZERO, alone: true, at_once: 1, ..PruneOptions::default() };
        prune_store(&quiet.context, store, options).map_err(|error| format!("prune {turn} in the end: {error}"))?;
        whole(quiet, "after a prune in the end")?;
    }
    let told = quiet.told.lock().unwrap();
    if let Some(wrong) = told.wrong.first() {
        return Err(format!("a reader got {wrong}"));
    }
    let there: BTreeSet<SnapshotNumber> = store.numbers(&name, &line, usize::MAX).unwrap().into_iter().collect();
    let marks = marks(store, &name).map_err(|error| error.to_string())?;
    for number in told.created.iter().filter(|number| !told.maybe_forgotten.contains(number)) {
        if !there.contains(number) {
            return Err(format!("{number} was created, never forgotten, and is gone"));
        }
    }
    for number in &told.recalled {
        let name = pagekeep::format::record::SnapshotName { line: line.clone(), number: *number };
        if !there.contains(number) || marks.is_forgotten(&name) {
            return Err(format!("{number} was recalled and is gone"));
        }
    }
    garbage(world, quiet, &there)
}

/// Every snapshot that is there and not forgotten can be read whole.
fn whole(quiet: &Stage, when: &str) -> Result<(), String> {
    let (store, name, line) = (&quiet.store, database(), Name::main_line());
    store.forget_places();
    let marks = marks(store, &name).map_err(|error| error.to_string())?;
    let numbers = store.numbers(&name, &line, usize::MAX).unwrap();
    for (at, number) in numbers.iter().enumerate() {
        let snapshot = pagekeep::format::record::SnapshotName { line: line.clone(), number: *number };
        if marks.is_forgotten(&snapshot) && at > 0 {
            continue;
        }
        match load(store, *number).and_then(|state| check(store, &state)) {
            Ok(true) => {}
            Ok(false) => return Err(format!("{number} has another content than it had, {when}")),
            Err(error) => return Err(format!("{number} cannot be read {when}: {error}")),
        }
    }
    Ok(())
}

/// What is there after all is what kept snapshots need, and the numbers that are taken.
fn garbage(world: &Arc<World>, quiet: &Stage, there: &BTreeSet<SnapshotNumber>) -> Result<(), String> {
    let (store, mut needed, mut maps) = (&quiet.store, BTreeSet::new(), BTreeSet::new());
    let newest = there.last();
    let marks = marks(store, &database()).unwrap();
    let mut records: BTreeSet<SnapshotNumber> = BTreeSet::new();
    for number in there {
        let snapshot = pagekeep::format::record::SnapshotName { line: Name::main_line(), number: *number };
        if marks.is_forgotten(&snapshot) && Some(number) != newest {
            continue;
        }
        let state = load(store, *number).unwrap();
        records.insert(*number);
        maps.insert(number.to_string());
        if Some(number) == newest {
            records.extend(state.header.chain.iter().map(|link| link.number));
        }
        let packs = pagekeep::store::Packs::new(vec![store.clone()], database());
        for pack in state.map.live_packs() {
            needed.insert(pack.id);
            needed.extend(packs.open(&pack).unwrap().table.base_packs.iter().map(|base| base.id));
        }
    }
    // A record that another kept one builds on stays, too, while its map was not written anew.
    let more: Vec<SnapshotNumber> = there.iter().filter(|number| !records.contains(number)).copied().collect();
    if let Some(number) = more.first() {
        return Err(format!("the record of {number} is forgotten and still there"));
    }
    let plain = |key: String| world.ring.as_ref().map_or(key.clone(), |ring| ring.reveal(&key));
    let keys: Vec<String> = world.keys().into_iter().map(plain).collect();
    for key in &keys {
        let mut parts = key.split('/');
        let is_garbage = match parts.next().unwrap() {
            "sessions" | "probes" | "locks" => true,
            "tombstones" => !key.ends_with("-swept"),
            "packs" => !needed.contains(&key.rsplit('/').next().unwrap().parse().unwrap()),
            "maps" => !maps.contains(parts.nth(2).unwrap()),
            "bundles" if key.ends_with(".idx") => {
                let id = key["bundles/".len()..].trim_end_matches(".idx").parse().unwrap();
                let index = store.bundle_index(&id).unwrap();
                index.packs.iter().all(|pack| !needed.contains(&pack.id))
            }
            "bundles" => !keys.contains(&format!("{key}.idx")),
            _ => false,
        };
        if is_garbage {
            return Err(format!("{key} is garbage"));
        }
    }
    Ok(())
}

#[test]
fn no_schedule_loses_a_chunk_and_nothing_stays_garbage() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("PAGEKEEP_TEST_PRUNE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PAGEKEEP_TEST_PRUNE_SCHEDULES").unwrap_or(300),
    };
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let failure: Mutex<Option<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while failure.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(wrong) = run(seed) {
                        failure.lock().unwrap().get_or_insert(wrong);
                    }
                }
            });
        }
    });
    if let Some(wrong) = failure.into_inner().unwrap() {
        panic!("{wrong}");
    }
}
