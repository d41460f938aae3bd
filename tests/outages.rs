//! Servers that die and come back, and wires that are cut: the program rides it out or says 75, and loses nothing.
//!
//! `PAGEKEEP_TEST_OUTAGES` says how often (4); `PAGEKEEP_TEST_SEED` when, so that a run can be repeated.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/cutter.rs"]
mod cutter;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cli::Machine;
use cluster::{BUCKET, Cluster, Part};
use cutter::Cutter;
use rusqlite::Connection;

/// A request waits at most a minute for a server; this is more than a few of them.
const PATIENCE: Duration = Duration::from_secs(300);

fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A database of about 10 MB that changes by half from state to state, and a remote on S3.
struct World {
    machine: Machine,
    path: PathBuf,
    states: BTreeMap<u64, Vec<u8>>,
    seed: u64,
}

impl World {
    fn new(port: u16) -> Self {
        let machine =
            Cluster::variables().into_iter().fold(Machine::new(), |machine, (name, value)| machine.with(name, value));
        let path = machine.database("shop.db", "delete");
        let this = Self { machine, path, states: BTreeMap::new(), seed: number_from("PAGEKEEP_TEST_SEED", 11) };
        let url = format!("s3://{BUCKET}/{}?endpoint=http://127.0.0.1:{port}&region=us-east-1", std::process::id());
        this.machine.ok(&["init", "shop.db"]);
        this.machine.ok(&["backup", "add", "there", &url]);
        this
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % sides
    }

    /// The next state of the database; it becomes snapshot `number`.
    fn change(&mut self, number: u64) {
        let db = Connection::open(&self.path).unwrap();
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS noise (id INTEGER PRIMARY KEY, b);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2800)
             INSERT OR REPLACE INTO noise SELECT i, randomblob(3500) FROM n WHERE i % 2 = abs(random() % 2);",
        )
        .unwrap();
        drop(db);
        self.states.insert(number, fs::read(&self.path).unwrap());
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        self.machine.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits for a run that met an outage. Whether it succeeded; any failure must be of the kind that passes.
    fn ended(&self, mut child: Child) -> bool {
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("still at work after {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 75)), "{:?}: {said}", output.status);
        output.status.success()
    }

    /// Every snapshot that the remote lists has the bytes it was made of; the newest is among them.
    fn all_is_there(&self, newest: u64) {
        let log = self.machine.ok(&["log", "--from", "there", "--json"]).json();
        let list = log.as_object().unwrap().values().find_map(|value| value.as_array()).unwrap();
        let numbers: Vec<u64> = list.iter().map(|snapshot| snapshot["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers.first(), Some(&newest), "{numbers:?}");
        for number in numbers {
            assert!(self.machine.restored("there", &number.to_string()) == self.states[&number], "snapshot {number}");
        }
    }

    /// One restore that meets an outage: the whole state or nothing.
    fn is_all_or_nothing(&self, ended_well: bool, destination: &str, number: u64) {
        match fs::read(self.machine.path(destination)) {
            Ok(bytes) => assert!(bytes == self.states[&number], "{destination} is neither whole nor absent"),
            Err(_) => assert!(!ended_well, "{destination} is absent after a success"),
        }
        let _ = fs::remove_file(self.machine.path(destination));
    }
}

#[test]
fn one_of_three_volume_servers_dies() {
    let Some(mut cluster) = Cluster::start() else { return };
    let mut world = World::new(cluster.s3_port());
    let mut rode_out = 0;
    let rounds = number_from("PAGEKEEP_TEST_OUTAGES", 4);
    for number in 1..=rounds {
        world.change(number);
        let victim = Part::Volume(world.dice(3) as usize);
        let after = Duration::from_millis(world.dice(400));
        let sync = world.begin(&["backup", "sync", "there"]);
        std::thread::sleep(after);
        cluster.kill(victim);
        rode_out += u64::from(world.ended(sync));
        // With one server less: each object was written twice.
        world.machine.ok(&["backup", "sync", "there"]);
        world.all_is_there(number);
        cluster.start_part(victim);

        let victim = Part::Volume(world.dice(3) as usize);
        let restore = world.begin(&["backup", "restore", "there", "out.db"]);
        std::thread::sleep(Duration::from_millis(world.dice(200)));
        cluster.kill(victim);
        let ended_well = world.ended(restore);
        world.is_all_or_nothing(ended_well, "out.db", number);
        cluster.start_part(victim);
    }
    println!("{rode_out} of {rounds} syncs rode out the death of a volume server");
}

#[test]
fn a_volume_server_dies_while_prune_works() {
    let Some(mut cluster) = Cluster::start() else { return };
    let mut world = World::new(cluster.s3_port());
    let (mut rode_out, mut number) = (0, 0);
    let rounds = number_from("PAGEKEEP_TEST_OUTAGES", 4);
    let prune = ["prune", "there", "--alone", "--grace", "0s"];
    for _ in 0..rounds {
        for _ in 0..3 {
            number += 1;
            world.change(number);
            world.machine.ok(&["backup", "sync", "there"]);
        }
        world.machine.ok(&["forget", "--keep-last", "2", "--from", "there"]);
        let victim = Part::Volume(world.dice(3) as usize);
        let after = Duration::from_millis(world.dice(300));
        let pruning = world.begin(&prune);
        std::thread::sleep(after);
        cluster.kill(victim);
        rode_out += u64::from(world.ended(pruning));
        world.all_is_there(number);
        cluster.start_part(victim);
        world.machine.ok(&prune);
        world.machine.ok(&["verify", "there"]);
        world.all_is_there(number);
    }
    println!("{rode_out} of {rounds} prunes rode out the death of a volume server");
}

#[test]
fn the_whole_cluster_dies_and_comes_back() {
    let Some(mut cluster) = Cluster::start() else { return };
    let mut world = World::new(cluster.s3_port());
    let mut rode_out = 0;
    let rounds = number_from("PAGEKEEP_TEST_OUTAGES", 4);
    for number in 1..=rounds {
        world.change(number);
        let sync = world.begin(&["backup", "sync", "there"]);
        std::thread::sleep(Duration::from_millis(world.dice(500)));
        cluster.kill_all();
        std::thread::sleep(Duration::from_millis(world.dice(1_500)));
        cluster.start_all();
        rode_out += u64::from(world.ended(sync));
        world.machine.ok(&["backup", "sync", "there"]);
        world.all_is_there(number);

        let restore = world.begin(&["backup", "restore", "there", "out.db"]);
        std::thread::sleep(Duration::from_millis(world.dice(200)));
        cluster.kill_all();
        cluster.start_all();
        let ended_well = world.ended(restore);
        world.is_all_or_nothing(ended_well, "out.db", number);
    }
    println!("{rode_out} of {rounds} syncs rode out the death of all servers");
}

#[test]
fn wires_are_cut_in_the_middle_of_bodies() {
    let Some(cluster) = Cluster::start() else { return };
    let cutter = Cutter::new(cluster.s3_port(), number_from("PAGEKEEP_TEST_SEED", 11), 6 << 20);
    let mut world = World::new(cutter.port());
    let mut rode_out = 0;
    let rounds = number_from("PAGEKEEP_TEST_OUTAGES", 4);
    for number in 1..=rounds {
        world.change(number);
        cutter.leave_whole(false);
        let sync = world.begin(&["backup", "sync", "there"]);
        rode_out += u64::from(world.ended(sync));
        let restore = world.begin(&["backup", "restore", ".", "here.db"]);
        let ended_well = world.ended(restore);
        world.is_all_or_nothing(ended_well, "here.db", number);
        cutter.leave_whole(true);
        world.machine.ok(&["backup", "sync", "there"]);
        cutter.leave_whole(false);
        let restore = world.begin(&["backup", "restore", "there", "out.db"]);
        let ended_well = world.ended(restore);
        world.is_all_or_nothing(ended_well, "out.db", number);
        cutter.leave_whole(true);
        world.all_is_there(number);
    }
    println!("{} connections were cut; {rode_out} of {rounds} syncs rode it out", cutter.cuts());
    assert!(cutter.cuts() >= rounds, "too little was cut: {}", cutter.cuts());
}
