//! The feed of changes and its lease.

use super::{Identity, unavailable};
use crate::clock::Clock;
use std::{
    collections::VecDeque,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What is cached is trusted so long after the last answered question was sent.
pub const LEASE: Duration = Duration::from_millis(700);
/// Ids that are remembered for values that have not looked yet.
const RECENT: usize = 8_192;
/// An answer with so many ids may have left some out.
const FULL: usize = 1_000;
/// Until the next question, when one was not answered.
const PAUSE: Duration = Duration::from_millis(50);

/// The answer to "what changed after `after`?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// What was asked.
    pub after: u64,
    /// The position after these changes.
    pub head: u64,
    /// What changed.
    pub ids: Vec<Uuid>,
    /// `after` is not kept any more: everything may have changed.
    pub reset: bool,
}

/// The feed is a log, and each cached value a reader of it with a cursor of its own: news cost one push, and no value has to be found.
#[derive(Debug)]
pub struct Feed {
    clock: Clock,
    /// Until then it is trusted, in nanoseconds of the monotonic clock.
    trusted: AtomicU64,
    /// How many changes there have been: the cursor of who has read all.
    news: AtomicU64,
    log: RwLock<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// Identity's number of the last change.
    position: u64,
    /// Our number of the first of `recent`.
    oldest: u64,
    recent: VecDeque<Uuid>,
}

impl Feed {
    /// A feed that has heard nothing yet.
    #[must_use]
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, trusted: 0.into(), news: 0.into(), log: RwLock::default() })
    }

    /// What the next question asks after.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.log.read().unwrap_or_else(PoisonError::into_inner).position
    }

    /// The lease is held.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.clock.now() < self.trusted()
    }

    /// The clock of the lease.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The answer to the question that was sent at `asked`, whenever it arrives. One that would leave a gap extends nothing, nor does
    /// one that may have left something out.
    ///
    /// A lease that was lost is not mended: what was cached under it is asked again under the next, for identity may have come back
    /// with another history (a backup, a standby that lacked the last commits) whose numbers look like those of the first.
    pub fn answered(&self, asked: Duration, answer: &Changes) {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        if !self.append(&mut log, answer) {
            return;
        }
        let (now, until) = (self.clock.now(), asked + LEASE);
        if self.trusted() <= now && now < until {
            self.forget(&mut log);
        }
        // Last: who sees the longer lease sees the news.
        self.trusted.fetch_max(nanos(until), Release);
    }

    /// All ask again: no cursor is as young.
    fn forget(&self, log: &mut Log) {
        log.recent.clear();
        log.oldest = self.news.load(Relaxed) + 1;
        self.news.store(log.oldest, Release);
    }

    /// Whether all that changed before the question is known now.
    fn append(&self, log: &mut Log, answer: &Changes) -> bool {
        if answer.reset {
            self.forget(log);
            log.position = answer.head;
            return true;
        }
        if answer.after > log.position {
            return false;
        }
        if answer.head > log.position {
            log.position = answer.head;
            log.recent.extend(&answer.ids);
            let over = log.recent.len().saturating_sub(RECENT);
            log.recent.drain(..over);
            log.oldest += over as u64;
            self.news.fetch_add(answer.ids.len() as u64, Release);
        }
        answer.ids.len() < FULL
    }

    pub(super) fn trusted(&self) -> Duration {
        Duration::from_nanos(self.trusted.load(Acquire))
    }

    /// The cursor of who reads from here on.
    pub(super) fn news(&self) -> u64 {
        self.news.load(Acquire)
    }

    /// Whether one of `ids` changed after `cursor`. For one that is too old: perhaps, so yes.
    pub(super) fn changed(&self, cursor: &AtomicU64, ids: &[Uuid]) -> bool {
        let seen = cursor.load(Acquire);
        if seen == self.news() {
            return false; // the usual: two loads
        }
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        let Some(unread) = seen.checked_sub(log.oldest) else { return true };
        let unread = usize::try_from(unread).unwrap_or(usize::MAX).min(log.recent.len());
        if log.recent.range(unread..).any(|id| ids.contains(id)) {
            return true;
        }
        cursor.fetch_max(log.oldest + log.recent.len() as u64, Release);
        false
    }

    /// Asks again and again, one question at a time, until `stop`.
    pub async fn run(self: Arc<Self>, identity: Arc<impl Identity>, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            loop {
                self.ask(&*identity).await;
            }
        })
        .await;
    }

    async fn ask(&self, identity: &impl Identity) {
        let asked = self.clock.now();
        let question = identity.changes(self.position());
        match tokio::time::timeout(LEASE, question).await.unwrap_or_else(|_| Err(unavailable())) {
            Ok(answer) => self.answered(asked, &answer),
            Err(refusal) => {
                tracing::debug!(%refusal, "the change feed got no answer");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn feed() -> (Arc<Feed>, Clock) {
        let clock = Clock::still(Duration::from_secs(1_000_000));
        (Feed::new(clock.clone()), clock)
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn answer(after: u64, head: u64, ids: &[u128]) -> Changes {
        Changes { after, head, ids: ids.iter().copied().map(id).collect(), reset: false }
    }

    #[test]
    fn a_lease_counts_from_the_question_however_late_the_answer_comes() {
        let (feed, clock) = feed();
        assert!(!feed.alive(), "nothing was heard yet");
        let asked = clock.now();
        clock.advance(500 * MS);
        feed.answered(asked, &answer(0, 0, &[]));
        assert!(feed.alive());
        clock.advance(199 * MS);
        assert!(feed.alive());
        clock.advance(MS);
        assert!(!feed.alive());
    }

    #[test]
    fn an_answer_after_the_lease_of_its_question_extends_nothing() {
        let (feed, clock) = feed();
        let asked = clock.now();
        clock.advance(LEASE);
        feed.answered(asked, &answer(0, 3, &[1, 2, 3]));
        assert!(!feed.alive());
        assert_eq!(feed.position(), 3, "its news are news all the same");
    }

    #[test]
    fn an_answer_that_would_leave_a_gap_extends_nothing_and_tells_nothing() {
        let (feed, clock) = feed();
        feed.answered(clock.now(), &answer(5, 9, &[7]));
        assert!(!feed.alive());
        assert_eq!(feed.position(), 0);
    }

    #[test]
    fn a_late_answer_neither_shortens_the_lease_nor_goes_back() {
        let (feed, clock) = feed();
        let early = clock.now();
        clock.advance(100 * MS);
        feed.answered(clock.now(), &answer(0, 4, &[1, 2, 3, 4]));
        feed.answered(early, &answer(0, 2, &[1, 2]));
        assert_eq!(feed.position(), 4);
        clock.advance(699 * MS);
        assert!(feed.alive());
        clock.advance(MS);
        assert!(!feed.alive());
    }

    #[test]
    fn an_answer_that_is_full_may_have_left_out_news() {
        let (feed, clock) = feed();
        let many: Vec<u128> = (0..FULL as u128).collect();
        feed.answered(clock.now(), &answer(0, 1_000, &many));
        assert_eq!((feed.alive(), feed.position()), (false, 1_000));
        feed.answered(clock.now(), &answer(1_000, 1_001, &[1]));
        assert!(feed.alive());
    }

    #[test]
    fn a_reader_sees_what_changed_after_its_cursor_and_only_its_own_ids() {
        let (feed, clock) = feed();
        feed.answered(clock.now(), &answer(0, 0, &[]));
        let cursor = AtomicU64::new(feed.news());
        feed.answered(clock.now(), &answer(0, 2, &[1, 2]));
        assert!(feed.changed(&cursor, &[id(9), id(2)]));
        assert!(!feed.changed(&cursor, &[id(9)]), "and with that it has read on");
        assert!(!feed.changed(&cursor, &[id(2)]));
        feed.answered(clock.now(), &answer(2, 3, &[2]));
        assert!(feed.changed(&cursor, &[id(2)]));
    }

    #[test]
    fn who_has_slept_through_more_than_is_kept_asks_again() {
        let (feed, clock) = feed();
        let cursor = AtomicU64::new(feed.news());
        for round in 0..=(RECENT as u64 / 100) {
            let ids: Vec<u128> = (0..100).map(|n| u128::from(round * 100 + n)).collect();
            feed.answered(clock.now(), &answer(round * 100, round * 100 + 100, &ids));
        }
        assert!(feed.changed(&cursor, &[id(u128::MAX)]));
        let young = AtomicU64::new(feed.news());
        assert!(!feed.changed(&young, &[id(0)]));
    }

    #[test]
    fn a_lease_that_was_lost_leaves_nothing_to_the_next() {
        let (feed, clock) = feed();
        feed.answered(clock.now(), &answer(0, 4, &[1, 2, 3, 4]));
        let cursor = AtomicU64::new(feed.news());
        clock.advance(LEASE - MS);
        feed.answered(clock.now(), &answer(4, 4, &[]));
        assert!(!feed.changed(&cursor, &[id(9)]), "it was held all the time");
        let late = clock.now();
        clock.advance(LEASE);
        feed.answered(late, &answer(4, 4, &[]));
        assert!(!feed.alive() && !feed.changed(&cursor, &[id(9)]), "an answer that is too late begins no lease");
        feed.answered(clock.now(), &answer(4, 4, &[]));
        assert!(feed.alive() && feed.changed(&cursor, &[id(9)]), "who knows which history these numbers count");
        assert!(!feed.changed(&AtomicU64::new(feed.news()), &[id(9)]));
    }

    #[test]
    fn after_a_reset_every_reader_asks_again_once() {
        let (feed, clock) = feed();
        feed.answered(clock.now(), &answer(0, 50, &[1, 2, 3]));
        let cursor = AtomicU64::new(feed.news());
        feed.answered(clock.now(), &Changes { after: 50, head: 7, ids: vec![], reset: true });
        assert!(feed.alive() && feed.position() == 7);
        assert!(feed.changed(&cursor, &[id(u128::MAX)]));
        let renewed = AtomicU64::new(feed.news());
        assert!(!feed.changed(&renewed, &[id(1)]));
        feed.answered(clock.now(), &answer(7, 8, &[1]));
        assert!(feed.changed(&renewed, &[id(1)]));
    }
}
