//! Runs schedules: one at a time for each database, looked at in this process before a job is begun for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use super::Server;
use super::tries::Tries;
use crate::base::Name;
use crate::ops::{self, OpError};
use crate::procedures::jobs;
use crate::workspace::{JobState, Run, Schedule, Task, Timetable};

/// Looks under way at once: a disk that does not answer keeps no other waiting.
const LOOKS: usize = 4;
/// How often folders are asked whether their configuration changed.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
/// A remote that was synced with within this time is trusted to have what it had.
pub(super) const TRUSTED: Duration = Duration::from_secs(12 * 3600);
/// When a run found no room, it is tried again after this time.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// What is due when.
#[derive(Default)]
struct Plan {
    tables: BTreeMap<Name, (Schedule, Timetable)>,
    due: BTreeSet<(Timestamp, Name)>,
}

/// How often a server among several looks for runs that nobody did.
const LOOK_FOR_LEFT_EVERY: Duration = Duration::from_secs(2);

/// Runs schedules until the server stops.
pub(crate) async fn run(server: Arc<Server>) {
    let mut stopping = server.stopping.subscribe();
    let looks = Arc::new(Semaphore::new(LOOKS));
    let under_way = Arc::new(Mutex::new(BTreeSet::new()));
    let tries = Arc::new(Mutex::new(Tries::default()));
    let mut lead = server.lead.as_ref().map(|lead| lead.changes());
    let every = if lead.is_some() { LOOK_FOR_LEFT_EVERY } else { REFRESH_EVERY };
    let mut plan = Plan::default();
    let mut refreshed = std::time::Instant::now();
    plan.renew(&server, true);
    loop {
        let now = server.base.context.now();
        server.alive.store(now.as_second(), Relaxed);
        let mut due_now = plan.take_due(now);
        due_now.iter().for_each(|(_, name)| plan.put_next(name, now));
        if let Some(lead) = &server.lead {
            due_now = if lead.leads() { plan.left(&server, &tries, now) } else { Vec::new() };
        }
        for (due, name) in due_now {
            if !lock(&under_way).insert(name.clone()) {
                if server.lead.is_none() {
                    tracing::warn!("{name}: due, but its last run has not begun yet; left out");
                }
                continue;
            }
            let retention = plan.tables.get(&name).and_then(|(schedule, _)| schedule.retention);
            let (server, tries) = (Arc::clone(&server), Arc::clone(&tries));
            let run = Planned { server, tries, name: name.clone(), due, retention };
            let (looks, under_way) = (Arc::clone(&looks), Arc::clone(&under_way));
            tokio::spawn(async move {
                run.look(&looks).await;
                lock(&under_way).remove(&name);
            });
        }
        let until = plan
            .due
            .first()
            .map_or(every, |(due, _)| due.duration_since(now).try_into().unwrap_or(Duration::ZERO).min(every));
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => break,
            () = server.schedules_changed.notified() => plan.renew(&server, false),
            () = another_leads(&mut lead) => {}
            () = tokio::time::sleep(until.max(Duration::from_millis(10))) => {}
        }
        if refreshed.elapsed() >= REFRESH_EVERY {
            refreshed = std::time::Instant::now();
            let for_look = Arc::clone(&server);
            let look = tokio::task::spawn_blocking(move || for_look.refresh());
            if look.await.unwrap_or(false) {
                plan.renew(&server, false);
            }
            server.runs.save();
        }
    }
    server.runs.save();
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns when another leads than before; never, to a server that is alone.
async fn another_leads(changes: &mut Option<tokio::sync::watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

impl Plan {
    /// Plans anew what changed; at the start also what was missed.
    fn renew(&mut self, server: &Server, at_start: bool) {
        let now = server.base.context.now();
        let mut wanted = BTreeMap::new();
        for (name, entry) in server.catalog.entries().iter() {
            let Ok((_, workspace)) = server.catalog.workspace(name) else { continue };
            let schedule = server.schedule_of(&workspace, &entry.handle).map(|(schedule, _)| schedule.clone());
            let Some(schedule) = schedule.filter(|schedule| schedule.enabled) else { continue };
            match schedule.timetable(name.as_str(), &server.base.context.zone) {
                Ok(table) => drop(wanted.insert(name.clone(), (schedule, table))),
                Err(reason) => tracing::error!("the schedule of {name}: {reason}"),
            }
        }
        let kept = |name: &Name| {
            let schedule =
                |tables: &BTreeMap<Name, (Schedule, Timetable)>| tables.get(name).map(|(one, _)| one.clone());
            schedule(&self.tables) == schedule(&wanted)
        };
        let mut due: BTreeSet<_> =
            self.due.iter().filter(|(_, name)| wanted.contains_key(name) && kept(name)).cloned().collect();
        let planned: BTreeSet<Name> = due.iter().map(|(_, name)| name.clone()).collect();
        for (name, (schedule, table)) in wanted.iter().filter(|(name, _)| !planned.contains(*name)) {
            let missed = match server.runs.last(name) {
                Some(last) if at_start => table.last_missed(last, now).is_some(),
                Some(_) => false,
                None => {
                    server.runs.begin(name, now);
                    false
                }
            };
            // Among several, what is left to do is found by whoever leads.
            let missed = missed && server.lead.is_none();
            let at_once = at_start && (missed || schedule.on_start && server.lead.is_none());
            if missed {
                tracing::info!("{name}: a run was missed and is made up");
            }
            due.extend(if at_once { Some(now) } else { table.next_after(now) }.map(|next| (next, name.clone())));
        }
        (self.tables, self.due) = (wanted, due);
    }

    /// The last run of each database that was due and is not known to be done, unless it is under way or was tried just now.
    fn left(&self, server: &Server, tries: &Mutex<Tries>, now: Timestamp) -> Vec<(Timestamp, Name)> {
        let mut tries = lock(tries);
        for (name, job, due) in tries.open() {
            let Ok((entry, workspace)) = server.catalog.workspace(&name) else { continue };
            if server.runner.has(&entry.home, &entry.handle) {
                continue;
            }
            match workspace.job(&job) {
                Ok(job) if !job.state.is_finished() => {}
                Ok(job) if job.state == JobState::Completed => {
                    server.runs.note(&name, due.max(server.runs.last(&name).unwrap_or(due)));
                    tries.forget(&name);
                }
                _ => tries.failed(&name, now),
            }
        }
        let missed = self.tables.iter().filter_map(|(name, (_, table))| {
            let due = table.last_missed(server.runs.last(name)?, now)?;
            tries.may_begin(name, due, now).then(|| (due, name.clone()))
        });
        missed.collect()
    }

    fn take_due(&mut self, now: Timestamp) -> Vec<(Timestamp, Name)> {
        let mut found = Vec::new();
        while let Some(first) = self.due.first().filter(|(due, _)| *due <= now).cloned() {
            self.due.remove(&first);
            found.push(first);
        }
        found
    }

    fn put_next(&mut self, name: &Name, now: Timestamp) {
        let next = self.tables.get(name).and_then(|(_, table)| table.next_after(now));
        self.due.extend(next.map(|next| (next, name.clone())));
    }
}

/// One run of one schedule.
struct Planned {
    server: Arc<Server>,
    tries: Arc<Mutex<Tries>>,
    name: Name,
    due: Timestamp,
    /// How many snapshots are to stay.
    retention: Option<u32>,
}

/// What a run came to.
enum Came {
    /// There was nothing to do.
    Idle,
    /// A job was begun.
    Begun(String),
    /// A restore of the database is not finished.
    Restoring(String),
    /// The one before is not done.
    Piled(PathBuf),
}

impl Planned {
    /// Looks whether anything is to be done, and begins a job if so.
    async fn look(self, looks: &Semaphore) {
        let mut run = self;
        loop {
            let Ok(turn) = looks.acquire().await else { return };
            let (back, came) = match tokio::task::spawn_blocking(move || {
                let came = run.begin();
                (run, came)
            })
            .await
            {
                Ok(done) => done,
                Err(error) => return tracing::error!("a look at a database failed: {error}"),
            };
            run = back;
            drop(turn);
            let name = &run.name;
            let begun = match &came {
                Ok(Came::Begun(id)) => Some(id.clone()),
                _ => None,
            };
            let is_idle = matches!(came, Ok(Came::Idle));
            match came {
                Ok(Came::Idle) => tracing::debug!("{name}: nothing changed"),
                Ok(Came::Begun(id)) => tracing::debug!("{name}: due, {id}"),
                Ok(Came::Restoring(to)) => {
                    tracing::warn!("{name}: due, but a restore to {to} is not finished; left out");
                }
                Ok(Came::Piled(home)) => {
                    tracing::warn!(
                        "{name}: due, but its last run still waits or is at work in {}; left out",
                        home.display()
                    );
                }
                // No room: later, unless the server stops.
                Err(error) if error.kind() == ops::ErrorKind::Busy && !*run.server.stopping.borrow() => {
                    let wait = AGAIN_AFTER.try_into().unwrap_or_default();
                    let mut stopping = run.server.stopping.subscribe();
                    tokio::select! {
                        _ = stopping.wait_for(|stopping| *stopping) => return,
                        () = tokio::time::sleep(wait) => continue,
                    }
                }
                Err(error) => tracing::error!("{name}: {}", error.in_full()),
            }
            if run.server.lead.is_some() && !is_idle {
                // Done when its job says so; by whoever leads then.
                lock(&run.tries).note(&run.name, run.due, begun, run.server.base.context.now());
            } else {
                run.server.runs.note(&run.name, run.due.max(run.server.runs.last(&run.name).unwrap_or(run.due)));
            }
            break;
        }
    }

    fn begin(&self) -> Result<Came, OpError> {
        let Self { server, name, .. } = self;
        let preset = &server.preset;
        let (entry, _) = server.catalog.workspace(name)?;
        if server.runner.has(&entry.home, &entry.handle) {
            return Ok(Came::Piled(entry.home));
        }
        let database = server.catalog.database(name, &server.base.settings)?;
        if let Some(restoring) = ops::unfinished_restore(&database) {
            return Ok(Came::Restoring(restoring.to));
        }
        let caller = server.own_caller(name)?;
        if preset.is_missing(&database) {
            for call in preset.missing(&database) {
                jobs::begin(&caller, &database, call)?;
            }
        } else if ops::is_idle(&caller.context, &database, &server.memories, TRUSTED)? {
            return Ok(Came::Idle);
        }
        let run = Run { due: self.due, retention: self.retention };
        let job = jobs::begin(&caller, &database, Task::Backup { note: None, run: Some(run) })?;
        Ok(Came::Begun(job.id))
    }
}
