//! One target under libFuzzer: the one that `PAGEKEEP_FUZZ_TARGET` names. `scripts/fuzz_guided.sh` builds and runs it.
#![no_main]

use std::sync::LazyLock;

use pagekeep_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("PAGEKEEP_FUZZ_TARGET").expect("PAGEKEEP_FUZZ_TARGET names a target");
    *TARGETS.iter().find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("no target is named {wanted:?}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.1(bytes));
