//! Runs the fuzz targets on stable Rust: mutations of good inputs, the same for the same seed, for a given time.
//!
//!     mutate [TARGET|all] [SECONDS] [SEED]
//!
//! An input that a target panics on is written to the current folder, and the run ends with 1.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use pagekeep_fuzz::{TARGETS, Target, seeds};

/// Inputs kept to be mutated further; the newest replace random ones.
const POOL: usize = 64;
/// Longest input.
const LONGEST: usize = 1 << 16;
/// Numbers that lie at the edges of something.
const EDGES: [u64; 10] = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Changes an input in one to four places.
fn mutate(input: &mut Vec<u8>, pool: &[Vec<u8>], numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(input.len() + 1);
        let len = numbers.below(16.min(input.len() - at) + 1);
        match numbers.below(9) {
            0 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            1 if at < input.len() => input[at] = numbers.next() as u8,
            2 => drop(input.drain(at..at + len)),
            3 => input.truncate(at),
            4 => drop(input.splice(at..at, (0..len).map(|_| numbers.next() as u8).collect::<Vec<_>>())),
            5 => {
                let copy = input[at..at + len].to_vec();
                let to = numbers.below(input.len() + 1);
                drop(input.splice(to..to, copy));
            }
            6 => {
                let edge = EDGES[numbers.below(EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][numbers.below(4)];
                drop(input.splice(at..(at + width).min(input.len()), edge[..width].iter().copied()));
            }
            7 => {
                // The same numbers as varints.
                let mut edge = EDGES[numbers.below(EDGES.len())];
                let mut varint = Vec::new();
                while edge >= 0x80 {
                    varint.push(edge as u8 | 0x80);
                    edge >>= 7;
                }
                varint.push(edge as u8);
                drop(input.splice(at..(at + 1).min(input.len()), varint));
            }
            _ => {
                let other = &pool[numbers.below(pool.len())];
                let from = numbers.below(other.len() + 1);
                let to = (from + numbers.below(64)).min(other.len());
                drop(input.splice(at..at + len, other[from..to].iter().copied()));
            }
        }
    }
    input.truncate(LONGEST);
}

/// Runs one target; the input it panicked on, if there was one.
fn run((name, target): Target, time: Duration, seed: u64) -> Result<u64, Vec<u8>> {
    let mut numbers = Numbers(seed);
    let mut pool = seeds::of(name);
    assert!(!pool.is_empty(), "{name} has no seeds");
    let good = pool.clone();
    let started = Instant::now();
    let mut runs = 0;
    let mut input = Vec::new();
    while runs % 64 != 0 || started.elapsed() < time {
        if runs < good.len() as u64 {
            input.clone_from(&good[runs as usize]);
        } else {
            let from = if numbers.below(3) == 0 { &good } else { &pool };
            input.clone_from(&from[numbers.below(from.len())]);
            mutate(&mut input, &pool, &mut numbers);
        }
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            return Err(input);
        }
        if numbers.below(100) == 0 {
            if pool.len() < POOL {
                pool.push(input.clone());
            } else {
                let at = numbers.below(POOL);
                pool[at].clone_from(&input);
            }
        }
        runs += 1;
    }
    Ok(runs)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |n: usize, usual: &str| arguments.get(n).map_or(usual.to_owned(), Clone::clone);
    let (wanted, seconds, seed) = (argument(0, "all"), argument(1, "10"), argument(2, "1"));
    let seconds = Duration::from_secs(seconds.parse().expect("SECONDS is a number"));
    let seed = seed.parse().expect("SEED is a number");
    let targets: Vec<Target> = TARGETS.iter().filter(|(name, _)| wanted == "all" || wanted == *name).copied().collect();
    assert!(!targets.is_empty(), "no target is named {wanted:?}");
    let mut failed = false;
    for target in targets {
        match run(target, seconds, seed) {
            Ok(runs) => println!("{}: {runs} inputs, no finding", target.0),
            Err(input) => {
                let path = format!("finding-{}-{}", target.0, &blake3::hash(&input).to_hex()[..8]);
                std::fs::write(&path, &input).expect("the finding can be written");
                println!("{}: panicked; the input is in {path}", target.0);
                failed = true;
            }
        }
    }
    std::process::exit(i32::from(failed));
}
