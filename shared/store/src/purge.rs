//! Forgets answers whose day is over.

use crate::{At, Db, Result, db::Shared};
use std::{sync::Weak, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often it looks.
const PAUSE: Duration = Duration::from_secs(60);
/// Rows a transaction: small, for writers wait behind it.
const BATCH: i64 = 500;

/// Until the store is closed or dropped.
pub(crate) async fn run(shared: Weak<Shared>, closing: CancellationToken) {
    while closing.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some() {
        let Some(db) = shared.upgrade().map(Db) else { return };
        if let Err(error) = db.purge().await {
            tracing::warn!(%error, "purge of remembered answers");
        }
    }
}

impl Db {
    /// Forgets all answers that are older than a day; tells how many.
    pub(crate) async fn purge(&self) -> Result<u64> {
        let mut gone = 0;
        loop {
            let some = self.purge_some(At(self.0.clock.micros())).await?;
            gone += some;
            if some < BATCH.unsigned_abs() {
                return Ok(gone);
            }
        }
    }

    async fn purge_some(&self, now: At) -> Result<u64> {
        let system = self.system("remembered answers are forgotten over all tenants");
        let due: Option<(At,)> = system.sql("select expire_time from remembered where expire_time < $1 limit 1").bind(now).opt().await?;
        if due.is_none() {
            return Ok(0); // an idle house writes nothing
        }
        let mut tx = system.begin().await?;
        let gone = tx
            .sql(
                "delete from remembered where (group_id, request) in
                 (select group_id, request from remembered where expire_time < $1 order by expire_time limit $2)",
            )
            .bind(now)
            .bind(BATCH)
            .run()
            .await?;
        tx.commit().await?;
        Ok(gone)
    }
}
