//! Following one group's log.

use super::{
    Error, Log, Logged,
    error::Result,
    feed::{Feed, Page},
};
use contract::id::GroupId;
use std::sync::Arc;
use tokio::sync::watch;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// With the oldest event that is kept.
    Beginning,
    /// With the next event.
    Now,
    /// After this number.
    After(i64),
}

/// Holds a number, not rows: who is slow reads again from where it stands.
pub(crate) struct Watch {
    log: Log,
    feed: Arc<Feed>,
    head: watch::Receiver<i64>,
    after: i64,
}

/// What came: rows of a page that others may share.
pub(crate) struct News {
    page: Arc<Page>,
    after: i64,
}

impl News {
    /// At least one, in order of sequence.
    pub(crate) fn rows(&self) -> &[Logged] {
        self.page.rows_after(self.after)
    }
}

impl Log {
    /// Begins to follow.
    ///
    /// # Errors
    /// The number is older than what is kept, or ahead of the log: then it was restored from a backup, and waiting for the numbers to come
    /// again would be a silent gap.
    pub(crate) async fn watch(&self, group: GroupId, from: From) -> Result<Watch> {
        let (feed, head) = self.hub.feed(group);
        let reach = self.group(group).await?; // after the feed stands in the hub, which tells it what comes later
        feed.tell(reach.sequence);
        let after = match from {
            From::Beginning => reach.floor,
            From::Now => reach.sequence,
            From::After(after) => after,
        };
        if after < reach.floor || after > reach.sequence {
            return Err(Error::OutOfRange { after: reach.floor });
        }
        Ok(Watch { log: self.clone(), feed, head, after })
    }
}

impl Watch {
    /// The number of the last event that was given out.
    pub(crate) fn after(&self) -> i64 {
        self.after
    }

    /// Whether all that is known was given out.
    pub(crate) fn is_at_head(&self) -> bool {
        *self.head.borrow() <= self.after
    }

    /// The next rows. Dropped while it waits, it loses nothing.
    pub(crate) async fn next(&mut self) -> Result<News> {
        let after = self.after;
        self.head.wait_for(|head| *head > after).await.map_err(|_| Error::Ended)?;
        let page = self.feed.page(&self.log, after).await?;
        let news = News { page, after };
        self.after = news.rows().last().map_or(after, |row| row.sequence);
        Ok(news)
    }
}
