//! Writes what fuzzing begins with: `seeds FOLDER` makes a folder of inputs for each target, and prints the targets' names.

use std::path::PathBuf;

use pagekeep_fuzz::{TARGETS, seeds};

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("the folder is given"));
    for (target, _) in TARGETS {
        let own = folder.join(target);
        std::fs::create_dir_all(&own)?;
        for (number, seed) in seeds::of(target).iter().enumerate() {
            std::fs::write(own.join(format!("seed-{number}")), seed)?;
        }
        println!("{target}");
    }
    Ok(())
}
