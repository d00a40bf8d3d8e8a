//! Against guessing: ten wrong credentials from one address in five minutes, then five minutes of silence.

use crate::{address::Address, bounded::Bounded};
use chassis::clock::Clock;
use contract::{Reason, Refusal};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const FAILURES: usize = 10;
const PERIOD: Duration = Duration::from_secs(300);
/// Addresses that are remembered.
const MOST: usize = 50_000;

/// Counts what failed, by address. Only credentials that are not known yet pass here, so whoever works from that address goes on.
///
/// To look and to count is one step: an attempt *holds* one of the ten places while it is under way and gets it back when it was right. So
/// parallel guesses don't slip past ten, and an honest crowd behind one address waits for places instead of being refused.
pub struct Guard {
    clock: Clock,
    addresses: Mutex<Bounded<Arc<Suspect>>>,
}

/// An address and its places.
struct Suspect {
    since: Duration,
    places: Arc<Semaphore>,
    failed: Mutex<Failed>,
}

#[derive(Default)]
struct Failed {
    times: usize,
    silent_until: Option<Duration>,
}

/// A credential that is being proven.
pub struct Attempt {
    suspect: Arc<Suspect>,
    clock: Clock,
    place: OwnedSemaphorePermit,
}

impl Guard {
    /// Nobody has failed yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, addresses: Mutex::new(Bounded::new(MOST)) }
    }

    /// A place for an attempt; waits while all that are left are taken.
    ///
    /// # Errors
    /// TOO_MANY_FAILURES, with the time to wait.
    pub async fn attempt(&self, address: Address) -> Result<Attempt, Refusal> {
        let suspect = self.suspect(address);
        suspect.check(self.clock.now())?;
        match suspect.places.clone().acquire_owned().await {
            Ok(place) => Ok(Attempt { suspect, clock: self.clock.clone(), place }),
            Err(_closed) => Err(suspect.check(self.clock.now()).err().unwrap_or_else(|| silence(PERIOD))),
        }
    }

    fn suspect(&self, address: Address) -> Arc<Suspect> {
        let now = self.clock.now();
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let suspect = addresses.entry(address.client(), || Suspect::new(now));
        if !suspect.is_current(now) {
            *suspect = Suspect::new(now);
        }
        suspect.clone()
    }
}

impl Suspect {
    fn new(since: Duration) -> Arc<Self> {
        Arc::new(Self { since, places: Arc::new(Semaphore::new(FAILURES)), failed: Mutex::default() })
    }

    fn is_current(&self, now: Duration) -> bool {
        let silent_until = self.failed.lock().unwrap_or_else(PoisonError::into_inner).silent_until;
        now < silent_until.unwrap_or(self.since + PERIOD)
    }

    fn check(&self, now: Duration) -> Result<(), Refusal> {
        let silent_until = self.failed.lock().unwrap_or_else(PoisonError::into_inner).silent_until;
        silent_until.filter(|until| now < *until).map_or(Ok(()), |until| Err(silence(until - now)))
    }
}

impl Attempt {
    /// It was wrong. Who drops the attempt without a word gives the place back.
    pub fn failed(self) {
        self.place.forget();
        let mut failed = self.suspect.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.times += 1;
        if failed.times == FAILURES {
            failed.silent_until = Some(self.clock.now() + PERIOD); // counted from the last guess
            self.suspect.places.close(); // who waits for a place is refused
        }
    }
}

fn silence(left: Duration) -> Refusal {
    Refusal::new(Reason::TooManyFailures, "too many wrong credentials came from this address; wait, then try again").retry(left)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::future::join_all;

    fn guard() -> (Guard, Clock) {
        let clock = Clock::still(Duration::from_secs(1_000_000));
        (Guard::new(clock.clone()), clock)
    }

    fn address(ip: &str) -> Address {
        Address::of(ip.parse().unwrap())
    }

    async fn fail(guard: &Guard, ip: &str) -> bool {
        match guard.attempt(address(ip)).await {
            Ok(attempt) => {
                tokio::task::yield_now().await; // as identity does: others come meanwhile
                attempt.failed();
                true
            }
            Err(_) => false,
        }
    }

    #[tokio::test]
    async fn the_eleventh_guess_is_refused_for_five_minutes_from_the_tenth() {
        let (guard, clock) = guard();
        for _ in 0..10 {
            assert!(fail(&guard, "192.0.2.1").await);
            clock.advance(Duration::from_secs(20));
        }
        let refused = guard.attempt(address("192.0.2.1")).await.err().unwrap();
        assert_eq!((refused.reason(), refused.retry_after()), (Reason::TooManyFailures, Some(Duration::from_secs(280))));
        assert!(guard.attempt(address("192.0.2.2")).await.is_ok(), "another address");
        clock.advance(Duration::from_secs(280));
        assert!(fail(&guard, "192.0.2.1").await);
    }

    #[tokio::test]
    async fn of_a_thousand_parallel_guesses_ten_are_tried() {
        let (guard, _) = guard();
        let tried = join_all((0..1_000).map(|_| fail(&guard, "192.0.2.1"))).await;
        assert_eq!(tried.into_iter().filter(|tried| *tried).count(), 10);
    }

    #[tokio::test]
    async fn right_and_undecided_attempts_cost_nothing_however_many_at_once() {
        let (guard, _) = guard();
        let right = async || {
            let attempt = guard.attempt(address("192.0.2.1")).await;
            tokio::task::yield_now().await;
            attempt.is_ok()
        };
        assert!(join_all((0..200).map(|_| right())).await.into_iter().all(|passed| passed));
        for _ in 0..9 {
            assert!(fail(&guard, "192.0.2.1").await);
        }
        assert!(join_all((0..200).map(|_| right())).await.into_iter().all(|passed| passed));
    }

    #[tokio::test]
    async fn nine_failures_are_forgotten_after_five_minutes() {
        let (guard, clock) = guard();
        for _ in 0..9 {
            assert!(fail(&guard, "192.0.2.1").await);
        }
        clock.advance(PERIOD);
        for _ in 0..10 {
            assert!(fail(&guard, "192.0.2.1").await);
        }
        assert!(!fail(&guard, "192.0.2.1").await);
    }

    #[tokio::test]
    async fn an_ipv6_64_is_one_address() {
        let (guard, _) = guard();
        for host in 0..10 {
            assert!(fail(&guard, &format!("2001:db8::{host:x}:1")).await);
        }
        assert!(!fail(&guard, "2001:db8::ffff").await);
        assert!(fail(&guard, "2001:db8:0:1::1").await);
    }

    #[tokio::test]
    async fn the_table_is_bounded_under_an_attack_from_everywhere() {
        let (guard, _) = guard();
        for number in 0..3 * MOST as u32 {
            let attempt = guard.attempt(Address::of(std::net::Ipv4Addr::from_bits(number).into())).await.unwrap();
            attempt.failed();
        }
        assert!(guard.addresses.lock().unwrap().len() <= MOST);
    }
}
