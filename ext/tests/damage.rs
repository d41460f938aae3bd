//! A remote whose owner is no friend: whatever lies there, an attached snapshot gives right rows or an error.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

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

#[test]
fn a_flipped_byte_is_an_error_or_no_matter() {
    let Some(program) = program() else { return };
    let folder = Folder::new();
    // Noise, so that there are packs beside the records.
    folder.sql(
        "CREATE TABLE noise AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) \
                SELECT i, randomblob(4000) AS b FROM n",
    );
    let folder = folder.with_history(&program);
    let remote = folder.path("remote");
    let mut objects = Vec::new();
    files(&remote, &mut objects);
    let attach = format!("ATTACH 'file:app@latest?vfs=pagekeep&from={}' AS old", remote.display());
    let ask = ["SELECT count(*), sum(length(b)) FROM old.noise", "SELECT what FROM old.orders ORDER BY id"];
    let mut outcomes = [0, 0];
    for host in all() {
        let run = Run::new(&folder, &host, library()).on(":memory:");
        let right = "600|2400000\ntea\nrice\nsalt\noil";
        for object in &objects {
            let bytes = fs::read(object).unwrap();
            // The first host sees many, the others some.
            let steps = if host == Host::Newest { 7 } else { 2 };
            for at in (0..bytes.len()).step_by(bytes.len().div_ceil(steps).max(1)) {
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
            }
            fs::write(object, &bytes).unwrap();
        }
        let _ = fs::remove_dir_all(folder.path(".cache"));
        assert_eq!(run.sql(&[&attach, ask[0], ask[1]]).unwrap(), right);
    }
    assert!(outcomes[1] > 10, "damage was not seen: {outcomes:?}");
}
