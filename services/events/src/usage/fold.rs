//! Moving counts: out of the recent minutes, into minutes, hours and days.

use super::{
    SPANS,
    counts::{Counts, MOVED, Of, add, start},
    sums::Sums,
};
use std::time::Duration;
use store::{At, Db, Record, Result, Row, Tx, sqlx};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// After the end of a minute its last requests are still on their way.
const LATE: Duration = Duration::from_secs(5);
/// How often it is looked whether a minute is over.
const LOOK: Duration = Duration::from_secs(1);
/// Counts that are moved in one transaction, about; each becomes three.
const SOME: i64 = 1_000;

/// A count as it is taken out.
struct Recent {
    group: Uuid,
    start: At,
    key: Uuid,
    rpc: String,
    route: String,
    code: String,
    sums: Sums,
}

impl Record for Recent {
    fn read(row: &Row<'_>) -> sqlx::Result<Self> {
        let (group, start, key) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Self { group, start, key, rpc: row.get(3)?, route: row.get(4)?, code: row.get(5)?, sums: Sums::read(row, 6)? })
    }
}

impl Recent {
    fn of(&self, span: i64) -> Of<'_> {
        Of { group: self.group, span, start: self.start, key: self.key, rpc: &self.rpc, route: &self.route, code: &self.code }.over(span)
    }
}

/// Moves each minute that is over, until `stop`.
pub(crate) async fn run(db: &Db, stop: &CancellationToken) {
    let mut moved = At::default();
    while stop.run_until_cancelled(sleep(LOOK)).await.is_some() {
        let over = start(At(db.clock().micros()).earlier(LATE), SPANS[0]);
        if over == moved {
            continue;
        }
        match stop.run_until_cancelled(fold(db, over)).await {
            Some(Ok(())) => moved = over,
            Some(Err(error)) => tracing::warn!(%error, "counts of requests stay where they are for now"),
            None => {}
        }
    }
}

/// Moves all minutes that began before that time. Replicas may do so at once: what the other took is gone.
pub(crate) async fn fold(db: &Db, before: At) -> Result<()> {
    loop {
        let mut tx = db.system("requests of all groups are counted").begin().await?;
        hold_back(&mut tx).await?;
        let far: Option<(At, Uuid)> = tx
            .sql("select start_time, group_id from usage_recent where start_time < $1 order by start_time, group_id limit 1 offset $2")
            .bind(before)
            .bind(SOME)
            .opt()
            .await?;
        let recent = take(&mut tx, far.unwrap_or((At(before.0 - 1), Uuid::max()))).await?;
        let mut counts = Counts::new();
        for (of, sums) in recent.iter().flat_map(|recent| SPANS.map(|span| (recent.of(span), &recent.sums))) {
            counts.entry(of).or_default().add(sums);
        }
        add(&mut tx, MOVED, counts).await?;
        tx.commit().await?;
        if far.is_none() {
            return Ok(());
        }
    }
}

/// Makes batches wait: those that come late lock the same rows in another order. Each one first moves its gateway's number on.
async fn hold_back(tx: &mut Tx) -> Result<()> {
    tx.sql("update request_source set batch = batch where gateway_id >= $1").bind(Uuid::nil()).run().await.map(drop)
}

/// Takes out what stands up to that minute and group. One statement, so that nobody adds to what it read before it is gone.
async fn take(tx: &mut Tx, (start, group): (At, Uuid)) -> Result<Vec<Recent>> {
    tx.sql(
        "delete from usage_recent where (start_time, group_id) <= ($1, $2) \
         returning group_id, start_time, key_id, rpc, route, code, requests, cost, latency, bytes_in, bytes_out, \
         bucket_0, bucket_1, bucket_2, bucket_3, bucket_4, bucket_5, bucket_6, bucket_7, bucket_8, bucket_9, bucket_10, bucket_11, \
         bucket_12, bucket_13, bucket_14, bucket_15",
    )
    .bind(start)
    .bind(group)
    .all()
    .await
}
