//! Who of several servers does what is scheduled: a lease at the remote that one of them holds at a time.
//!
//! A lease is a sequence of epochs, an epoch a sequence of beats, each an object that is created once. Whoever creates
//! the first beat of the next epoch holds the lease, and goes on beating. Others take the next epoch when no new beat came
//! for as long as the last one lasts, measured by their own clock since they saw it; no clock is compared with another.
//! A holder that was asleep finds by its own clock that its time is over, or by a listing that there is a later epoch
//! ([`Candidate::fence`]). docs/decisions/0018-leases.md argues for it.

mod beat;
mod mandate;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use super::{Store, StoreError, keys};
use crate::base::{Name, Nonce};
use crate::remote::PutOutcome;

use beat::MAX_BEAT_BYTES;
pub use beat::{Beat, BeatPlace};
pub use mandate::{Epoch, Mandate};

/// What others wait beyond the time that a beat lasts: clocks of machines run differently fast, by far less than this.
const MARGIN: u32 = 8;

/// Who a candidate is, as others are told.
#[derive(Clone, Debug)]
pub struct Who {
    /// The machine.
    pub host: String,
    /// Where it answers, when it does.
    pub address: Option<String>,
}

/// Where a candidate stands after a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds the lease.
    Leads {
        /// Since which epoch.
        epoch: u32,
    },
    /// Another does, or did until a moment ago.
    Follows(Beat),
    /// Nobody does: two met, and both gave way. The next turn decides.
    Undecided,
}

/// One that wants to hold a lease, and may.
#[derive(Debug)]
pub struct Candidate {
    store: Store,
    name: Name,
    who: Who,
    mark: Nonce,
    lasts: Duration,
    seen: Option<Seen>,
    held: Option<Held>,
}

/// The newest beat of somebody else, and when it was seen first.
#[derive(Debug)]
struct Seen {
    place: BeatPlace,
    at: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    place: BeatPlace,
    until: Duration,
}

impl Candidate {
    /// One that holds nothing yet. A lease that it gets lasts for `lasts` after each beat.
    pub fn new(store: Store, name: Name, who: Who, lasts: Duration) -> Self {
        Self { store, name, who, mark: Nonce::fresh(), lasts, seen: None, held: None }
    }

    /// Beats, or looks whether the lease can be had: to be called a few times while a beat lasts. `steady` is the time by a
    /// clock of this machine that is never set and goes on while it sleeps, read just before the call; `wall` is only told.
    ///
    /// # Errors
    /// When the remote fails: what is held stays held until its time is over.
    pub fn turn(&mut self, steady: Duration, wall: Timestamp) -> Result<Standing, StoreError> {
        match self.held.filter(|held| steady < held.until) {
            Some(held) => self.renew(held, steady, wall),
            None => {
                self.held = None;
                self.look(steady, wall)
            }
        }
    }

    /// The epoch in which the lease is held, as far as the clock tells. Nothing is asked.
    pub fn holds(&self, steady: Duration) -> Option<u32> {
        self.held.filter(|held| steady < held.until).map(|held| held.place.epoch)
    }

    /// Makes sure that the lease is held at this moment: before something is done that must not be done twice.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when it is not.
    pub fn fence(&mut self, steady: Duration) -> Result<u32, StoreError> {
        let Some(epoch) = self.holds(steady) else { return Err(self.lost()) };
        match self.newest()? {
            Some(newest) if newest.epoch == epoch => Ok(epoch),
            _ => {
                self.held = None;
                Err(self.lost())
            }
        }
    }

    /// Lets go of the lease, so that another can take it at once.
    ///
    /// # Errors
    /// When the remote fails: the lease ends when its time is over.
    pub fn step_down(&mut self, wall: Timestamp) -> Result<(), StoreError> {
        let Some(held) = self.held.take() else { return Ok(()) };
        self.put(held.place.next_beat(), true, wall).map(drop)
    }

    /// Puts a beat, and then looks: of a holder that beats late and one that takes over, at least one sees the other.
    fn renew(&mut self, held: Held, steady: Duration, wall: Timestamp) -> Result<Standing, StoreError> {
        let place = held.place.next_beat();
        self.put(place, false, wall)?;
        match self.newest()? {
            Some(newest) if newest.epoch == place.epoch => {
                self.held = Some(Held { place, until: steady + self.lasts });
                self.sweep(place);
                Ok(Standing::Leads { epoch: place.epoch })
            }
            Some(newest) => {
                self.held = None;
                self.follow(newest, steady)
            }
            None => {
                self.held = None;
                Ok(Standing::Undecided)
            }
        }
    }

    fn look(&mut self, steady: Duration, wall: Timestamp) -> Result<Standing, StoreError> {
        let Some(newest) = self.newest()? else {
            return self.take(BeatPlace::FIRST, None, steady, wall);
        };
        let beat = self.read(newest)?;
        let waited = self.seen.as_ref().filter(|seen| seen.place == newest).map(|seen| steady.saturating_sub(seen.at));
        let over = beat.ended || beat.holder == self.mark;
        let over = over || waited.is_some_and(|waited| waited >= beat.lasts() + beat.lasts() / MARGIN);
        if over {
            return self.take(newest.next_epoch(), Some(newest), steady, wall);
        }
        if waited.is_none() {
            self.seen = Some(Seen { place: newest, at: steady });
        }
        Ok(Standing::Follows(beat))
    }

    /// Creates the first beat of an epoch, and looks whether the one before was beating all the same.
    fn take(
        &mut self,
        place: BeatPlace,
        over: Option<BeatPlace>,
        steady: Duration,
        wall: Timestamp,
    ) -> Result<Standing, StoreError> {
        if !self.put(place, false, wall)? {
            let newest = self.newest()?;
            return newest.map_or(Ok(Standing::Undecided), |newest| self.follow(newest, steady));
        }
        let all = self.places()?;
        let before = all.iter().find(|other| other.epoch < place.epoch);
        if all.first().is_some_and(|first| first.epoch > place.epoch)
            || before.is_some_and(|before| Some(*before) != over)
        {
            self.put(place.next_beat(), true, wall)?;
            return Ok(Standing::Undecided);
        }
        self.held = Some(Held { place, until: steady + self.lasts });
        self.seen = None;
        self.sweep(place);
        Ok(Standing::Leads { epoch: place.epoch })
    }

    fn follow(&mut self, newest: BeatPlace, steady: Duration) -> Result<Standing, StoreError> {
        let beat = self.read(newest)?;
        if self.seen.as_ref().is_none_or(|seen| seen.place != newest) {
            self.seen = Some(Seen { place: newest, at: steady });
        }
        Ok(Standing::Follows(beat))
    }

    /// Whether the beat is there, and ours.
    fn put(&self, place: BeatPlace, ended: bool, wall: Timestamp) -> Result<bool, StoreError> {
        let (Who { host, address }, holder) = (self.who.clone(), self.mark.clone());
        let beat = Beat { place, holder, host, address, at: wall, lasts_ms: self.lasts.as_millis() as u64, ended };
        let key = keys::beat(&self.name, place);
        if self.store.create_object(&key, beat.encode().into())? == PutOutcome::Created {
            return Ok(true);
        }
        // The answer to our own attempt may have been lost.
        Ok(self.read(place)?.holder == self.mark)
    }

    fn read(&self, place: BeatPlace) -> Result<Beat, StoreError> {
        let key = keys::beat(&self.name, place);
        let bytes = self.store.remote().get(&key, MAX_BEAT_BYTES)?;
        Beat::decode(&bytes, place).map_err(|source| self.store.damaged(&key, source))
    }

    fn newest(&self) -> Result<Option<BeatPlace>, StoreError> {
        Ok(self.places()?.first().copied())
    }

    /// Where there are beats, the newest first.
    fn places(&self) -> Result<Vec<BeatPlace>, StoreError> {
        places(&self.store, &self.name)
    }

    /// Removes beats that nobody will look at: those of earlier epochs but the last, and our own but the last two. What
    /// fails is tried again with the next beat.
    fn sweep(&self, place: BeatPlace) {
        let Ok(places) = self.places() else { return };
        let last_before = places.iter().find(|other| other.epoch < place.epoch);
        for old in &places {
            let own = old.epoch == place.epoch && old.beat + 1 < place.beat;
            if own || (old.epoch < place.epoch && Some(old) != last_before) {
                let _ = self.store.remote().delete(&keys::beat(&self.name, *old));
            }
        }
    }

    fn lost(&self) -> StoreError {
        lost(&self.store, &self.name)
    }
}

/// Where a lease has beats, the newest first.
fn places(store: &Store, name: &Name) -> Result<Vec<BeatPlace>, StoreError> {
    let listed = store.remote().list(&keys::lease_folder(name))?;
    let mut places: Vec<BeatPlace> =
        listed.iter().filter_map(|object| keys::parse_beat(&object.key)).map(|(_, place)| place).collect();
    places.sort_by(|a, b| b.cmp(a));
    Ok(places)
}

fn lost(store: &Store, name: &Name) -> StoreError {
    StoreError::LeaseLost { name: name.to_string(), remote: store.remote().name().to_owned() }
}
