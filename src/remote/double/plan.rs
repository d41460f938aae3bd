//! Which calls go wrong, and how.

use std::io;
use std::time::Duration;

use object_store::Error;

use super::calls::{Call, Verb};

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and has no effect.
    Refuse(Refusal),
    /// It takes effect, and its answer is lost on the way.
    LoseAnswer,
    /// It comes later.
    Delay(Duration),
    /// The program stops before the call: this one and all later ones fail and have no effect.
    CrashBefore,
    /// The program stops after the call: this one takes effect and fails, all later ones fail and have no effect.
    CrashAfter,
    /// A put takes effect and is answered with "exists already": the client lost the first answer and tried again.
    SayExists,
    /// The connection is cut in the middle: a body or a listing fails after its first half.
    Tear,
    /// A body or a listing ends after its first half as if that were all. What was said of its length stays.
    Shorten,
    /// A body goes on for one byte more than was said.
    Lengthen,
    /// A body, its length and what else is said of the object are those of another, with this whole key.
    Swap(String),
    /// This bit of a body is the other way round, counted from the first byte's lowest and around at the end.
    FlipBit(u64),
    /// A listing lacks this entry, counted from 0 and around at the end.
    Omit(u64),
    /// The entries of a listing come in an order made from this seed.
    Reorder(u64),
}

impl Fault {
    /// Whether this can go wrong with calls of a verb.
    pub fn fits(&self, verb: Verb) -> bool {
        match self {
            Self::Refuse(_) | Self::LoseAnswer | Self::Delay(_) | Self::CrashBefore | Self::CrashAfter => true,
            Self::SayExists => verb == Verb::Put,
            Self::Tear | Self::Shorten => matches!(verb, Verb::Get | Verb::List),
            Self::Lengthen | Self::Swap(_) | Self::FlipBit(_) => verb == Verb::Get,
            Self::Omit(_) | Self::Reorder(_) => verb == Verb::List,
        }
    }
}

/// How a call is refused: the errors that clients give for these answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 404: no such object.
    NotFound,
    /// 401: who are you?
    Unauthenticated,
    /// 403: you may not.
    Forbidden,
    /// 429: come back later.
    TooManyRequests,
    /// 500: the server failed.
    ServerError,
    /// Nobody listens.
    Unreachable,
    /// A file system has no room.
    Full,
    /// A file system is mounted read-only.
    ReadOnly,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NotFound,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::TooManyRequests,
        Self::ServerError,
        Self::Unreachable,
        Self::Full,
        Self::ReadOnly,
    ];

    pub(super) fn error(self, key: &str) -> Error {
        let path = key.to_owned();
        let system = |kind: io::ErrorKind| Error::Generic { store: STORE, source: Box::new(io::Error::from(kind)) };
        match self {
            Self::NotFound => Error::NotFound { path, source: "404 Not Found".into() },
            Self::Unauthenticated => Error::Unauthenticated { path, source: "401 Unauthorized".into() },
            Self::Forbidden => Error::PermissionDenied { path, source: "403 Forbidden".into() },
            Self::TooManyRequests => broken("429 Too Many Requests"),
            Self::ServerError => broken("500 Internal Server Error"),
            Self::Unreachable => system(io::ErrorKind::ConnectionRefused),
            Self::Full => system(io::ErrorKind::StorageFull),
            Self::ReadOnly => system(io::ErrorKind::ReadOnlyFilesystem),
        }
    }
}

const STORE: &str = "double";

/// An error that says nothing but its reason.
pub(super) fn broken(reason: &str) -> Error {
    Error::Generic { store: STORE, source: reason.into() }
}

/// Which calls go wrong, and how. Several faults can hit one call.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    rules: Vec<Rule>,
    random: Vec<Random>,
    ignore_create: bool,
}

#[derive(Clone, Debug)]
struct Rule {
    verb: Option<Verb>,
    key_part: String,
    /// Which of the calls that match, from 1; `None` for each.
    turn: Option<u64>,
    fault: Fault,
}

#[derive(Clone, Debug)]
struct Random {
    seed: u64,
    one_in: u64,
    faults: Vec<Fault>,
}

impl Plan {
    /// Nothing goes wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// The `n`-th call of all goes wrong, counted from 1.
    ///
    /// # Panics
    /// When the fault does not fit every verb: a fault that cannot hit would make a test that cannot fail.
    #[must_use]
    pub fn at(self, n: u64, fault: Fault) -> Self {
        let misfit = Verb::ALL.into_iter().find(|verb| !fault.fits(*verb));
        assert_eq!(misfit, None, "{fault:?} does not fit every verb");
        self.rule(None, "", Some(n), fault)
    }

    /// The `n`-th call of a verb goes wrong, counted from 1.
    ///
    /// # Panics
    /// When the fault does not fit the verb, or `n` is 0; [`Plan::on_key`] and [`Plan::each`] as well.
    #[must_use]
    pub fn on(self, verb: Verb, n: u64, fault: Fault) -> Self {
        self.on_key(verb, "", n, fault)
    }

    /// The `n`-th call of a verb with this text in its key goes wrong, counted from 1.
    #[must_use]
    pub fn on_key(self, verb: Verb, key_part: &str, n: u64, fault: Fault) -> Self {
        assert!(fault.fits(verb), "{fault:?} does not fit {verb}");
        self.rule(Some(verb), key_part, Some(n), fault)
    }

    /// Each call of a verb with this text in its key goes wrong.
    #[must_use]
    pub fn each(self, verb: Verb, key_part: &str, fault: Fault) -> Self {
        assert!(fault.fits(verb), "{fault:?} does not fit {verb}");
        self.rule(Some(verb), key_part, None, fault)
    }

    /// One in so many calls goes wrong, with one of these faults that fits. The seed and the number of a call decide
    /// alone, so that a run can be repeated.
    ///
    /// # Panics
    /// When there are no faults, or `one_in` is 0.
    #[must_use]
    pub fn random(mut self, seed: u64, one_in: u64, faults: &[Fault]) -> Self {
        assert!(one_in > 0 && !faults.is_empty(), "nothing would ever go wrong");
        self.random.push(Random { seed, one_in, faults: faults.to_vec() });
        self
    }

    /// The place does not know conditional puts: one that may only create overwrites.
    #[must_use]
    pub fn ignoring_create(self) -> Self {
        Self { ignore_create: true, ..self }
    }

    pub(super) fn ignores_create(&self) -> bool {
        self.ignore_create
    }

    pub(super) fn rules(&self) -> usize {
        self.rules.len()
    }

    fn rule(mut self, verb: Option<Verb>, key_part: &str, turn: Option<u64>, fault: Fault) -> Self {
        assert_ne!(turn, Some(0), "calls are counted from 1");
        self.rules.push(Rule { verb, key_part: key_part.to_owned(), turn, fault });
        self
    }

    /// The faults that hit the call with this number; `matched` counts the calls that each rule matches.
    pub(super) fn faults(&self, number: u64, call: &Call, matched: &mut [u64]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (rule, matched) in self.rules.iter().zip(matched) {
            if rule.verb.is_some_and(|verb| verb != call.verb) || !call.key.contains(&rule.key_part) {
                continue;
            }
            *matched += 1;
            if rule.turn.is_none_or(|turn| turn == *matched) {
                faults.push(rule.fault.clone());
            }
        }
        for random in &self.random {
            let dice = mix(random.seed ^ mix(number));
            let fitting: Vec<_> = random.faults.iter().filter(|fault| fault.fits(call.verb)).collect();
            if dice.is_multiple_of(random.one_in) && !fitting.is_empty() {
                faults.push(fitting[(dice / random.one_in) as usize % fitting.len()].clone());
            }
        }
        faults
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(super) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
