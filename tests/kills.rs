//! The program, killed at any moment: what was committed stays, destinations are old or new, the next run works.
//!
//! `PAGEKEEP_TEST_KILLS` says how often (40); `PAGEKEEP_TEST_SEED` when, so that a run can be repeated.

#[path = "support/ops.rs"]
mod ops;
#[path = "support/s3.rs"]
mod s3;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ops::{Kept, names};
use rustix::process::{Pid, Signal, kill_process};

fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A kept database and a remote at which the program works.
struct World {
    kept: Kept,
    url: String,
    variables: Vec<(String, String)>,
    /// What each snapshot that may exist was made of.
    contents: BTreeMap<u32, Vec<u8>>,
    seed: u64,
}

impl World {
    fn new(url: Option<String>, variables: Vec<(String, String)>) -> Self {
        let kept = Kept::new("auto");
        kept.fill(3000, 1500, 1);
        let url = url.unwrap_or_else(|| format!("file://{}", kept.remote_folder().display()));
        let world =
            Self { kept, url, variables, contents: BTreeMap::new(), seed: number_from("PAGEKEEP_TEST_SEED", 4711) };
        world.run(&["backup", "add", "there", &world.url]);
        world
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.seed = self.seed.wrapping_add(1);
        u64::from_le_bytes(ops::random_bytes(self.seed, 8).try_into().unwrap()) % sides
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pagekeep"));
        command.args(["--db", self.kept.path().to_str().unwrap(), "--json"]).args(arguments);
        command.env_clear().envs(self.variables.iter().cloned()).env("HOME", self.kept.folder.path());
        command.current_dir(self.kept.folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Runs to the end, which must be good.
    fn run(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs, and kills it after a while. Whether it was still at work then.
    fn kill(&mut self, arguments: &[&str], within: Duration) -> bool {
        let mut child = self.start(arguments);
        let after = Duration::from_micros(self.dice(within.as_micros() as u64));
        std::thread::sleep(after);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let killed = output.status.signal() == Some(9);
        assert!(killed || output.status.success(), "{arguments:?}: {}", said(&output));
        killed
    }

    fn change(&mut self) {
        let seed = self.dice(1 << 30);
        match self.dice(5) {
            0 => self.kept.fill(150, 9000, seed),
            1 => self.kept.run("DELETE FROM t WHERE id % 5 = 0; VACUUM"),
            2 => self.kept.run("UPDATE t SET data = randomblob(1500) WHERE id % 2 = 0"),
            _ => self.kept.touch(seed),
        }
    }

    /// The numbers of the snapshots that `from` lists.
    fn listed(&self, from: &str) -> Vec<u32> {
        let output = self.command(&["log", "--from", from]).output().unwrap();
        if output.status.code() == Some(15) {
            return Vec::new();
        }
        assert!(output.status.success(), "{}", said(&output));
        let log: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let list = log.as_array().or_else(|| log.as_object()?.values().find_map(|value| value.as_array()));
        list.unwrap().iter().map(|snapshot| snapshot["number"].as_u64().unwrap() as u32).collect()
    }

    /// Restores a snapshot to a fresh folder.
    fn restored(&self, from: &str, number: u32) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        self.run(&["backup", "restore", from, path.to_str().unwrap(), "--at", &number.to_string()]);
        assert_eq!(names(folder.path()), ["a.db"]);
        fs::read(path).unwrap()
    }
}

fn said(output: &Output) -> String {
    format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

fn kill_over_and_over(mut world: World, rounds: u64) {
    let mut killed = 0;
    let started = Instant::now();
    world.run(&["backup", "sync", "there"]);
    // Runs that are killed take about as long as this one did.
    let within = started.elapsed();
    world.contents.insert(1, world.kept.pages());
    let mut newest = 1;
    for round in 0..rounds {
        let seed = world.seed;
        let what = format!("round {round}, PAGEKEEP_TEST_SEED={seed}");
        let destination = world.kept.folder.path().join("copy.db");
        let destination = destination.to_str().unwrap().to_owned();
        if world.dice(3) == 0 {
            let old = fs::read(&destination).ok();
            let number = world.dice(newest.into()) as u32 + 1;
            let at = number.to_string();
            let arguments = ["backup", "restore", "there", &destination, "--force", "--at", &at];
            killed += u64::from(world.kill(&arguments, within));
            let now = fs::read(&destination).ok();
            assert!(now == old || now.as_ref() == Some(&world.contents[&number]), "{what}: half of a restore");
            world.run(&arguments);
            assert!(fs::read(&destination).unwrap() == world.contents[&number], "{what}");
        } else {
            world.change();
            world.contents.insert(newest + 1, world.kept.pages());
            let arguments: &[&str] = match world.dice(4) {
                0 => &["backup", "create"],
                _ => &["backup", "sync", "there"],
            };
            killed += u64::from(world.kill(arguments, within));
            for number in world.listed("there") {
                // The older ones are looked at now and then.
                if number + 2 > newest || world.dice(4) == 0 {
                    let what = format!("{what}: snapshot {number} after {arguments:?}");
                    assert!(world.restored("there", number) == world.contents[&number], "{what}");
                }
            }
            world.run(&["backup", "sync", "there"]);
            newest += 1;
            assert_eq!(world.listed("there").first(), Some(&newest), "{what}");
            assert!(world.restored("there", newest) == world.contents[&newest], "{what}");
        }
    }
    for (number, content) in &world.contents {
        assert!(world.restored("there", *number) == *content, "snapshot {number}");
    }
    println!("{killed} of {rounds} runs were killed at work");
    assert!(rounds < 20 || killed * 8 > rounds, "too few were killed at work: {killed} of {rounds}");
}

fn s3_world(name: &str) -> Option<World> {
    let server = s3::Server::from_environment()?;
    let url = format!("{}&region=us-east-1", server.url(name));
    let variables = [("AWS_ACCESS_KEY_ID", &server.key), ("AWS_SECRET_ACCESS_KEY", &server.secret)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.clone()));
    Some(World::new(Some(url), variables.into()))
}

#[test]
fn killed_at_work_on_a_folder() {
    kill_over_and_over(World::new(None, Vec::new()), number_from("PAGEKEEP_TEST_KILLS", 40));
}

#[test]
fn killed_at_work_on_s3() {
    let Some(world) = s3_world("kills") else { return };
    kill_over_and_over(world, number_from("PAGEKEEP_TEST_KILLS", 40));
}

/// Bytes below a folder, in packs.
fn pack_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => pack_bytes(&entry.path()),
            // Files on their way have another name.
            false if entry.file_name().len() == 64 => entry.metadata().unwrap().len(),
            false => 0,
        })
        .sum()
}

#[test]
fn interrupted_it_stops_cleanly_and_goes_on_later() {
    // On a machine that was busy elsewhere all may be done before the signal comes.
    assert!((0..10).any(|_| interrupt_after_the_first_pack()), "ten runs ended before they could be interrupted");
}

/// False when the run had ended before the signal came.
fn interrupt_after_the_first_pack() -> bool {
    let world = World::new(None, Vec::new());
    // Four packs.
    world.kept.fill(900, 60_000, 2);
    let child = world.start(&["backup", "sync", "there"]);
    let packs = world.kept.remote_folder().join("packs");
    let deadline = Instant::now() + Duration::from_secs(30);
    while pack_bytes(&packs) == 0 {
        assert!(Instant::now() < deadline, "no pack came");
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return false;
    }
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert_eq!(world.listed("there"), [0; 0]);

    let there = pack_bytes(&packs);
    assert!(there > 0);
    let report = world.run(&["backup", "sync", "there"]);
    let all = pack_bytes(&packs);
    println!("{there} of {all} bytes were there: {report}");
    let sent = report["requests"]["sent_bytes"].as_u64().unwrap();
    assert!(sent + there / 2 < all, "{sent} bytes were sent of {all}, {there} were there");
    assert!(world.restored("there", 1) == world.kept.pages());
    true
}

#[test]
fn an_interrupted_restore_leaves_nothing() {
    let world = World::new(None, Vec::new());
    world.kept.fill(900, 60_000, 2);
    world.run(&["backup", "sync", "there"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let child = world.start(&["backup", "restore", "there", path.to_str().unwrap()]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while names(folder.path()).is_empty() {
        assert!(Instant::now() < deadline, "no restore began");
        std::thread::sleep(Duration::from_micros(200));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        assert!(fs::read(path).unwrap() == world.kept.pages());
    } else {
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert_eq!(names(folder.path()), [""; 0]);
    }
}

/// A repair is killed at any moment: each object is then as it was or whole, and the next repair ends what was begun.
#[test]
fn killed_while_it_repairs() {
    let mut world = World::new(None, Vec::new());
    world.run(&["backup", "add", "second", &format!("file://{}", world.kept.folder.path().join("second").display())]);
    for number in 1..=4 {
        world.change();
        world.run(&["backup", "sync", "--all"]);
        world.contents.insert(number, world.kept.pages());
    }
    let folder = world.kept.remote_folder();
    let sound = objects_below(&folder);
    let rounds = number_from("PAGEKEEP_TEST_KILLS", 40) / 2;
    let (mut killed, mut within) = (0, Duration::from_millis(300));
    for round in 0..rounds {
        let what = format!("round {round}, PAGEKEEP_TEST_SEED={}", world.seed);
        let mut damaged = sound.clone();
        for (key, good) in &sound {
            let how = if key == "store.json" { 3 } else { world.dice(4) };
            match how {
                0 => drop(damaged.remove(key)),
                1 => drop(damaged.insert(key.clone(), good[..good.len() / 2].to_vec())),
                2 => {
                    let mut bytes = good.clone();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    damaged.insert(key.clone(), bytes);
                }
                _ => {}
            }
        }
        for key in sound.keys() {
            match damaged.get(key) {
                Some(bytes) => fs::write(folder.join(key), bytes).unwrap(),
                None => fs::remove_file(folder.join(key)).unwrap(),
            }
        }
        assert!(world.command(&["scrub", "there"]).output().unwrap().status.code() != Some(0) || damaged == sound);
        let mut child = world.start(&["repair", "there"]);
        std::thread::sleep(Duration::from_micros(world.dice(within.as_micros() as u64)));
        child.kill().unwrap();
        killed += u64::from(child.wait_with_output().unwrap().status.signal() == Some(9));
        let now = objects_below(&folder);
        for (key, bytes) in &now {
            // Files on their way have names of their own, which no reader takes for objects.
            let Some(good) = sound.get(key) else { continue };
            assert!(bytes == good || damaged.get(key) == Some(bytes), "{what}: {key} is something else");
        }
        for key in damaged.keys() {
            assert!(now.contains_key(key), "{what}: {key} is gone");
        }
        let began = Instant::now();
        let report = world.run(&["repair", "there"]);
        within = began.elapsed().max(Duration::from_millis(20));
        assert!(report["findings"].as_array().unwrap().is_empty(), "{what}: {report}");
        world.run(&["scrub", "there"]);
        let after = objects_below(&folder);
        for (key, good) in &sound {
            assert!(after[key] == *good || key.starts_with("packs/"), "{what}: {key} is another now");
        }
    }
    for (number, content) in &world.contents {
        assert!(world.restored("there", *number) == *content, "snapshot {number}");
    }
    println!("{killed} of {rounds} repairs were killed at work");
    assert!(rounds < 20 || killed * 8 > rounds, "too few were killed at work: {killed} of {rounds}");
}

/// Every file below a folder by its key.
fn objects_below(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(root).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let key = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    files.map(|entry| (key(entry.path()), fs::read(entry.path()).unwrap())).collect()
}
