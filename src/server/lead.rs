//! Which of several servers does the work: the one that holds the lease at the place all of them know.
//!
//! A thread of its own beats, or looks whether the lease can be had. Whether this server leads is known without a request: by
//! the time of its newest beat, and a clock of this machine that is never set and goes on while it sleeps. What jobs make
//! is fenced besides, by the epoch in which they were begun (`store/lease/mandate.rs`).

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::config::ClusterConfig;
use crate::ops::{Context, ErrorKind, OpError};
use crate::remote::OpenOptions;
use crate::store::lease::{Beat, Candidate, Standing, Who};
use crate::workspace::Lease;

/// Beats while one lasts.
const BEATS: u32 = 4;
/// How often the thread looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A server among several.
#[derive(Debug)]
pub(crate) struct Lead {
    config: ClusterConfig,
    state: Mutex<State>,
    over: AtomicBool,
    /// Told whenever another leads than before.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// The epoch in which the lease is held, and until when.
    held: Option<(u32, Duration)>,
    leader: Option<Beat>,
    trouble: Option<String>,
    /// What was said last.
    said: Option<Role>,
}

/// What a server is among several.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// It does the work, since this epoch.
    Leads(u32),
    /// Another does, or did until a moment ago.
    Follows(Box<Beat>),
    /// It is not known who does, and why.
    Undecided(Option<String>),
}

/// Why something is not done here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeadError {
    #[error("another server leads: {host} at {address}, epoch {epoch}")]
    Follows { host: String, address: String, epoch: u32 },
    #[error("no server leads at the moment{}", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Undecided { why: Option<String> },
    #[error("{url} lets two servers hold one lease: it overwrites although it is asked not to")]
    Overwrites { url: String },
}

impl From<LeadError> for OpError {
    fn from(error: LeadError) -> Self {
        let (kind, hint) = match &error {
            LeadError::Follows { address, .. } => (ErrorKind::Conflict, format!("ask that one: {address}")),
            LeadError::Undecided { .. } => (ErrorKind::Conflict, "ask again in a minute".into()),
            LeadError::Overwrites { .. } => {
                (ErrorKind::Usage, "put the lease elsewhere: [cluster] lease, in pagekeep.toml".into())
            }
        };
        OpError::Built { kind, hint: Some(hint), failure: Box::new(error) }
    }
}

impl Lead {
    pub(crate) fn new(config: ClusterConfig) -> Arc<Self> {
        let changed = watch::Sender::new(0);
        Arc::new(Self { config, state: Mutex::default(), over: AtomicBool::new(false), changed })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this server is at this moment. Nothing is asked.
    pub(crate) fn role(&self) -> Role {
        let state = self.state();
        if let Some((epoch, _)) = state.held.filter(|(_, until)| steady() < *until) {
            return Role::Leads(epoch);
        }
        match (&state.trouble, &state.leader) {
            (None, Some(beat)) if !beat.ended => Role::Follows(Box::new(beat.clone())),
            (trouble, _) => Role::Undecided(trouble.clone()),
        }
    }

    pub(crate) fn leads(&self) -> bool {
        matches!(self.role(), Role::Leads(_))
    }

    /// The lease under which work is begun.
    ///
    /// # Errors
    /// When it is not held.
    pub(crate) fn lease(&self) -> Result<Lease, LeadError> {
        match self.role() {
            Role::Leads(epoch) => Ok(Lease { url: self.config.lease.clone(), name: self.config.name.clone(), epoch }),
            Role::Follows(beat) => {
                let address = beat.address.unwrap_or_else(|| beat.host.clone());
                Err(LeadError::Follows { host: beat.host, address, epoch: beat.place.epoch })
            }
            Role::Undecided(why) => Err(LeadError::Undecided { why }),
        }
    }

    /// Told whenever another leads than before.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Begins to take part; `address` is where others find this server.
    pub(crate) fn take_part(self: &Arc<Self>, context: &Context, address: String) -> std::thread::JoinHandle<()> {
        let address = self.config.address.clone().unwrap_or(address);
        let who = Who { host: context.host.clone(), address: Some(address) };
        // A remote that does not answer must not be waited for longer than a beat lasts.
        let patience = OpenOptions::within(self.config.lasts / 10);
        let (this, context) = (Arc::clone(self), Context { patience, ..context.clone() });
        std::thread::spawn(move || this.keep(&context, who))
    }

    /// Lets go of the lease, so that another can take it at once: after the last job has ended.
    pub(crate) fn step_down(&self) {
        self.over.store(true, Relaxed);
    }

    fn keep(&self, context: &Context, who: Who) {
        let mut candidate = None;
        while !self.over.load(Relaxed) {
            let began = steady();
            let turn = match &mut candidate {
                Some(candidate) => Candidate::turn(candidate, began, context.now()).map_err(OpError::from),
                None => self.open(context, who.clone()).and_then(|mut opened| {
                    let standing = opened.turn(began, context.now());
                    candidate = Some(opened);
                    Ok(standing?)
                }),
            };
            self.note(began, turn);
            let next = began + self.config.lasts / BEATS;
            while steady() < next && !self.over.load(Relaxed) {
                std::thread::sleep(LOOK_EVERY.min(next.saturating_sub(steady())));
            }
        }
        self.state().held = None;
        if let Some(Err(error)) = candidate.map(|mut candidate| candidate.step_down(context.now())) {
            tracing::warn!("the lease is not let go of, and ends by itself: {error}");
        }
    }

    fn open(&self, context: &Context, who: Who) -> Result<Candidate, OpError> {
        let store = context.open_to_sync(&context.parse_url(&self.config.lease)?)?.store;
        if store.overwrites() {
            return Err(LeadError::Overwrites { url: self.config.lease.clone() }.into());
        }
        Ok(Candidate::new(store, self.config.name.clone(), who, self.config.lasts))
    }

    /// Takes notice of how a turn ended, and says what is new.
    fn note(&self, began: Duration, turn: Result<Standing, OpError>) {
        let mut state = self.state();
        match turn {
            Ok(Standing::Leads { epoch }) => {
                (state.held, state.leader, state.trouble) = (Some((epoch, began + self.config.lasts)), None, None);
            }
            Ok(Standing::Follows(beat)) => (state.held, state.leader, state.trouble) = (None, Some(beat), None),
            Ok(Standing::Undecided) => (state.held, state.leader, state.trouble) = (None, None, None),
            // What is held stays held until its time is over.
            Err(error) => state.trouble = Some(error.in_full()),
        }
        let trouble = state.trouble.clone();
        let before = state.said.take().unwrap_or(Role::Undecided(None));
        drop(state);
        let now = self.role();
        self.state().said = Some(now.clone());
        match (&before, &now) {
            (Role::Leads(before), Role::Leads(now)) if before == now => {
                if let Some(trouble) = trouble {
                    tracing::warn!("the lease could not be renewed, and is tried again: {trouble}");
                }
                return;
            }
            (Role::Follows(before), Role::Follows(now)) if before.holder == now.holder => return,
            (Role::Undecided(before), Role::Undecided(now)) if before.is_some() == now.is_some() => return,
            (_, Role::Leads(epoch)) => tracing::info!("this server leads, epoch {epoch}"),
            (_, Role::Follows(beat)) => {
                let at = beat.address.as_deref().unwrap_or("an address that is not known");
                tracing::info!("{} at {at} leads, epoch {}; this server follows", beat.host, beat.place.epoch);
            }
            (_, Role::Undecided(why)) => {
                tracing::warn!("nobody is known to lead: {}", why.as_deref().unwrap_or("it is not decided yet"));
            }
        }
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// The time since this machine started, sleep included.
fn steady() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(clock);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
