//! A remote whose owner is no friend: whatever lies there, an attached snapshot gives right rows or an error.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::hosts::{Host, Run, all, be_newest};
use support::{Folder, library, program};

#[test]
fn newest_host() {
    be_newest();
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
    }
}

/// What each host may take for what comes after the first byte of each object; `PAGEKEEP_TEST_LONG=1` flips them all.
const SHARE: Duration = Duration::from_secs(4);

/// Where bytes are flipped: in each object once, each time at another part of it, and then at its other parts.
fn places(objects: &[PathBuf], steps: usize) -> Vec<(&PathBuf, usize, bool)> {
    let len = |object: &PathBuf| fs::metadata(object).unwrap().len() as usize;
    let place = |round: usize, number: usize| {
        let object = &objects[number];
        let step = len(object).div_ceil(steps).max(1);
        Some((object, (number + round) % steps * step, round == 0)).filter(|(object, at, _)| *at < len(object))
    };
    (0..steps).flat_map(|round| (0..objects.len()).filter_map(move |number| place(round, number))).collect()
}

#[test]
fn a_flipped_byte_is_an_error_or_no_matter() {
    let Some(program) = program() else { return };
    let folder = Folder::new();
    // Noise, so that there are packs beside the records.
    folder.sql(
        "CREATE TABLE noise AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 320) \
                SELECT i, randomblob(4000) AS b FROM n",
    );
    let folder = folder.with_history(&program);
    let remote = folder.path("remote");
    let mut objects = Vec::new();
    files(&remote, &mut objects);
    let attach = format!("ATTACH 'file:app@latest?vfs=pagekeep&from={}' AS old", remote.display());
    let ask = ["SELECT count(*), sum(length(b)) FROM old.noise", "SELECT what FROM old.orders ORDER BY id"];
    let mut outcomes = [0, 0];
    let long = std::env::var_os("PAGEKEEP_TEST_LONG").is_some();
    library();
    let begun = Instant::now();
    for host in all() {
        let run = Run::new(&folder, &host, library()).on(":memory:");
        let right = "320|1280000\ntea\nrice\nsalt\noil";
        let started = Instant::now();
        for (object, at, is_first) in places(&objects, if host == Host::Newest { 7 } else { 2 }) {
            if !is_first && !long && started.elapsed() > SHARE {
                break;
            }
            let bytes = fs::read(object).unwrap();
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x20;
            fs::write(object, &flipped).unwrap();
            let _ = fs::remove_dir_all(folder.path(".cache"));
            match run.sql(&[&attach, ask[0], ask[1]]) {
                Ok(rows) => {
                    assert_eq!(rows, right, "{} at {at}", object.display());
                    outcomes[0] += 1;
                }
                Err(_) => outcomes[1] += 1,
            }
            fs::write(object, &bytes).unwrap();
        }
        let _ = fs::remove_dir_all(folder.path(".cache"));
        assert_eq!(run.sql(&[&attach, ask[0], ask[1]]).unwrap(), right);
    }
    println!("{outcomes:?} in {:?}", begun.elapsed());
    assert!(outcomes[1] > objects.len(), "damage was not seen: {outcomes:?}");
}
