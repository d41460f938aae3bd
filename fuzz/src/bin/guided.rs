//! One target under libFuzzer: the one that `PAGEKEEP_FUZZ_TARGET` names. `scripts/fuzz_guided.sh` builds and runs it.
#![no_main]

use std::sync::LazyLock;

use pagekeep_fuzz::{TARGETS, Target, seeds};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("PAGEKEEP_FUZZ_TARGET").expect("PAGEKEEP_FUZZ_TARGET names a target");
    *TARGETS.iter().find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("no target is named {wanted:?}"))
});

/// With `PAGEKEEP_FUZZ_SEEDS` what fuzzing begins with is written into that folder, and the targets' names are printed.
fn write_seeds_if_asked() {
    let Some(folder) = std::env::var_os("PAGEKEEP_FUZZ_SEEDS") else { return };
    seeds::write(folder.as_ref()).expect("seeds are written");
    std::process::exit(0);
}

libfuzzer_sys::fuzz_target!(init: write_seeds_if_asked(), |bytes: &[u8]| TARGET.1(bytes));
