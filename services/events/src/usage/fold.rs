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
/// Counts that are moved in one transaction; each becomes three.
const SOME: usize = 1_000;

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
        let over = over(At(db.clock().micros()));
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

/// Minutes that began before are over.
fn over(now: At) -> At {
    start(now.earlier(LATE), SPANS[0])
}

/// Moves all minutes that began before that time. Replicas may do so at once: what the other took is gone.
pub(crate) async fn fold(db: &Db, before: At) -> Result<()> {
    let system = db.system("requests of all groups are counted");
    let looked = system.sql("select start_time from usage_recent where start_time < $1 order by start_time limit 1").bind(before);
    let mut more = looked.opt::<(At,)>().await?.is_some();
    while more {
        let mut tx = system.begin().await?;
        take_turns(&mut tx).await?;
        let recent = take(&mut tx, before).await?;
        let mut counts = Counts::new();
        for (of, sums) in recent.iter().flat_map(|recent| SPANS.map(|span| (recent.of(span), &recent.sums))) {
            counts.entry(of).or_default().add(sums);
        }
        add(&mut tx, MOVED, counts).await?;
        tx.commit().await?;
        more = recent.len() == SOME;
    }
    Ok(())
}

/// Waits for whoever moves counts now, if any of these minutes may be moved: both lock the same rows, each in its own order.
pub(super) async fn wait_if_late(tx: &mut Tx, counts: &Counts<'_>) -> Result<()> {
    let over = over(tx.now());
    if counts.keys().any(|of| of.start < over) {
        take_turns(tx).await?;
    }
    Ok(())
}

async fn take_turns(tx: &mut Tx) -> Result<()> {
    tx.sql("update usage_turn set turn = turn + 1 where name = $1").bind("recent").run().await.map(drop)
}

/// Takes some out. One statement, so that nobody adds to what it read before it is gone.
async fn take(tx: &mut Tx, before: At) -> Result<Vec<Recent>> {
    tx.sql(
        "delete from usage_recent where (group_id, span, start_time, key_id, rpc, route, code) in (\
         select group_id, span, start_time, key_id, rpc, route, code from usage_recent where start_time < $1 order by start_time, group_id limit $2) \
         returning group_id, start_time, key_id, rpc, route, code, requests, cost, latency, bytes_in, bytes_out, \
         bucket_0, bucket_1, bucket_2, bucket_3, bucket_4, bucket_5, bucket_6, bucket_7, bucket_8, bucket_9, bucket_10, bucket_11, \
         bucket_12, bucket_13, bucket_14, bucket_15",
    )
    .bind(before)
    .bind(SOME as i64)
    .all()
    .await
}
