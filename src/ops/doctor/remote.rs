//! What a remote can do, tried with a few small objects below `probes/`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{Chart, DoctorState, here};
use crate::base::{Name, Nonce};
use crate::ops::keys::key_there;
use crate::ops::{Context, Database, OpError};
use crate::remote::{PutOutcome, Remote, RemoteError, RemoteErrorKind};
use crate::store::{Store, StoreError, keys};

/// How far a clock may be off before somebody is told: signed requests are refused at 15 minutes.
const SKEW_WARNING: Duration = Duration::from_secs(30);
/// See [`SKEW_WARNING`].
const SKEW_FAILURE: Duration = Duration::from_secs(10 * 60);
/// Reads that are timed.
const READS: usize = 5;
/// Bytes that are sent and fetched to see how fast that goes.
const LOAD_BYTES: usize = 4 << 20;
/// Probes older than this were left by a run that was stopped.
const LEFT: Duration = Duration::from_secs(3600);

pub(super) fn look(context: &Context, database: &Database, name: &Name, chart: &mut Chart) {
    let opened = match database.open_remote(context, name.as_str()) {
        Ok(opened) => opened,
        Err(error) => {
            chart.error("credentials", &error);
            return here::runs(context, database, Some(name), chart);
        }
    };
    chart.good("credentials", format!("from {}", opened.credentials));
    let remote = opened.store.remote();
    let config = &database.workspace.config.remotes[name];
    match Store::open(remote.clone()) {
        Ok((_, file)) if file.store_id != config.store_id => {
            let error = OpError::OtherStore { name: name.clone(), remote: opened.url.clone() };
            chart.error("store", &error);
        }
        Ok((_, file)) => chart.good("store", format!("format {}, id {}", file.format, file.store_id)),
        Err(error) => chart.error("store", &OpError::from(error)),
    }
    match key_there(context, database, name) {
        Ok(None) => {}
        Ok(Some(key)) => chart.good("password", format!("it opens the key {} there", &key.as_str()[..8])),
        Err(error) => chart.error("password", &error),
    }
    let remote = remote.raw();
    let mut probes = Probes { context, remote, mark: format!("{}/{}", keys::PROBES, Nonce::fresh()), kept: None };
    if let Err(error) = probes.all(config.conditional_put, name, chart) {
        chart.error("access", &StoreError::from(error).into());
    }
    here::runs(context, database, Some(name), chart);
}

struct Probes<'a> {
    context: &'a Context,
    remote: &'a Remote,
    /// How the keys of this run's objects begin.
    mark: String,
    /// Why they cannot be removed, when they cannot.
    kept: Option<RemoteError>,
}

impl Probes<'_> {
    fn all(&mut self, is_conditional: bool, name: &Name, chart: &mut Chart) -> Result<(), RemoteError> {
        let first = format!("{}-first", self.mark);
        let sent_at = self.context.now();
        self.remote.put_new(&first, Bytes::from_static(b"first"))?;
        let answered_at = self.context.now();
        chart.good("write", "an object was created");
        let done = self.with_first(&first, sent_at, answered_at, is_conditional, name, chart);
        self.remove(&first);
        done?;
        self.consistency(chart)?;
        self.load(chart)?;
        self.sweep()?;
        match self.kept.take() {
            None => chart.good("delete", "what was created was removed"),
            Some(error) if matches!(error.kind, RemoteErrorKind::Credentials | RemoteErrorKind::ReadOnly) => {
                let detail = "these credentials may not delete, which a thief could not either; small objects stay below \
                              probes/, and may be removed at any time";
                chart.good("delete", detail);
            }
            Some(error) => return Err(error),
        }
        Ok(())
    }

    fn with_first(
        &mut self,
        key: &str,
        sent_at: Timestamp,
        answered_at: Timestamp,
        is_conditional: bool,
        name: &Name,
        chart: &mut Chart,
    ) -> Result<(), RemoteError> {
        let second = self.remote.put_new(key, Bytes::from_static(b"second"))?;
        let keeps = second == PutOutcome::Exists && self.remote.get(key, 64)?[..] == b"first"[..];
        let anew = format!("pagekeep backup remove {name}, then pagekeep backup add {name} URL: that looks again");
        match (keeps, is_conditional) {
            (true, true) => chart.good("conditional put", "the first writer of a key is kept"),
            (true, false) => chart.warn(
                "conditional put",
                "the first writer of a key is kept, which it was not when this remote was added: writers need not take \
                 turns any more",
                anew,
            ),
            (false, true) => chart.fail(
                "conditional put",
                "it overwrites objects although it is asked not to, which it did not when it was added: two writers at \
                 once could undo each other's work",
                anew,
            ),
            (false, false) => chart.warn(
                "conditional put",
                "it overwrites objects although it is asked not to; writers take turns by a lock",
                "nothing has to be done; a newer version of that storage may keep the first writer",
            ),
        }
        self.skew(key, sent_at, answered_at, chart)?;
        let mut times = Vec::with_capacity(READS);
        for _ in 0..READS {
            let began = Instant::now();
            self.remote.get(key, 64)?;
            times.push(began.elapsed());
        }
        times.sort();
        let (median, worst) = (times[READS / 2], times[READS - 1]);
        let detail = format!("{} for a small read, {} at worst", shown(median), shown(worst));
        match median < Duration::from_secs(2) {
            true => chart.good("latency", detail),
            false => chart.warn("latency", detail, "snapshots wait for several of these: is the network well?"),
        }
        Ok(())
    }

    /// The remote's clock against ours. Its times may be whole seconds.
    fn skew(
        &self,
        key: &str,
        sent_at: Timestamp,
        answered_at: Timestamp,
        chart: &mut Chart,
    ) -> Result<(), RemoteError> {
        let listed = self.remote.list(keys::PROBES)?;
        let Some(found) = listed.iter().find(|listed| listed.key == key) else { return Ok(()) };
        let early = sent_at - SignedDuration::from_secs(1);
        let off = if found.modified < early {
            early.duration_since(found.modified).unsigned_abs()
        } else if found.modified > answered_at {
            found.modified.duration_since(answered_at).unsigned_abs()
        } else {
            Duration::ZERO
        };
        let detail = format!("the clocks differ by {}", shown(off));
        let fix = "set this machine's clock by the network: timedatectl set-ntp true";
        match off {
            off if off >= SKEW_FAILURE => chart.fail("clock", detail, fix),
            off if off >= SKEW_WARNING => chart.warn("clock", detail, fix),
            off if off > Duration::ZERO => chart.good("clock", detail),
            _ => chart.good("clock", "the remote's clock and ours agree"),
        }
        Ok(())
    }

    /// Whether listings show at once what was put, and no longer what was deleted.
    fn consistency(&mut self, chart: &mut Chart) -> Result<(), RemoteError> {
        let (mut unseen, mut lingering) = (0, 0);
        for n in 0..3 {
            let key = format!("{}-listed-{n}", self.mark);
            self.remote.put_new(&key, Bytes::from_static(b"x"))?;
            unseen += usize::from(!self.lists(&key)?);
            self.remove(&key);
            if self.kept.is_none() {
                lingering += usize::from(self.lists(&key)?);
            }
        }
        if unseen == 0 && lingering == 0 {
            chart.good("listings", "they show at once what was put and what was deleted");
            return Ok(());
        }
        let detail = format!("{unseen} of 3 objects were not listed at once, {lingering} were listed after deletion");
        let fix = "this storage cannot be written to by more than one machine; use one with consistent listings";
        let state = if unseen > 0 { DoctorState::Failed } else { DoctorState::Warning };
        chart.add("listings", state, detail, Some(fix.into()));
        Ok(())
    }

    fn lists(&self, key: &str) -> Result<bool, RemoteError> {
        Ok(self.remote.list(keys::PROBES)?.iter().any(|listed| listed.key == key))
    }

    /// How fast a larger object goes there and comes back, and whether it comes back right.
    fn load(&mut self, chart: &mut Chart) -> Result<(), RemoteError> {
        let key = format!("{}-load", self.mark);
        let mut bytes = vec![0; LOAD_BYTES];
        blake3::Hasher::new().update(self.mark.as_bytes()).finalize_xof().fill(&mut bytes);
        let bytes = Bytes::from(bytes);
        let began = Instant::now();
        self.remote.put_new(&key, bytes.clone())?;
        let up = began.elapsed();
        let began = Instant::now();
        let back = self.remote.get(&key, LOAD_BYTES as u64);
        let down = began.elapsed();
        self.remove(&key);
        if back? != bytes {
            let fix = "keep no backup there: something on the way changes objects";
            chart.fail("throughput", format!("{LOAD_BYTES} bytes were put, and others came back"), fix);
            return Ok(());
        }
        let rate = |time: Duration| LOAD_BYTES as f64 / 1e6 / time.as_secs_f64().max(1e-6);
        chart.good("throughput", format!("{:.1} MB/s there, {:.1} MB/s back", rate(up), rate(down)));
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        if let Err(error) = self.remote.delete(key) {
            self.kept.get_or_insert(error);
        }
    }

    /// Removes what runs that were stopped have left.
    fn sweep(&mut self) -> Result<(), RemoteError> {
        let now = self.context.now();
        for listed in self.remote.list(keys::PROBES)? {
            if self.kept.is_none()
                && now.duration_since(listed.modified) > SignedDuration::try_from(LEFT).unwrap_or_default()
            {
                self.remove(&listed.key);
            }
        }
        Ok(())
    }
}

/// `12 ms`, `3.4 s`.
fn shown(time: Duration) -> String {
    match time.as_millis() {
        0 => "less than 1 ms".into(),
        ms @ 1..1000 => format!("{ms} ms"),
        ms => format!("{:.1} s", ms as f64 / 1000.0),
    }
}
