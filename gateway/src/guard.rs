//! Against guessing: ten wrong credentials from one address in five minutes, then five minutes of silence.
//!
//! A credential that has worked from an address is never refused there; every other has to take one of the address's ten places before it is
//! tried, also one that this gateway knows already: during a ban even a right guess learns nothing. Where gateways share a Redis, places,
//! bans and what has worked are theirs together (`guard/shared.rs`); without it, each guards for itself.

mod shared;
mod suspect;
mod worked;

pub(crate) use shared::{ENTER, LEAVE};

use crate::{address::Address, bounded::Bounded, redis::Link};
use chassis::clock::Clock;
use contract::{Reason, Refusal};
use shared::{Outcome, Shared, Verdict};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use suspect::Suspect;
use worked::Worked;

/// So many are too many.
const FAILURES: usize = 10;
/// How long a failure counts, and how long the silence lasts.
const PERIOD: Duration = Duration::from_secs(300);
/// Addresses that are remembered.
const MOST: usize = 50_000;

/// Counts what failed, by address.
pub struct Guard {
    clock: Clock,
    suspects: Mutex<Bounded<Arc<Suspect>>>,
    worked: Worked,
    shared: Option<Shared>,
}

/// A credential that is being tried. Dropped without a word, it gives its place back.
pub struct Attempt<'a> {
    guard: &'a Guard,
    from: Address,
    credential: u128,
    /// `None` for what has worked from there: it takes no place.
    place: Option<Place>,
}

/// A place among the ten, here and with the other gateways.
struct Place {
    suspect: Arc<Suspect>,
    shared: Option<shared::Place>,
}

impl Guard {
    /// Nobody has failed yet, as far as this gateway knows.
    #[must_use]
    pub fn new(clock: Clock, link: Option<Arc<Link>>) -> Self {
        Self { clock, suspects: Mutex::new(Bounded::new(MOST)), worked: Worked::default(), shared: link.map(Shared::new) }
    }

    /// It has worked from there: the steady state, one look. `credential` is a keyed hash, which nobody chooses.
    #[must_use]
    pub fn knows(&self, credential: u128, from: Address) -> bool {
        self.worked.contains(credential, from)
    }

    /// A place for an attempt; waits while all that are left are taken.
    ///
    /// # Errors
    /// TOO_MANY_FAILURES, with the time to wait.
    pub async fn attempt(&self, credential: u128, from: Address) -> Result<Attempt<'_>, Refusal> {
        let attempt = |place| Attempt { guard: self, from, credential, place };
        if self.knows(credential, from) {
            return Ok(attempt(None));
        }
        let suspect = self.suspect(from);
        let verdict = match &self.shared {
            Some(shared) => shared.enter(credential, from).await,
            None => Verdict::Away,
        };
        match verdict {
            Verdict::Worked => {
                self.worked.insert(credential, from);
                Ok(attempt(None))
            }
            Verdict::Banned(left) => {
                suspect.silence(self.clock.now() + left);
                Err(silence(left))
            }
            Verdict::Place(place) => {
                suspect.hold();
                Ok(attempt(Some(Place { suspect, shared: Some(place) })))
            }
            Verdict::Away => {
                suspect.place(&self.clock).await.map_err(silence)?;
                Ok(attempt(Some(Place { suspect, shared: None })))
            }
        }
    }

    /// What is no credential by its form was tried, and failed.
    ///
    /// # Errors
    /// TOO_MANY_FAILURES, with the time to wait: then it was not looked at.
    pub async fn failed(&self, from: Address) -> Result<(), Refusal> {
        // Not a hash of anything that could work.
        self.attempt(0, from).await?.wrong().await;
        Ok(())
    }

    fn suspect(&self, address: Address) -> Arc<Suspect> {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.entry(address.client(), Arc::default).clone()
    }
}

impl Attempt<'_> {
    /// It was right: from now on it is never refused there.
    pub async fn right(mut self) {
        let Some(place) = self.place.take() else { return };
        self.guard.worked.insert(self.credential, self.from);
        place.suspect.free();
        if let (Some(place), Some(shared)) = (place.shared, &self.guard.shared) {
            shared.leave(place, Outcome::Right).await;
        }
    }

    /// It was wrong.
    pub async fn wrong(mut self) {
        let Some(place) = self.place.take() else { return };
        place.suspect.fail(self.guard.clock.now());
        if let (Some(of), Some(shared)) = (place.shared, &self.guard.shared) {
            let banned = shared.leave(of, Outcome::Wrong).await;
            if let Some(left) = banned {
                place.suspect.silence(self.guard.clock.now() + left);
            }
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        place.suspect.free();
        if let (Some(place), Some(shared)) = (place.shared, &self.guard.shared) {
            shared.forget(place);
        }
    }
}

fn silence(left: Duration) -> Refusal {
    Refusal::new(Reason::TooManyFailures, "too many wrong credentials came from this address; wait, then try again").retry(left)
}

#[cfg(test)]
mod tests;
