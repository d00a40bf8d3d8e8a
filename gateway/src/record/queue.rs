//! Where records wait to be shipped: bounded, and the oldest give way, since what is happening now matters most when all is full.

use super::Record;
use chassis::clock::Clock;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::Notify;

/// Records that wait; at most about 1 KiB each.
pub(crate) const WAITING: usize = 16_384;
/// Records of one batch. Tenants have rows of their own in it, so the more of them the more a larger one saves; but each is milliseconds of
/// work that waits for nothing.
pub(crate) const BATCH: usize = 4_096;

/// Takes records, and never waits: a short lock is all a request pays.
#[derive(Debug)]
pub struct Recorder {
    waiting: Mutex<VecDeque<Record>>,
    /// Notified when there is something, and when there is enough for a batch.
    news: Notify,
    dropped: AtomicU64,
    unread: AtomicBool,
    clock: Clock,
}

/// Where records come out. Dropped, nothing is kept any more.
#[derive(Debug)]
pub struct Records(Arc<Recorder>);

impl Recorder {
    /// The recorder, and where its records come out.
    #[must_use]
    pub fn new(clock: Clock) -> (Arc<Self>, Records) {
        let (dropped, unread) = (AtomicU64::new(0), AtomicBool::new(false));
        let recorder = Arc::new(Self { waiting: Mutex::default(), news: Notify::new(), dropped, unread, clock });
        (recorder.clone(), Records(recorder))
    }

    /// How many had to give way, or found nobody to take them in the end.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Keeps a record of a call that ends now.
    pub(super) fn keep(&self, mut record: Record) {
        if self.unread.load(Relaxed) {
            return;
        }
        record.time = self.clock.micros();
        let mut waiting = self.waiting();
        if waiting.len() == WAITING {
            waiting.pop_front();
            self.dropped.fetch_add(1, Relaxed);
        }
        waiting.push_back(record);
        let count = waiting.len();
        drop(waiting);
        if count == 1 || count == BATCH {
            self.news.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    /// Until so many wait; at most a batch.
    pub(crate) async fn at_least(&self, count: usize) {
        while self.len() < count {
            self.0.news.notified().await;
        }
    }

    /// The oldest of those that wait, at most a batch.
    pub(crate) fn batch(&mut self) -> Vec<Record> {
        let mut waiting = self.0.waiting();
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    /// The oldest one, if there is one.
    pub fn try_recv(&mut self) -> Option<Record> {
        self.0.waiting().pop_front()
    }

    /// The oldest one.
    pub async fn recv(&mut self) -> Option<Record> {
        self.at_least(1).await;
        self.try_recv()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.waiting().len()
    }

    /// None wait.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// So many were taken and have come nowhere.
    pub(crate) fn lost(&self, count: usize) {
        self.0.dropped.fetch_add(count as u64, Relaxed);
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.0.unread.store(true, Relaxed);
        self.0.waiting().clear();
    }
}
