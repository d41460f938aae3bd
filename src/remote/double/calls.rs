//! What was asked, in order, and which faults hit it.

use std::fmt;

use object_store::GetRange;

use super::plan::{Fault, Plan};

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// An object's bytes, or some of them.
    Get,
    /// Whether an object is there, and its length.
    Head,
    /// To write an object.
    Put,
    /// The objects below a folder of keys.
    List,
    /// To remove an object.
    Delete,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Head, Self::Put, Self::List, Self::Delete];
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::List => "list",
            Self::Delete => "delete",
        })
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it asked for.
    pub verb: Verb,
    /// The key, with the prefix of the store; of a listing the folder.
    pub key: String,
    /// Of a get: the part of the object that was asked for; `None` for the whole.
    pub range: Option<GetRange>,
    /// Of a put: the length of the body. Of a get: the bytes that should have come; 0 until they are known, and when
    /// there was no answer. Otherwise 0.
    pub bytes: u64,
    /// The faults that hit it.
    pub faults: Vec<Fault>,
}

impl Call {
    pub(super) fn new(verb: Verb, key: &str) -> Self {
        Self { verb, key: key.to_owned(), range: None, bytes: 0, faults: Vec::new() }
    }

    pub(super) fn with_bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    pub(super) fn with_range(self, range: Option<GetRange>) -> Self {
        Self { range, ..self }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.key)?;
        match &self.range {
            Some(GetRange::Bounded(range)) => write!(f, " {}..{}", range.start, range.end)?,
            Some(GetRange::Offset(start)) => write!(f, " {start}..")?,
            Some(GetRange::Suffix(len)) => write!(f, " last {len}")?,
            None => {}
        }
        match self.verb {
            Verb::Get | Verb::Put => write!(f, " ({})", self.bytes),
            _ => Ok(()),
        }
    }
}

/// The calls since a reset, and how far the plan has got with them.
#[derive(Debug)]
pub(super) struct Log {
    plan: Plan,
    /// The number of the first of these calls; numbers are not used again, since an answer may come after a reset.
    first: u64,
    calls: Vec<Call>,
    /// How many calls each rule of the plan has matched.
    matched: Vec<u64>,
    crashed: bool,
}

impl Log {
    pub(super) fn new(plan: Plan) -> Self {
        let matched = vec![0; plan.rules()];
        Self { plan, first: 0, calls: Vec::new(), matched, crashed: false }
    }

    pub(super) fn reset(&mut self, plan: Plan) {
        let first = self.first + self.calls.len() as u64;
        *self = Self { first, ..Self::new(plan) };
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Records a call; returns its number, by which its answer is recorded later, and the faults that hit it.
    pub(super) fn begin(&mut self, mut call: Call) -> (u64, Vec<Fault>) {
        let at = self.calls.len() as u64;
        call.faults = match self.crashed {
            true => vec![Fault::CrashBefore],
            false => self.plan.faults(at + 1, &call, &mut self.matched),
        };
        self.crashed |= call.faults.iter().any(|fault| matches!(fault, Fault::CrashBefore | Fault::CrashAfter));
        let faults = call.faults.clone();
        self.calls.push(call);
        (self.first + at, faults)
    }

    pub(super) fn answered(&mut self, number: u64, bytes: u64) {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(call) = at.and_then(|at| self.calls.get_mut(at)) {
            call.bytes = bytes;
        }
    }
}
