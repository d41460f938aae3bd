//! The part that others notice: they are kept out, the present state is kept, the new one put in, and they are let go on.
//!
//! `.pagekeep/state` says that a restore is under way from before the first step until after the last. A process that ends
//! on the way leaves the database with the old state or the new one, whole, and that note.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::held::{Committed, HeldDatabase};
use super::staged::Staged;
use super::{LiveError, LiveOptions, hook, page_one};
use crate::base::Progress;
use crate::base::progress::Phase;
use crate::format::refs::RefTarget;
use crate::ops::error::shown;
use crate::ops::sync::{create_locked, sync_locked};
use crate::ops::{Context, Database, ErrorKind, OpError, Outcome, SnapshotOptions, SyncOptions, refs, title};
use crate::rows::PageSet;
use crate::source::SourceError;
use crate::source::sqlite::PinnedDatabase;
use crate::workspace::Restoring;

/// The state before, kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The snapshot, as people write it.
    pub snapshot: String,
    /// The tag that names it.
    pub tag: String,
    /// The command that goes back to it.
    pub back: String,
}

/// How the present state is kept.
pub(super) enum Safety {
    /// In the local store, under a tag that begins so.
    Snapshot(&'static str),
    /// At every remote as well.
    Synced(&'static str),
    /// Not at all.
    None,
}

impl Safety {
    fn is_synced(&self) -> bool {
        matches!(self, Safety::Synced(_))
    }
}

/// What becomes of which database.
pub(super) struct Replacement<'a> {
    pub(super) context: &'a Context,
    /// The workspace's lock is held.
    pub(super) database: &'a Database,
    pub(super) path: PathBuf,
    /// What it becomes.
    pub(super) to: String,
    /// The command that does it again.
    pub(super) again: String,
    pub(super) options: &'a LiveOptions,
}

/// What was done.
pub(super) struct Replaced {
    pub(super) safety: Option<Kept>,
    pub(super) written_pages: u32,
    pub(super) remarks: Vec<String>,
    pub(super) locked: Duration,
    pub(super) phases: Vec<(&'static str, Duration)>,
}

/// Where a failure leaves the database.
enum Failed {
    /// As it was.
    Unchanged(OpError),
    /// With the new state, or in the middle of a command that changes it.
    Changed(OpError),
}

impl From<OpError> for Failed {
    fn from(error: OpError) -> Self {
        Failed::Unchanged(error)
    }
}

impl Replacement<'_> {
    /// Puts a state in. `folder` is for files of ours.
    pub(super) fn run(&self, staged: &Staged, folder: &Path, safety: Safety) -> Result<Replaced, OpError> {
        let mut note = Restoring {
            to: self.to.clone(),
            again: self.again.clone(),
            back: None,
            phase: Phase::Quiescing.name().to_owned(),
            since: self.context.now(),
            failure: None,
        };
        // Most of the work while others still write: what they add meanwhile is kept when they no longer can.
        let keeping = Instant::now();
        self.context.progress.enter(Phase::Keeping);
        if self.keep(&safety)?.is_some() && safety.is_synced() {
            self.sync()?;
        }
        // That of an earlier restore says more about this database than that this one failed before it began.
        let earlier = self.database.workspace.restoring(&self.database.handle);
        self.note(&note)?;
        let mut done = Replaced {
            safety: None,
            written_pages: 0,
            remarks: Vec::new(),
            locked: Duration::ZERO,
            phases: Vec::new(),
        };
        done.phases.push(("keeping", keeping.elapsed()));
        let outcome = self.quiet(staged, folder, &safety, &mut note, &mut done);
        let released = self.release(&mut done);
        let (workspace, handle) = (&self.database.workspace, &self.database.handle);
        let ended = match outcome {
            Ok(()) => workspace.forget_restoring(handle).map_err(OpError::from),
            Err(Failed::Unchanged(error)) => {
                match earlier {
                    Some(earlier) => self.note(&earlier)?,
                    None => workspace.forget_restoring(handle)?,
                }
                Err(error)
            }
            Err(Failed::Changed(failure)) => {
                note.failure = Some(failure.in_full());
                // Should that fail too, the note of the phase before stays.
                let _ = self.note(&note);
                let (path, to, again) = (self.path.clone(), self.to.clone(), self.again.clone());
                Err(LiveError::Unfinished { path, to, failure: Box::new(failure), again, back: note.back }.into())
            }
        };
        let Err(failure) = released else { return ended.map(|()| done) };
        let command = self.options.release.clone().unwrap_or_default();
        let before = match ended {
            Ok(()) => format!("{:?} holds {}", self.path, self.to),
            Err(error) => error.to_string(),
        };
        Err(LiveError::NotReleased { before, failure: Box::new(failure), command }.into())
    }

    /// Everything while those who write are kept out.
    fn quiet(
        &self,
        staged: &Staged,
        folder: &Path,
        safety: &Safety,
        note: &mut Restoring,
        done: &mut Replaced,
    ) -> Result<(), Failed> {
        let progress = &self.context.progress;
        let mut clock = Instant::now();
        let mut passed = |name, phases: &mut Vec<(&'static str, Duration)>| {
            phases.push((name, clock.elapsed()));
            clock = Instant::now();
        };
        self.enter(note, Phase::Quiescing)?;
        if let Some(command) = &self.options.quiesce {
            hook::run(self.context, "--quiesce", command, &self.path, &self.to)?;
        }
        let wait = self.database.settings.lock_wait();
        let mut held = HeldDatabase::hold(&self.path, staged.page_size, wait, progress)?;
        let locked = Instant::now();
        self.fits(&held, staged)?;
        passed("quiescing", &mut done.phases);

        progress.enter(Phase::Keeping);
        if let Some((prefix, target)) = self.keep(safety)? {
            let kept = self.tag(prefix, target)?;
            if safety.is_synced() {
                self.sync()?;
            }
            done.safety = Some(kept);
        }
        note.back = done.safety.as_ref().map(|kept| kept.back.clone());
        passed("keeping_rest", &mut done.phases);

        let before = folder.join("before.db");
        if self.options.after_restore.is_some() {
            held.copy_to(&before, progress)?;
        }
        self.enter(note, Phase::Applying)?;
        progress.total_bytes.store(staged.size(), std::sync::atomic::Ordering::Relaxed);
        progress.done_bytes.store(0, std::sync::atomic::Ordering::Relaxed);
        self.tell(&held, staged, &mut done.remarks)?;
        let pages = held.differing(staged, progress)?;
        if pages.is_empty() {
            drop(held);
            done.locked = locked.elapsed();
            done.remarks.push("the database has this state already".into());
        } else {
            held.write(staged, &pages, progress)?;
            let committed = held.commit(progress)?;
            done.locked = locked.elapsed();
            done.written_pages = pages.len();
            // From here on the new state is there.
            self.verify(staged, &pages, &committed).map_err(Failed::Changed)?;
        }
        passed("applying", &mut done.phases);
        if let Some(command) = &self.options.after_restore {
            let migrated = self
                .enter(note, Phase::Migrating)
                .and_then(|()| hook::run(self.context, "--after-restore", command, &self.path, &self.to))
                .and_then(|()| self.check(&mut done.remarks));
            if let Err(failure) = migrated {
                return Err(self.put_back(&before, failure));
            }
            passed("migrating", &mut done.phases);
        }
        Ok(())
    }

    fn note(&self, note: &Restoring) -> Result<(), OpError> {
        Ok(self.database.workspace.note_restoring(&self.database.handle, note)?)
    }

    fn enter(&self, note: &mut Restoring, phase: Phase) -> Result<(), OpError> {
        self.context.progress.enter(phase);
        self.context.progress.check()?;
        note.phase = phase.name().to_owned();
        self.note(note)
    }

    /// Whether the pages are as large; those of the database may have changed since it was last looked at.
    fn fits(&self, held: &HeldDatabase, staged: &Staged) -> Result<(), OpError> {
        let (there, wanted) = (held.page_size(), staged.page_size);
        match there == wanted {
            true => Ok(()),
            false => {
                let (path, snapshot) = (self.path.clone(), self.to.clone());
                Err(LiveError::PageSize { path, there, snapshot, wanted }.into())
            }
        }
    }

    /// What those who have the database open may notice.
    fn tell(&self, held: &HeldDatabase, staged: &Staged, remarks: &mut Vec<String>) -> Result<(), OpError> {
        let (there, new) = (held.first_page(), staged.first_page()?);
        if page_one::is_wal(there) != page_one::is_wal(&new) {
            let mode = if page_one::is_wal(there) { "WAL" } else { "rollback" };
            remarks.push(format!("the journal mode stays what it was: {mode}"));
        }
        let (before, after) = (page_one::encoding(there), page_one::encoding(&new));
        if before != 0 && after != 0 && before != after {
            remarks.push("the text encoding is another now: programs must open the database again".into());
        }
        Ok(())
    }

    /// Keeps the present state; returns how its tag begins and what it names.
    fn keep(&self, safety: &Safety) -> Result<Option<(&'static str, RefTarget)>, OpError> {
        let (Safety::Snapshot(prefix) | Safety::Synced(prefix)) = safety else { return Ok(None) };
        let database = self.database;
        let options = SnapshotOptions { note: Some((*prefix).into()), ..SnapshotOptions::default() };
        let (number, id) = match create_locked(self.context, database, &options) {
            Ok(Outcome::Created(report)) => (report.number, report.id),
            Ok(Outcome::Unchanged { number, id, .. }) => (number, id),
            Err(error @ OpError::Source(SourceError::Locked { .. })) => return Err(error),
            Err(error) if error.kind() == ErrorKind::Source => {
                let (path, at) = (self.path.clone(), self.to.clone());
                return Err(OpError::NotSafe { path, at, source: Box::new(error) });
            }
            Err(error) => return Err(error),
        };
        let memory = database.workspace.recall_database(&database.handle);
        let line = memory.as_ref().map_or(&database.config().line, |memory| database.line_of(memory)).clone();
        Ok(Some((*prefix, RefTarget { line, number, id })))
    }

    /// Names the state before.
    fn tag(&self, prefix: &str, target: RefTarget) -> Result<Kept, OpError> {
        let snapshot = title(&self.database.name, &target.line, target.number);
        let stamp = self.context.now().strftime("%Y%m%d-%H%M%S").to_string();
        let note = format!("before {} was put in", self.to);
        let tag = refs::add_tag(self.context, self.database, &format!("{prefix}-{stamp}"), target, &note)?;
        let back = format!("pagekeep backup restore . {} --live --at @{tag}", shown(&self.path));
        Ok(Kept { snapshot, tag: tag.to_string(), back })
    }

    /// Brings the present state, which is kept here, to every remote.
    fn sync(&self) -> Result<(), OpError> {
        let mut database = self.database.clone();
        for name in database.remote_names() {
            let opened = database.open_remote(self.context, name.as_str());
            let options = SyncOptions::default();
            let synced = opened.and_then(|remote| sync_locked(self.context, &mut database, &remote, &options));
            synced.map_err(|source| LiveError::NotSynced { remote: name, source: Box::new(source) })?;
        }
        Ok(())
    }

    /// Reads what was written from the disk, as others do. Who wrote since then changed it rightly.
    fn verify(&self, staged: &Staged, pages: &PageSet, committed: &Committed) -> Result<(), OpError> {
        self.context.progress.enter(Phase::Checking);
        let wrong = |page| LiveError::NotAsWritten { path: self.path.clone(), page };
        let look = || -> Result<(), OpError> {
            let pinned = PinnedDatabase::open(&self.path, self.database.settings.lock_wait(), &Progress::new())?;
            if pinned.facts().page_count != staged.page_count {
                return Err(wrong(staged.page_count).into());
            }
            for number in pages.iter() {
                if !staged.is_same(number, &pinned.page(number)?)? {
                    return Err(wrong(number).into());
                }
            }
            Ok(())
        };
        match look() {
            // Who keeps us out holds it for writing.
            Err(OpError::Source(SourceError::Locked { .. })) => Ok(()),
            Err(_) if committed.is_followed() => Ok(()),
            other => other,
        }
    }

    /// Lets SQLite look at the database itself, after a command has changed it.
    fn check(&self, remarks: &mut Vec<String>) -> Result<(), OpError> {
        self.context.progress.enter(Phase::Checking);
        let wait = self.database.settings.lock_wait();
        let pinned = PinnedDatabase::open(&self.path, wait, &self.context.progress)?;
        match pinned.check_integrity() {
            Err(error) if super::staged::is_lacking(&error.to_string()) => {
                remarks.push(format!("not checked: {error}"))
            }
            other => other?,
        }
        Ok(())
    }

    /// Puts the state before into the database again.
    fn put_back(&self, before: &Path, failure: OpError) -> Failed {
        // Also when that is because we were asked to stop.
        let progress = Progress::new();
        let put = || -> Result<(), OpError> {
            let staged = Staged::open(before)?;
            let wait = self.database.settings.lock_wait();
            let mut held = HeldDatabase::hold(&self.path, staged.page_size, wait, &progress)?;
            self.fits(&held, &staged)?;
            let pages = held.differing(&staged, &progress)?;
            if !pages.is_empty() {
                held.write(&staged, &pages, &progress)?;
                let committed = held.commit(&progress)?;
                self.verify(&staged, &pages, &committed)?;
            }
            Ok(())
        };
        match put() {
            Ok(()) => Failed::Unchanged(LiveError::PutBack { failure: Box::new(failure) }.into()),
            Err(_) => Failed::Changed(failure),
        }
    }

    /// Lets those go on who were stopped, also when we are asked to stop.
    fn release(&self, done: &mut Replaced) -> Result<(), OpError> {
        let Some(command) = &self.options.release else { return Ok(()) };
        let started = Instant::now();
        self.context.progress.enter(Phase::Releasing);
        let released = hook::run_while(&Progress::new(), self.context, "--release", command, &self.path, &self.to);
        done.phases.push(("releasing", started.elapsed()));
        released
    }
}
