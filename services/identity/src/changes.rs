//! The change feed: which keys and groups changed, for those who cache them.
//!
//! A number is given under the lock of one row, which is held to COMMIT, in the transaction that makes the change: so order of numbers is
//! order of visibility, and a reader that has seen `n` has seen all below. The lock is taken last, for it makes the writers of what is
//! cached wait for one another (a few a minute).
//!
//! A question waits for news at most 200 ms. Meanwhile its process reads the head row every 50 ms, one indexed row, together for all who
//! wait (about 20 reads, half a millisecond of CPU, each second), and nothing while nobody asks. A change made by this process is seen at
//! once; that hint saves time and proves nothing, since two replicas share no memory.

mod head;
#[cfg(test)]
mod tests;

use contract::{Refusal, internal::v1::ListChangesResponse};
use head::{Head, Reads};
use std::{sync::Arc, time::Duration};
use store::{At, Db, Tx};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A question without news is answered so late.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often the head is read while somebody waits.
const POLL: Duration = Duration::from_millis(50);
/// Ids in an answer.
const IDS: i64 = 1_000;
/// How long changes are kept: who was away longer asks everything again.
const KEPT: Duration = Duration::from_secs(600);
/// How often what is older is thrown away, and how much of it in one transaction.
const PURGE: Duration = Duration::from_secs(60);
const BATCH: i64 = 1_000;

/// The feed as its readers see it. Clones share one poll.
#[derive(Clone)]
pub(crate) struct Changes {
    db: Db,
    reads: Arc<Reads>,
    news: Arc<Notify>,
}

impl Changes {
    pub(crate) fn new(db: Db) -> Self {
        Self { db, reads: Arc::default(), news: Arc::default() }
    }

    /// Something was changed by this process.
    pub(crate) fn hint(&self) {
        self.news.notify_waiters();
    }

    /// What changed after a position, at once if there is news, else within 200 ms.
    pub(crate) async fn after(&self, after: i64) -> Result<ListChangesResponse, Refusal> {
        let asked = Instant::now();
        let (deadline, mut begun) = (asked + PATIENCE, asked);
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable(); // before the read, so that what comes while it runs is not missed
            let head = self.reads.since(&self.db, begun).await?;
            if head.position != after || Instant::now() >= deadline {
                return self.answer(after, head).await;
            }
            let heard = timeout_at(deadline.min(Instant::now() + POLL), news).await.is_ok();
            let now = Instant::now();
            begun = if heard { now } else { asked.max(now.checked_sub(POLL).unwrap_or(asked)) };
        }
    }

    async fn answer(&self, after: i64, head: Head) -> Result<ListChangesResponse, Refusal> {
        let number = |n: i64| u64::try_from(n).unwrap_or_default();
        let answer = ListChangesResponse { after: number(after), head: number(head.position), ..ListChangesResponse::default() };
        if !head.reaches(after) {
            return Ok(ListChangesResponse { reset: true, ..answer });
        }
        if head.position == after {
            return Ok(answer);
        }
        let rows = changes(&self.db, after).await?;
        // What was thrown away between the two reads is missing among the rows; only the floor tells.
        if !head::read(&self.db).await?.reaches(after) {
            return Ok(ListChangesResponse { reset: true, ..answer });
        }
        let last = rows.last().map_or(after, |(position, _)| *position);
        let ids = rows.iter().map(|(_, subject)| subject.as_bytes().to_vec().into()).collect();
        Ok(ListChangesResponse { head: number(last), ids, ..answer })
    }

    /// Throws away what is older than it is kept, until it is told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(PURGE)).await.is_some() {
            if let Err(error) = self.purge().await {
                tracing::warn!(%error, "purge of the change feed");
            }
        }
    }

    /// All that is older than it is kept; tells how much.
    pub(crate) async fn purge(&self) -> store::Result<u64> {
        let mut gone = 0;
        loop {
            let some = self.purge_some().await?;
            gone += some;
            if some < BATCH.unsigned_abs() {
                return Ok(gone);
            }
        }
    }

    async fn purge_some(&self) -> store::Result<u64> {
        let system = self.db.system("the change feed is the platform's");
        let until = At(self.db.clock().micros()).earlier(KEPT);
        let first: Option<(i64, At)> =
            system.sql("select position, create_time from change where position >= $1 order by position limit 1").bind(1).opt().await?;
        let Some((first, _)) = first.filter(|(_, made)| *made < until) else { return Ok(0) }; // an idle house writes nothing
        let mut tx = system.begin().await?;
        let oldest = tx.sql("select max(position) from change where position < $1 and create_time < $2");
        let (Some(last),): (Option<i64>,) = oldest.bind(first + BATCH).bind(until).one().await? else { return Ok(0) };
        tx.sql("update change_head set floor = $1 where id = 1 and floor < $1").bind(last).run().await?;
        let gone = tx.sql("delete from change where position <= $1").bind(last).run().await?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// Tells the feed, in the transaction that changed them and as its last statements.
pub(crate) async fn record(tx: &mut Tx, subjects: &[Uuid]) -> Result<(), Refusal> {
    let now = tx.now();
    for subject in subjects {
        let (position,): (i64,) = tx.sql("update change_head set position = position + 1 where id = 1 returning position").one().await?;
        let insert = tx.sql("insert into change (position, subject, create_time) values ($1, $2, $3)");
        insert.bind(position).bind(*subject).bind(now).run().await?;
    }
    Ok(())
}

async fn changes(db: &Db, after: i64) -> Result<Vec<(i64, Uuid)>, Refusal> {
    let system = db.system("the change feed is the platform's");
    let select = system.sql("select position, subject from change where position > $1 order by position limit $2");
    Ok(select.bind(after).bind(IDS).all().await?)
}
