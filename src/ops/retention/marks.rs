//! The marks of a database in one store: read, and changed by one more record.

use jiff::Timestamp;

use super::RetentionError;
use crate::base::{MarksNumber, Name, Nonce};
use crate::format::envelope::FORMAT_VERSION;
use crate::format::marks::{Act, Marks, MarksHeader, MarksRecord, Refusal};
use crate::format::refs::RefTarget;
use crate::ops::{Context, OpError, spec};
use crate::store::{CreatedMarks, NewMarks, Store};

/// How often an act is tried again after others were first.
const ATTEMPTS: usize = 8;

/// All marks of a database in a store, as they stand: one listing, and a read when there are any.
///
/// # Errors
/// When the store cannot be read, or the newest record is damaged.
pub fn marks(store: &Store, database: &Name) -> Result<Marks, OpError> {
    match store.newest_marks(database)? {
        Some(record) => Marks::of(&record.header).map_err(OpError::BadRecord),
        None => Ok(Marks::default()),
    }
}

/// Something that is done to snapshots of one history in one store.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// Where.
    pub store: &'a Store,
    /// The database.
    pub database: &'a Name,
    /// The history that the snapshots belong to.
    pub lineage: &'a Nonce,
    /// What is done.
    pub act: Act,
    /// Why, in a person's words.
    pub reason: Option<&'a str>,
}

impl Deed<'_> {
    /// Does it to all of the snapshots, in one record, or to none. `may` is asked, with the marks as they are, before each
    /// attempt: others may have been first since the snapshots were chosen. Returns those on which anything changed.
    ///
    /// # Errors
    /// When it cannot be done to one of them, or the store fails.
    pub fn run(
        &self,
        context: &Context,
        targets: &[RefTarget],
        may: impl Fn(&Marks) -> Result<(), OpError>,
    ) -> Result<Vec<RefTarget>, OpError> {
        for _ in 0..ATTEMPTS {
            context.progress.check()?;
            let before = self.store.newest_marks(self.database)?;
            let now = before.as_ref().map_or(Ok(Marks::default()), |record| Marks::of(&record.header));
            let mut now = now.map_err(OpError::BadRecord)?;
            may(&now)?;
            let mut changed = Vec::new();
            let since = context.now();
            for target in targets {
                let done = now.apply(self.act, target, since, &context.host, self.reason);
                if done.map_err(|refusal| self.refused(target, refusal))? {
                    changed.push(target.clone());
                }
            }
            if changed.is_empty() {
                return Ok(changed);
            }
            match self.create(self.header(context, since, before.as_ref(), &now, &changed)?)? {
                CreatedMarks::Ours => return Ok(changed),
                CreatedMarks::Theirs => {}
            }
        }
        Err(self.contended())
    }

    /// Says once more, in a record of its own, what the newest record says: then the one before it says all that holds, too.
    /// Nothing is done when somebody else says something meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::ops) fn again(&self, context: &Context) -> Result<(), OpError> {
        let Some(newest) = self.store.newest_marks(self.database)? else { return Ok(()) };
        let marks = Marks::of(&newest.header).map_err(OpError::BadRecord)?;
        self.create(self.header(context, context.now(), Some(&newest), &marks, &[])?)?;
        Ok(())
    }

    fn create(&self, header: MarksHeader) -> Result<CreatedMarks, OpError> {
        let record = NewMarks::from(header);
        if MarksRecord::decode(&record.bytes).is_err() {
            return Err(self.too_many());
        }
        Ok(self.store.create_marks(&record)?)
    }

    fn header(
        &self,
        context: &Context,
        since: Timestamp,
        before: Option<&MarksRecord>,
        now: &Marks,
        changed: &[RefTarget],
    ) -> Result<MarksHeader, OpError> {
        let last = before.map_or(0, |record| record.header.number.0);
        let number = last.checked_add(1).ok_or_else(|| self.too_many())?;
        let (marked, pruned) = now.to_parts();
        Ok(MarksHeader {
            format: FORMAT_VERSION.into(),
            database: self.database.clone(),
            lineage: self.lineage.clone(),
            number: MarksNumber(number),
            previous: before.map(|record| record.id),
            act: self.act,
            snapshots: if self.act == Act::Prune { Vec::new() } else { changed.to_vec() },
            marked,
            pruned,
            created_at: since,
            host: context.host.clone(),
            tool: context.tool.clone(),
            nonce: Nonce::fresh(),
            reason: self.reason.map(str::to_owned),
        })
    }

    fn refused(&self, target: &RefTarget, refusal: Refusal) -> OpError {
        let snapshot = spec::title(self.database, &target.line, target.number);
        let remote = self.store.remote().name().to_owned();
        let error = match refusal {
            Refusal::Held(held) => super::held(&snapshot, &held),
            Refusal::Pruned => RetentionError::Gone { snapshot, remote },
            Refusal::NotForgotten => RetentionError::NotForgotten { snapshot, remote },
        };
        error.into()
    }

    fn contended(&self) -> OpError {
        let (database, remote) = (self.database.to_string(), self.store.remote().name().to_owned());
        RetentionError::Contended { database, remote }.into()
    }

    fn too_many(&self) -> OpError {
        let (database, remote) = (self.database.to_string(), self.store.remote().name().to_owned());
        RetentionError::TooMany { database, remote }.into()
    }
}
