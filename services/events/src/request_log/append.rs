//! Keeping a batch: once, whole or not at all.

use super::{RequestLog, block, row::Row, shown::address, strangers::Strangers};
use crate::{refusals, usage};
use contract::{
    Refusal,
    internal::v1::{AppendRequestsRequest, RequestRecord},
};
use std::sync::{MutexGuard, PoisonError};
use store::{Result, Tx};
use uuid::Uuid;

impl RequestLog {
    /// Keeps a batch, unless it was kept before.
    ///
    /// # Errors
    /// The store's own, and `IDENTITY_UNAVAILABLE` as long as it is not known where the requests of strangers belong.
    pub(crate) async fn append(&self, batch: AppendRequestsRequest) -> std::result::Result<(), Refusal> {
        let Ok(gateway) = Uuid::from_slice(&batch.gateway_id) else {
            tracing::error!(requests = batch.records.len(), "a batch without its gateway's id could count twice: it is left out");
            return Ok(());
        };
        let rows = self.rows(batch.records).await?;
        let mut tx = self.db.system("a gateway tells of the requests of all groups").begin().await?;
        if !is_new(&mut tx, gateway, batch.batch).await? {
            return Ok(tx.undo().await?); // its first COMMIT is over
        }
        let refused = rows.iter().filter_map(|row| self.refusal(row));
        refusals::gather(&mut tx, refused).await?;
        usage::count(&mut tx, &rows).await?;
        let kept = rows.into_iter().filter(|row| self.keeps(row)).collect();
        block::insert(&mut tx, kept).await?;
        Ok(tx.commit().await?)
    }

    async fn rows(&self, records: Vec<RequestRecord>) -> std::result::Result<Vec<Row>, Refusal> {
        let platform = if records.iter().any(is_nobodys) { Some(self.platform().await?) } else { None };
        Ok(records.into_iter().map(|record| Row::new(record, || platform.expect("it was asked for"))).collect())
    }

    /// All, but of strangers only some of what was refused.
    fn keeps(&self, row: &Row) -> bool {
        !row.is_strangers() || (row.record.reason != 0 && self.strangers().keep(row.minute()))
    }

    fn refusal(&self, row: &Row) -> Option<refusals::Refused> {
        refusals::Refused::of(row, || self.strangers().address(row.minute(), &address(&row.record.address)))
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_nobodys(record: &RequestRecord) -> bool {
    record.group_id.is_empty() && record.home_group_id.is_empty()
}

/// Moves the gateway's number on. Its row is locked to the end of the transaction: a second copy of the batch waits here, and then finds it
/// counted.
async fn is_new(tx: &mut Tx, gateway: Uuid, batch: i64) -> Result<bool> {
    let now = tx.now();
    let moved = tx
        .sql(
            "insert into request_source (gateway_id, batch, update_time) values ($1, $2, $3)
             on conflict (gateway_id) do update set batch = excluded.batch, update_time = excluded.update_time
             where request_source.batch < excluded.batch",
        )
        .bind(gateway)
        .bind(batch)
        .bind(now)
        .run()
        .await?;
    Ok(moved == 1)
}
