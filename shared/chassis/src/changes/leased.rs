//! A cache of values that are trusted as long as the feed's lease.

use super::{Feed, LEASE, unavailable};
use contract::Refusal;
use std::{
    collections::HashMap,
    future::Future,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};
use uuid::Uuid;

const SHARDS: usize = 32;
const PER_SHARD: usize = 4_096;

/// Values of type V that are trusted as long as the feed's lease, or for [`LEASE`] after they were asked.
///
/// A full generation of keys becomes the old one, and what of it is not used until the next is full, is gone: so it is bounded.
pub struct Leased<V> {
    feed: Arc<Feed>,
    shards: Vec<RwLock<Generations<V>>>,
}

struct Generations<V> {
    young: Slots<V>,
    old: Slots<V>,
}

type Slots<V> = HashMap<u128, Arc<Slot<V>>, BuildHasherDefault<Spread>>;

/// A fresh answer.
#[derive(Clone, Debug)]
pub struct Fresh<V> {
    /// What was asked for.
    pub value: V,
    /// Ids whose change makes it old.
    pub ids: Vec<Uuid>,
    /// When it ends by itself, microseconds since 1970.
    pub expires: Option<i64>,
}

/// What is known of one key, and who is asking for it.
struct Slot<V> {
    known: RwLock<Option<Known<V>>>,
    /// How many flights have landed.
    landed: AtomicU64,
    /// Held while somebody asks; what the last flight brought.
    flight: tokio::sync::Mutex<Option<Result<V, Refusal>>>,
}

struct Known<V> {
    fresh: Fresh<V>,
    asked: Duration,
    cursor: AtomicU64,
}

impl<V: Clone + Send + Sync + 'static> Leased<V> {
    /// An empty cache that reads this feed.
    #[must_use]
    pub fn new(feed: Arc<Feed>) -> Self {
        Self { feed, shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }

    /// The value, if it may be trusted now.
    pub fn current(&self, key: u128) -> Option<V> {
        self.lease(key).map(|(value, _)| value)
    }

    /// The same, and how long it may be trusted if nothing more is heard.
    pub fn lease(&self, key: u128) -> Option<(V, Duration)> {
        let shard = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        self.trusted(shard.young.get(&key)?)
    }

    /// The value, asked for if it may not be trusted. `ask` gets what is known but perhaps old.
    ///
    /// One flight per key: who waits for it shares what it brings, also a refusal.
    pub async fn get<F>(&self, key: u128, ask: impl Fn(Option<V>) -> F + Send) -> Result<V, Refusal>
    where
        F: Future<Output = Result<Fresh<V>, Refusal>> + Send,
    {
        let slot = self.slot(key);
        if let Some((value, _)) = self.trusted(&slot) {
            return Ok(value);
        }
        let before = slot.landed.load(Acquire);
        let mut flight = slot.flight.lock().await; // freed when its holder is cancelled: then the next one flies
        if let (true, Some(brought)) = (slot.landed.load(Acquire) != before, &*flight) {
            return brought.clone();
        }
        let brought = self.fly(&slot, ask).await;
        if !slot.knows() {
            self.forget(key); // a guess takes no place
        }
        *flight = Some(brought.clone());
        slot.landed.fetch_add(1, Release);
        brought
    }

    /// Asks; and once more, if there were news about the same ids meanwhile, or it took longer than it is worth.
    async fn fly<F>(&self, slot: &Slot<V>, ask: impl Fn(Option<V>) -> F + Send) -> Result<V, Refusal>
    where
        F: Future<Output = Result<Fresh<V>, Refusal>> + Send,
    {
        for _ in 0..2 {
            let (asked, cursor) = (self.feed.clock().now(), self.feed.news().into());
            let fresh = ask(slot.value()).await?;
            slot.learn(Known { fresh, asked, cursor });
            if let Some((value, _)) = self.trusted(slot) {
                return Ok(value);
            }
        }
        Err(unavailable())
    }

    fn trusted(&self, slot: &Slot<V>) -> Option<(V, Duration)> {
        let known = slot.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref()?;
        let trusted = self.feed.trusted(); // the lease before the news
        let left = trusted.max(known.asked + LEASE).checked_sub(self.feed.clock().now()).filter(|left| !left.is_zero())?;
        let lives = known.fresh.expires.is_none_or(|at| self.feed.clock().micros() < at);
        let current = lives && !self.feed.changed(&known.cursor, &known.fresh.ids);
        current.then(|| (known.fresh.value.clone(), left))
    }

    fn shard(&self, key: u128) -> &RwLock<Generations<V>> {
        &self.shards[(key >> 64) as usize % SHARDS]
    }

    fn slot(&self, key: u128) -> Arc<Slot<V>> {
        let shard = self.shard(key);
        if let Some(slot) = shard.read().unwrap_or_else(PoisonError::into_inner).young.get(&key) {
            return slot.clone();
        }
        shard.write().unwrap_or_else(PoisonError::into_inner).slot(key)
    }

    fn forget(&self, key: u128) {
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner).young.remove(&key);
    }
}

impl<V> Generations<V> {
    fn slot(&mut self, key: u128) -> Arc<Slot<V>> {
        if let Some(slot) = self.young.get(&key) {
            return slot.clone();
        }
        if self.young.len() >= PER_SHARD {
            self.old = std::mem::take(&mut self.young);
        }
        let slot = self.old.remove(&key).unwrap_or_default();
        self.young.insert(key, slot.clone());
        slot
    }
}

impl<V: Clone> Slot<V> {
    fn knows(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn value(&self) -> Option<V> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|known| known.fresh.value.clone())
    }

    fn learn(&self, known: Known<V>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        Self { known: RwLock::default(), landed: 0.into(), flight: tokio::sync::Mutex::default() }
    }
}

impl<V> Default for Generations<V> {
    fn default() -> Self {
        Self { young: HashMap::default(), old: HashMap::default() }
    }
}

/// Keys are keyed hashes or UUIDs made here: nobody chooses them, so mixing their halves is hash enough.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = (key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (key >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{changes::Changes, clock::Clock};
    use contract::Reason;
    use std::sync::atomic::AtomicUsize;

    const MS: Duration = Duration::from_millis(1);

    struct House {
        clock: Clock,
        feed: Arc<Feed>,
        cache: Leased<usize>,
        asked: AtomicUsize,
        away: std::sync::atomic::AtomicBool,
    }

    impl House {
        fn new() -> Self {
            let clock = Clock::still(Duration::from_secs(1_000_000));
            let feed = Feed::new(clock.clone());
            Self { cache: Leased::new(feed.clone()), feed, clock, asked: 0.into(), away: false.into() }
        }

        /// Counts the questions; each answer is its number, and depends on id 1.
        async fn get(&self, key: u128) -> Result<usize, Reason> {
            let ask = |_| async {
                if self.away.load(Acquire) {
                    return Err(unavailable());
                }
                tokio::task::yield_now().await;
                let value = self.asked.fetch_add(1, Release) + 1;
                Ok(Fresh { value, ids: vec![Uuid::from_u128(1)], expires: None })
            };
            self.cache.get(key, ask).await.map_err(|refusal| refusal.reason())
        }

        fn hears(&self, after: u64, head: u64, ids: &[u128]) {
            let ids = ids.iter().map(|id| Uuid::from_u128(*id)).collect();
            self.feed.answered(self.clock.now(), &Changes { after, head, ids, reset: false });
        }
    }

    #[tokio::test]
    async fn a_value_is_asked_once_while_the_lease_is_held() {
        let house = House::new();
        for _ in 0..10 {
            house.hears(0, 0, &[]);
            assert_eq!(house.get(5).await, Ok(1));
            house.clock.advance(699 * MS);
        }
        assert_eq!(house.cache.current(5), Some(1));
    }

    #[tokio::test]
    async fn without_a_lease_a_value_is_worth_700_ms_and_then_nothing_when_identity_is_away() {
        let house = House::new();
        assert_eq!(house.get(5).await, Ok(1));
        house.away.store(true, Release);
        house.clock.advance(699 * MS);
        assert_eq!(house.get(5).await, Ok(1));
        house.clock.advance(MS);
        assert_eq!(house.get(5).await, Err(Reason::IdentityUnavailable));
        house.away.store(false, Release);
        assert_eq!(house.get(5).await, Ok(2));
    }

    #[tokio::test]
    async fn what_is_left_of_a_lease_counts_from_the_question_or_from_the_feeds() {
        let house = House::new();
        assert_eq!(house.cache.lease(5), None);
        assert_eq!(house.get(5).await, Ok(1));
        house.clock.advance(200 * MS);
        assert_eq!(house.cache.lease(5), Some((1, 500 * MS)));
        house.hears(0, 0, &[]);
        assert_eq!(house.get(5).await, Ok(2), "after a silence it is asked again");
        house.clock.advance(100 * MS);
        house.hears(0, 0, &[]);
        assert_eq!(house.cache.lease(5), Some((2, LEASE)));
        house.clock.advance(LEASE);
        assert_eq!(house.cache.lease(5), None);
    }

    #[tokio::test]
    async fn what_a_lease_has_left_behind_is_asked_again_when_there_is_a_new_one() {
        let house = House::new();
        house.hears(0, 0, &[]);
        assert_eq!(house.get(5).await, Ok(1));
        house.clock.advance(LEASE);
        // Identity was restored from a backup meanwhile: the numbers are the same, what they stand for is not.
        house.hears(0, 0, &[]);
        assert_eq!(house.get(5).await, Ok(2));
    }

    #[tokio::test]
    async fn news_of_an_id_make_old_what_depends_on_it() {
        let house = House::new();
        house.hears(0, 0, &[]);
        assert_eq!(house.get(5).await, Ok(1));
        house.hears(0, 1, &[9]);
        assert_eq!(house.get(5).await, Ok(1));
        house.hears(1, 2, &[1]);
        assert_eq!(house.cache.current(5), None);
        assert_eq!(house.get(5).await, Ok(2));
        assert_eq!(house.get(5).await, Ok(2));
    }

    #[tokio::test]
    async fn news_that_come_while_it_asks_make_it_ask_once_more() {
        let house = House::new();
        house.hears(0, 0, &[]);
        let answer = house.cache.get(5, |_| async {
            let first = house.asked.fetch_add(1, Release) == 0;
            if first {
                house.hears(0, 1, &[1]); // changed after the read, before the answer
            }
            Ok(Fresh { value: if first { 10 } else { 20 }, ids: vec![Uuid::from_u128(1)], expires: None })
        });
        assert_eq!(answer.await.unwrap(), 20);
    }

    #[tokio::test]
    async fn what_expires_is_asked_again_from_then_on() {
        let house = House::new();
        let expires = house.clock.micros() + 1_000;
        let ask = |_| async {
            let number = house.asked.fetch_add(1, Release) + 1;
            Ok(Fresh { value: number, ids: vec![], expires: (number == 1).then_some(expires) })
        };
        assert_eq!(house.cache.get(5, ask).await.unwrap(), 1);
        assert_eq!(house.cache.get(5, ask).await.unwrap(), 1);
        house.clock.advance(MS);
        assert_eq!(house.cache.get(5, ask).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn who_waits_for_a_flight_shares_what_it_brings() {
        let house = House::new();
        let answers = futures::future::join_all((0..50).map(|_| house.get(5))).await;
        assert!(answers.iter().all(|answer| *answer == Ok(1)));
        house.away.store(true, Release);
        house.clock.advance(LEASE);
        let answers = futures::future::join_all((0..50).map(|_| house.get(5))).await;
        assert!(answers.iter().all(|answer| *answer == Err(Reason::IdentityUnavailable)));
    }

    #[tokio::test]
    async fn a_flight_whose_caller_left_is_flown_by_the_next() {
        let house = House::new();
        {
            let mut left = std::pin::pin!(house.cache.get(5, |_| std::future::pending()));
            assert!(futures::poll!(left.as_mut()).is_pending());
        }
        assert_eq!(house.get(5).await, Ok(1));
    }

    #[tokio::test]
    async fn a_guess_takes_no_place_and_the_table_is_bounded() {
        let house = House::new();
        house.away.store(true, Release);
        assert!(house.get(7).await.is_err());
        assert!(!house.cache.shard(7).read().unwrap().young.contains_key(&7));
        house.away.store(false, Release);
        for key in 0..3 * PER_SHARD as u128 {
            house.get(key).await.unwrap(); // all in one shard
        }
        let shard = house.cache.shard(0).read().unwrap();
        assert!(shard.young.len() + shard.old.len() <= 2 * PER_SHARD);
    }
}
