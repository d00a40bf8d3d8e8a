//! One poll for all who read in this process, from the first reader to the last one's end.
//!
//! Wake-ups are hints: two replicas don't share one, so the head is polled while somebody reads; an idle hub asks nothing.

use super::{Log, PARTITION, error::Result, feed::Feed};
use contract::id::GroupId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    select,
    sync::{Notify, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

const POLL: Duration = Duration::from_millis(100);

/// Who reads, and what they are told.
#[derive(Default)]
pub(crate) struct Hub {
    feeds: Mutex<HashMap<GroupId, Weak<Feed>>>,
    head: watch::Sender<i64>,
    hint: Arc<Notify>,
    came: Notify,
    reads: AtomicU64,
}

impl Hub {
    /// Notified when this process has added to the log.
    pub(super) fn hint(&self) -> Arc<Notify> {
        self.hint.clone()
    }

    /// The position of the head, for who reads all groups.
    pub(super) fn follow(&self) -> watch::Receiver<i64> {
        let head = self.head.subscribe();
        self.came.notify_one();
        head
    }

    /// The feed of a group, and its head as this reader will be told of it.
    pub(super) fn feed(&self, group: GroupId) -> (Arc<Feed>, watch::Receiver<i64>) {
        let mut feeds = self.feeds();
        let feed = feeds.get(&group).and_then(Weak::upgrade).unwrap_or_else(|| Arc::new(Feed::new(group)));
        feeds.insert(group, Arc::downgrade(&feed));
        drop(feeds);
        self.came.notify_one();
        let head = feed.follow();
        (feed, head)
    }

    /// Counts a page that was read.
    pub(super) fn count(&self) {
        self.reads.fetch_add(1, Relaxed);
    }

    /// How many pages were read.
    #[cfg(test)]
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Relaxed)
    }

    /// The feeds that somebody follows.
    pub(crate) fn watched(&self) -> HashMap<GroupId, Arc<Feed>> {
        let mut feeds = self.feeds();
        feeds.retain(|_, feed| feed.strong_count() > 0);
        feeds.iter().filter_map(|(group, feed)| Some((*group, feed.upgrade()?))).collect()
    }

    fn is_idle(&self) -> bool {
        self.head.receiver_count() == 0 && self.watched().is_empty()
    }

    fn tell(&self, position: i64) {
        self.head.send_if_modified(|head| {
            let news = position > *head;
            *head = position.max(*head);
            news
        });
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<GroupId, Weak<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Tells readers of news until `stop`.
    pub(crate) async fn tell(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let Some(polled) = stop.run_until_cancelled(self.poll()).await else { return };
            if let Err(error) = polled {
                tracing::warn!(%error, "the head of the log could not be read");
                stop.run_until_cancelled(sleep(POLL)).await;
            }
        }
    }

    /// From the first reader to the last one's end.
    async fn poll(&self) -> Result<()> {
        while self.hub.is_idle() {
            self.hub.came.notified().await;
        }
        let (mut position, _) = self.head().await?;
        self.hub.tell(position);
        // They came before the position was read; who comes later asks by themselves.
        for (group, feed) in self.hub.watched() {
            feed.tell(self.group(group).await?.sequence);
        }
        loop {
            select! {
                () = self.hub.hint.notified() => {}
                () = sleep(POLL) => {}
            }
            if self.hub.is_idle() {
                return Ok(());
            }
            position = self.news(position).await?;
        }
    }

    /// One range read on the index of positions, whoever watches; an empty one is a single probe.
    async fn news(&self, mut position: i64) -> Result<i64> {
        let news: Vec<(GroupId, i64, i64)> = self
            .db
            .system("one poll for the watchers of all groups")
            .sql("select group_id, max(sequence), max(position) from event where partition = $1 and position > $2 group by group_id")
            .bind(PARTITION)
            .bind(position)
            .all()
            .await?;
        // After the query: who comes later than this asks by themselves, and sees at least as much as it did.
        let feeds = self.hub.watched();
        for (group, sequence, last) in news {
            position = position.max(last);
            if let Some(feed) = feeds.get(&group) {
                feed.tell(sequence);
            }
        }
        self.hub.tell(position);
        Ok(position)
    }
}
