//! What the watchers of one group share: how far its log reaches, and the newest page.

use super::{Error, Log, Logged, error::Result};
use contract::id::GroupId;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, MutexGuard, watch};

/// An erased person's data must not stay in a page that is kept.
const YOUNG: Duration = Duration::from_secs(1);

/// One group's part of the [`Hub`](super::hub::Hub).
pub(crate) struct Feed {
    group: GroupId,
    head: watch::Sender<i64>,
    newest: Mutex<Newest>,
}

/// The page that was read last, and when.
#[derive(Default)]
struct Newest {
    read: Option<Duration>,
    page: Arc<Page>,
}

/// Rows without gaps from `after + 1` on.
#[derive(Default)]
pub(crate) struct Page {
    after: i64,
    rows: Vec<Logged>,
}

impl Page {
    /// The rows after a number that the page [holds](Page::holds).
    pub(super) fn rows_after(&self, after: i64) -> &[Logged] {
        let skipped = usize::try_from(after - self.after).unwrap_or(usize::MAX);
        self.rows.get(skipped..).unwrap_or_default()
    }

    /// Whether the row after that number is in it.
    fn holds(&self, after: i64) -> bool {
        self.after <= after && !self.rows_after(after).is_empty()
    }

    fn has_no_gap(&self) -> bool {
        self.rows.iter().zip(self.after + 1..).all(|(row, expected)| row.sequence == expected)
    }
}

impl Feed {
    pub(super) fn new(group: GroupId) -> Self {
        Self { group, head: watch::Sender::default(), newest: Mutex::default() }
    }

    pub(super) fn follow(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// The log reaches to this number at least.
    pub(super) fn tell(&self, sequence: i64) {
        self.head.send_if_modified(|head| {
            let news = sequence > *head;
            *head = sequence.max(*head);
            news
        });
    }

    /// A page that holds the row after `after`, for a watcher who knows that there is one. One reads, the others wait for it and share.
    pub(super) async fn page(&self, log: &Log, after: i64) -> Result<Arc<Page>> {
        let newest = self.newest.lock().await;
        let young = newest.read.is_some_and(|read| log.clock.now().saturating_sub(read) < YOUNG);
        if young && newest.page.holds(after) {
            return Ok(newest.page.clone());
        }
        if after < newest.page.after {
            drop(newest); // who is behind holds up nobody
            return self.read(log, after).await.map(Arc::new);
        }
        self.renew(newest, log, after).await
    }

    async fn renew(&self, mut newest: MutexGuard<'_, Newest>, log: &Log, after: i64) -> Result<Arc<Page>> {
        let read = log.clock.now();
        let page = Arc::new(self.read(log, after).await?);
        *newest = Newest { read: Some(read), page: page.clone() };
        Ok(page)
    }

    async fn read(&self, log: &Log, after: i64) -> Result<Page> {
        let page = Page { after, rows: log.page_of(self.group, after).await? };
        if page.holds(after) && page.has_no_gap() {
            return Ok(page);
        }
        // Numbers never step, so what is missing is missing: retention took it, or something is broken.
        match log.group(self.group).await?.floor {
            floor if after < floor => Err(Error::OutOfRange { after: floor }),
            _ => Err(Error::Gap { group: self.group, after }),
        }
    }
}
