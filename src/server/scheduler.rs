//! Runs schedules: one at a time for each database, looked at in this process before a job is begun for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use super::Server;
use super::preset::Preset;
use crate::base::Name;
use crate::ops::{self, OpError};
use crate::procedures::jobs;
use crate::workspace::{Schedule, Task, Timetable};

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

/// Runs schedules until the server stops.
pub(crate) async fn run(server: Arc<Server>, preset: Arc<Preset>) {
    let mut stopping = server.stopping.subscribe();
    let looks = Arc::new(Semaphore::new(LOOKS));
    let under_way = Arc::new(Mutex::new(BTreeSet::new()));
    let mut plan = Plan::default();
    let mut refreshed = std::time::Instant::now();
    plan.renew(&server, &preset, true);
    loop {
        let now = server.base.context.now();
        server.alive.store(now.as_second(), Relaxed);
        for (due, name) in plan.take_due(now) {
            plan.put_next(&name, now);
            if !lock(&under_way).insert(name.clone()) {
                tracing::warn!("{name}: due, but its last run has not begun yet; left out");
                continue;
            }
            let run = Run { server: Arc::clone(&server), preset: Arc::clone(&preset), name: name.clone(), due };
            let (looks, under_way) = (Arc::clone(&looks), Arc::clone(&under_way));
            tokio::spawn(async move {
                run.look(&looks).await;
                lock(&under_way).remove(&name);
            });
        }
        let until = plan.due.first().map_or(REFRESH_EVERY, |(due, _)| {
            due.duration_since(now).try_into().unwrap_or(Duration::ZERO).min(REFRESH_EVERY)
        });
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => break,
            () = server.schedules_changed.notified() => plan.renew(&server, &preset, false),
            () = tokio::time::sleep(until.max(Duration::from_millis(10))) => {}
        }
        if refreshed.elapsed() >= REFRESH_EVERY {
            refreshed = std::time::Instant::now();
            let for_look = Arc::clone(&server);
            let look = tokio::task::spawn_blocking(move || for_look.refresh());
            if look.await.unwrap_or(false) {
                plan.renew(&server, &preset, false);
            }
            server.runs.save();
        }
    }
    server.runs.save();
}

fn lock(names: &Mutex<BTreeSet<Name>>) -> MutexGuard<'_, BTreeSet<Name>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plan {
    /// Plans anew what changed; at the start also what was missed.
    fn renew(&mut self, server: &Server, preset: &Preset, at_start: bool) {
        let now = server.base.context.now();
        let mut wanted = BTreeMap::new();
        for (name, entry) in server.catalog.entries().iter() {
            let Ok((_, workspace)) = server.catalog.workspace(name) else { continue };
            let schedule = workspace.config.schedules.get(&entry.handle).cloned().or_else(|| preset.schedule.clone());
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
                    server.runs.note(name, now);
                    false
                }
            };
            let at_once = at_start && (missed || schedule.on_start);
            if missed {
                tracing::info!("{name}: a run was missed and is made up");
            }
            due.extend(if at_once { Some(now) } else { table.next_after(now) }.map(|next| (next, name.clone())));
        }
        (self.tables, self.due) = (wanted, due);
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
struct Run {
    server: Arc<Server>,
    preset: Arc<Preset>,
    name: Name,
    due: Timestamp,
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

impl Run {
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
            run.server.runs.note(&run.name, run.due.max(run.server.runs.last(&run.name).unwrap_or(run.due)));
            break;
        }
    }

    fn begin(&self) -> Result<Came, OpError> {
        let Self { server, preset, name, .. } = self;
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
        } else if ops::is_idle(&caller.context, &database, TRUSTED)? {
            return Ok(Came::Idle);
        }
        let job = jobs::begin(&caller, &database, Task::Backup { note: None })?;
        Ok(Came::Begun(job.id))
    }
}
