//! Reading the log of all groups: what consumers do.

use super::{Log, Logged, PAGE_BYTES, PARTITION, error::Result};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A part of the log of all groups.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) rows: Vec<Logged>,
    /// Up to there something was gone before it was read.
    pub(crate) floor: i64,
}

impl Log {
    /// What stands after a position, waiting for news: so one poll of the hub serves all consumers.
    ///
    /// A new consumer, at 0, takes what is kept, and is told the `floor` under which there may be holes: groups keep their events for
    /// different times, so there is much to read below it. With that floor it reads on there, until the floor moves.
    ///
    /// # Errors
    /// The position is below what retention has left since: something may be missing there, and positions can't show it. It is ahead of the
    /// log, which was restored from a backup: waiting for the numbers to come again would be a silent gap.
    pub(crate) async fn read(&self, after: i64, floor: i64, wait: Duration) -> Result<Part> {
        let (mut head, until) = (self.hub.follow(), Instant::now() + wait);
        loop {
            // Told before the rows are read: they hold all up to there. Positions step, so there may be nothing between `after` and it.
            let told = *head.borrow_and_update();
            // Before the rows: what goes after this, a new consumer would miss.
            let (_, before) = self.head().await?;
            let rows = self.page_of_all(after).await?;
            // After the rows: retention moves the floor in the transaction that takes them.
            let (position, gone) = self.head().await?;
            if after == 0 && gone != before {
                continue; // what went meanwhile, a new consumer does not miss either
            }
            if after > position || (after > 0 && after < gone && floor < gone) {
                return Err(super::Error::OutOfRange { after: gone });
            }
            if !rows.is_empty() || timeout_at(until, head.wait_for(|head| *head > told.max(after))).await.is_err() {
                return Ok(Part { rows, floor: before });
            }
        }
    }

    async fn page_of_all(&self, after: i64) -> Result<Vec<Logged>> {
        self.hub.count();
        let rows = self
            .db
            .system("consumers read all groups")
            .sql("select * from event where partition = $1 and position > $2 order by position limit 500")
            .bind(PARTITION)
            .bind(after)
            .page(PAGE_BYTES)
            .await?;
        Ok(rows)
    }

    /// The position of the head, and the floor below which events may be gone.
    pub(super) async fn head(&self) -> Result<(i64, i64)> {
        let head = self.db.system("the head is of all groups").sql("select position, floor from log_head where partition = $1");
        Ok(head.bind(PARTITION).one().await?)
    }
}
