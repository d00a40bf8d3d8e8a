//! An address, its failures and its places.

use super::{FAILURES, PERIOD};
use chassis::clock::Clock;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// To look and to count is one step: an attempt *holds* one of the ten places while it is under way and gets it back when it was right. So
/// parallel guesses don't slip past ten, and an honest crowd behind one address waits for places instead of being refused.
#[derive(Default)]
pub(super) struct Suspect {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    /// When; at most ten, oldest first.
    failures: VecDeque<Duration>,
    pending: usize,
    silent_until: Duration,
}

enum Entered {
    Place,
    Full,
    Silent(Duration),
}

impl Suspect {
    /// A place, as soon as one is free.
    ///
    /// # Errors
    /// How long the silence lasts.
    pub(super) async fn place(&self, clock: &Clock) -> Result<(), Duration> {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable(); // before the look, so that no freeing is missed
            match self.enter(clock.now()) {
                Entered::Place => return Ok(()),
                Entered::Silent(left) => return Err(left),
                Entered::Full => freed.await,
            }
        }
    }

    fn enter(&self, now: Duration) -> Entered {
        let mut state = self.state();
        if now < state.silent_until {
            return Entered::Silent(state.silent_until - now);
        }
        state.forget(now);
        if state.failures.len() + state.pending >= FAILURES {
            return Entered::Full;
        }
        state.pending += 1;
        Entered::Place
    }

    /// A place that others have given.
    pub(super) fn hold(&self) {
        self.state().pending += 1;
    }

    /// The place is free again.
    pub(super) fn free(&self) {
        self.state().pending -= 1;
        self.freed.notify_waiters();
    }

    /// The attempt failed. During a silence that changes nothing: it neither lengthens nor ends it.
    pub(super) fn fail(&self, now: Duration) {
        let mut state = self.state();
        state.pending -= 1;
        if now >= state.silent_until {
            state.forget(now);
            state.failures.push_back(now);
        }
        if state.failures.len() >= FAILURES {
            state.failures.clear();
            state.silent_until = now + PERIOD; // counted from the last guess
        }
        drop(state);
        self.freed.notify_waiters(); // who waits is refused, or one step nearer to it
    }

    /// Others have found it silent.
    pub(super) fn silence(&self, until: Duration) {
        let mut state = self.state();
        state.silent_until = state.silent_until.max(until);
        state.failures.clear();
        drop(state);
        self.freed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, now: Duration) {
        while self.failures.front().is_some_and(|at| *at + PERIOD <= now) {
            self.failures.pop_front();
        }
    }
}
