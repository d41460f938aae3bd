//! `prune` and `sync`, killed at any moment on one folder: what was not forgotten comes back.
//!
//! `PAGEKEEP_TEST_KILLS` says how often (20); `PAGEKEEP_TEST_SEED` when.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cli::Machine;

use super::{States, change, listed, number_from};

struct World {
    machine: Machine,
    states: States,
    forgotten: BTreeSet<u32>,
    seed: u64,
    killed: u32,
    /// By verb: how long one is left alone at most. It follows how long they take here and now.
    within: BTreeMap<String, Duration>,
}

impl World {
    fn dice(&mut self, sides: u64) -> u64 {
        self.seed = self.seed.wrapping_add(1);
        u64::from_le_bytes(blake3::hash(&self.seed.to_le_bytes()).as_bytes()[..8].try_into().unwrap()) % sides
    }

    /// Runs a command and kills it after a while.
    fn kill(&mut self, arguments: &[&str]) {
        let within = *self.within.entry(arguments[0].to_owned()).or_insert(Duration::from_millis(100));
        let mut command: Command = self.machine.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(self.dice(within.as_micros() as u64 + 1)));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let next = match output.status.code() {
            None => {
                self.killed += 1;
                within * 5 / 4
            }
            Some(code) => {
                assert_eq!(code, 0, "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
                within * 3 / 4
            }
        };
        self.within.insert(arguments[0].to_owned(), next.max(Duration::from_millis(2)));
    }

    /// All that is kept is listed and what it was made of; of many only some are looked at.
    fn check(&mut self, what: &str) {
        let there = listed(&self.machine, "usb");
        let newest = *there.last().unwrap();
        let kept: Vec<u32> = (1..=newest).filter(|number| !self.forgotten.contains(number)).collect();
        assert_eq!(there, kept, "{what}");
        let some = self.dice(3) as usize;
        for number in there.iter().skip(some).step_by(3).chain([&newest]) {
            let restored = self.machine.restored("usb", &format!("app@{number}"));
            assert!(restored == self.states[number], "{what}: app@{number}");
        }
    }
}

fn pages(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn killed_at_any_moment_nobody_loses_what_was_not_forgotten() {
    let machine = Machine::new();
    let path = machine.database("app.db", "delete");
    machine.insert(&path, 20_000);
    machine.ok(&["init", "app.db"]);
    machine.ok(&["config", "set", "keep", "all"]);
    machine.ok(&["backup", "add", "usb", "usb"]);
    let seed = u64::from(number_from("PAGEKEEP_TEST_SEED", 4711));
    let mut world =
        World { machine, states: States::new(), forgotten: BTreeSet::new(), seed, killed: 0, within: BTreeMap::new() };
    world.machine.ok(&["backup", "sync", "usb"]);
    world.states.insert(1, pages(&path));
    let rounds = number_from("PAGEKEEP_TEST_KILLS", 20);
    for round in 0..rounds {
        let what = format!("round {round}, PAGEKEEP_TEST_SEED={}", world.seed);
        for _ in 0..2 {
            let next = world.states.keys().last().unwrap() + 1;
            change(&path, next);
            world.states.insert(next, pages(&path));
            if world.dice(2) == 0 {
                world.kill(&["backup", "sync", "usb"]);
            }
            // Killed or not, the next makes this state the snapshot of this number.
            world.machine.ok(&["backup", "sync", "usb"]);
        }
        let newest = *world.states.keys().last().unwrap();
        let forgettable: Vec<u32> = (1..newest).filter(|number| !world.forgotten.contains(number)).collect();
        if forgettable.len() > 4 {
            let some = world.dice(2) as usize;
            let chosen: Vec<u32> = forgettable.iter().copied().skip(some).step_by(2).collect();
            let specs: Vec<String> = chosen.iter().map(|number| format!("app@{number}")).collect();
            let arguments: Vec<&str> =
                ["forget", "--from", "usb"].into_iter().chain(specs.iter().map(String::as_str)).collect();
            world.machine.ok(&arguments);
            world.forgotten.extend(chosen);
        }
        world.kill(&["prune", "usb", "--grace", "0s", "--alone"]);
        world.check(&what);
        if world.dice(3) == 0 {
            world.machine.ok(&["prune", "usb", "--grace", "0s", "--alone"]);
            world.check(&what);
        }
    }
    world.machine.ok(&["prune", "usb", "--grace", "0s", "--alone"]);
    world.check("in the end");
    world.machine.ok(&["scrub", "usb"]);
    for number in listed(&world.machine, "usb") {
        assert!(world.machine.restored("usb", &format!("app@{number}")) == world.states[&number], "app@{number}");
    }
    println!("{} of {rounds} rounds and their syncs were killed", world.killed);
    assert!(world.killed > rounds / 4, "nothing was killed at work: {} of {rounds}", world.killed);
}
