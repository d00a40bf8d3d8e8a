//! The way from a service's outbox to the event log.
//!
//! Ships whatever rows it sees, lowest number first, and deletes exactly those after the answer, by number. It has no cursor, so a number
//! that becomes visible late is not skipped: it is still in the table. At least once; the event's id is the key for once.

use crate::{Carried, Db, Lease, Result, Tx, Weight, lease::PARTITION, outbox::Queued, powers};
use contract::internal::v1::LogEvent;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// `EventLogService.Append`, here or at the end of a channel. No answer means: perhaps.
pub trait Append: Send + Sync + 'static {
    /// Numbers these events and keeps them, in this order; those it knows already it skips. It refuses no content: one poison row would
    /// stop every tenant.
    fn append(&self, events: Vec<LogEvent>) -> impl Future<Output = Result<(), Status>> + Send;
}

/// Ships one service's outbox.
pub struct Relay<A> {
    db: Db,
    log: A,
    lease: Lease,
    /// The time from one shipment to the next: one by one costs several times as much.
    gather: Duration,
    due: Instant,
}

/// Rows a call, and their bytes.
const ROWS: usize = 500;
const BYTES: usize = 1 << 20;
/// Replicas don't share a hint.
const POLL: Duration = Duration::from_millis(100);
/// How long the others wait for a relay that died.
const LIFE: Duration = Duration::from_secs(5);
/// How long a drain ships what is left.
const LAST: Duration = Duration::from_secs(3);

/// Why nothing was shipped.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] crate::Error),
    #[error("the log did not take them: {0}")]
    Log(#[from] Box<Status>),
}

impl<A: Append> Relay<A> {
    /// For `db`'s outbox. What comes within `gather` after a shipment goes with the next one; 100 ms are good. Who changes something now and
    /// then does not wait for it.
    pub fn new(db: Db, log: A, gather: Duration) -> Self {
        Self { db, log, lease: Lease::new("relay", LIFE), gather, due: Instant::now() }
    }

    /// Until it is cancelled; then ships what is left, within 3 s, and leaves the lease.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.ship().await {
                Ok(true) => continue, // there may be more
                Ok(false) => self.news(),
                Err(error) => {
                    tracing::warn!(%error, "relay");
                    Box::pin(sleep(POLL))
                }
            };
            stop.run_until_cancelled(pause).await;
        }
        timeout(LAST, self.empty()).await.ok();
        if self.lease.held(&self.db)
            && let Err(error) = self.lease.leave(&self.db).await
        {
            tracing::warn!(%error, "relay, leaving its lease");
        }
    }

    /// Until there may be rows.
    fn news(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let (news, due) = (self.db.news().clone(), self.due);
        Box::pin(async move {
            if timeout(POLL, news.notified()).await.is_ok() {
                sleep_until(due).await;
            }
        })
    }

    /// Ships all there is.
    async fn empty(&mut self) {
        loop {
            match self.rows().await {
                Ok(rows) if rows.is_empty() => return,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "relay, last rows"),
            }
            match self.ship().await {
                Ok(_) if self.lease.held(&self.db) => {}
                Ok(_) => sleep(POLL).await, // another replica ships them
                Err(error) => {
                    tracing::warn!(%error, "relay, last rows");
                    sleep(POLL).await;
                }
            }
        }
    }

    /// One batch; true when there is probably another.
    async fn ship(&mut self) -> Result<bool, Error> {
        let held = self.lease.held(&self.db);
        let ours = held || (self.work().await? && self.lease.taken(&self.db).await?);
        if !ours {
            return Ok(false);
        }
        let rows = self.rows().await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let more = rows.len() == ROWS || rows.iter().map(Weight::weight).sum::<usize>() > BYTES / 2;
        let (numbers, mut events): (Vec<i64>, Vec<LogEvent>) = rows.into_iter().map(|row| (row.number, row.event)).unzip();
        self.due = Instant::now() + self.gather;
        let way = Carried::all("relay", &mut events);
        self.log.append(events).await.map_err(Box::new)?;
        drop(way);
        self.forget(&numbers).await?;
        Ok(more)
    }

    async fn work(&self) -> Result<bool> {
        let row: Option<(i64,)> = self.system().sql("select number from outbox where number > 0 order by number limit 1").opt().await?;
        Ok(row.is_some())
    }

    async fn rows(&self) -> Result<Vec<Queued>> {
        self.system().sql("select * from outbox where number > 0 order by number limit 500").page(BYTES).await
    }

    /// By number, never `number <= last`: on Postgres a lower one may have become visible since, unshipped. A list and no `values`, which
    /// Postgres joins: with statistics from when the outbox was short it would read all of a long one for each batch.
    async fn forget(&mut self, numbers: &[i64]) -> Result<()> {
        let mut tx: Tx = self.system().begin().await?;
        for some in powers(numbers) {
            tx.sql("delete from outbox where number in (").rows(some, 1, |sql, number| sql.bind(*number)).push(")").run().await?;
        }
        self.lease.take(&self.db, &mut tx).await?; // lost: the next round finds out
        tx.commit().await
    }

    fn system(&self) -> crate::System<'_> {
        debug_assert_eq!(PARTITION, 0, "one relay ships to one log");
        self.db.system("the relay ships every tenant's events")
    }
}
