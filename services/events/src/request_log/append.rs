//! Keeping a batch: once, whole or not at all.

use super::{RequestLog, row::Row, strangers::Strangers};
use crate::{refusals, usage};
use contract::{
    Refusal,
    internal::v1::{AppendRequestsRequest, RequestRecord},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{MutexGuard, PoisonError},
};
use store::{Result, Tx, powers};
use uuid::Uuid;

impl RequestLog {
    /// Keeps a batch, unless it was kept before.
    ///
    /// # Errors
    /// The store's own, and `IDENTITY_UNAVAILABLE` as long as it is not known where the requests of strangers belong.
    pub(crate) async fn append(&self, batch: &AppendRequestsRequest) -> std::result::Result<(), Refusal> {
        let Ok(gateway) = Uuid::from_slice(&batch.gateway_id) else {
            tracing::error!(requests = batch.records.len(), "a batch without its gateway's id could count twice: it is left out");
            return Ok(());
        };
        let rows = self.rows(&batch.records).await?;
        let mut tx = self.db.system("a gateway tells of the requests of all groups").begin().await?;
        if !is_new(&mut tx, gateway, batch.batch).await? {
            return Ok(tx.undo().await?); // its first COMMIT is over
        }
        let refused = rows.iter().zip(&batch.records).filter_map(|(row, record)| self.refusal(row, record));
        refusals::gather(&mut tx, refused).await?;
        usage::count(&mut tx, &rows).await?;
        let mut kept: Vec<Row> = rows.into_iter().filter(|row| self.keeps(row)).collect();
        number(&mut tx, &mut kept).await?;
        insert(&mut tx, &kept).await?;
        Ok(tx.commit().await?)
    }

    async fn rows(&self, records: &[RequestRecord]) -> std::result::Result<Vec<Row>, Refusal> {
        let platform = if records.iter().any(is_nobodys) { Some(self.platform().await?) } else { None };
        Ok(records.iter().map(|record| Row::new(record, || platform.expect("it was asked for"))).collect())
    }

    /// All, but of strangers only some of what was refused.
    fn keeps(&self, row: &Row) -> bool {
        !row.is_strangers() || (!row.reason.is_empty() && self.strangers().keep(row.minute()))
    }

    fn refusal(&self, row: &Row, record: &RequestRecord) -> Option<refusals::Refused> {
        refusals::Refused::of(row, record, || self.strangers().address(row.minute(), &row.address))
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

/// Gives the rows of each group the next numbers. Groups are locked in the order of their ids, as by every other batch.
async fn number(tx: &mut Tx, rows: &mut [Row]) -> Result<()> {
    let mut counts = BTreeMap::<Uuid, i64>::new();
    for row in rows.iter() {
        *counts.entry(row.group_id).or_default() += 1;
    }
    let asked: Vec<(Uuid, i64)> = counts.iter().map(|(group, count)| (*group, *count)).collect();
    let mut last = HashMap::with_capacity(asked.len());
    for some in powers(&asked) {
        let moved: Vec<(Uuid, i64)> = tx
            .sql("insert into request_group (group_id, sequence) values ")
            .rows(some, 2, |sql, (group, count)| sql.bind(*group).bind(*count))
            .push(" on conflict (group_id) do update set sequence = request_group.sequence + excluded.sequence returning group_id, sequence")
            .all()
            .await?;
        last.extend(moved.into_iter().map(|(group, sequence)| (group, sequence - counts[&group])));
    }
    for row in rows {
        let last = last.get_mut(&row.group_id).expect("each group was just counted");
        *last += 1;
        row.sequence = *last;
    }
    Ok(())
}

async fn insert(tx: &mut Tx, rows: &[Row]) -> Result<()> {
    for some in powers(rows) {
        tx.sql(
            "insert into request (group_id, request_id, sequence, create_time, rpc, route, transport, code, reason, cost, latency, bytes_in, \
             bytes_out, address, user_agent, actor_kind, actor_id, key_id, home_group_id, asked_group_id, organisation_id, call_id, trace_id) \
             values ",
        )
        .rows(some, 23, |sql, row| {
            sql.bind(row.group_id)
                .bind(row.request_id)
                .bind(row.sequence)
                .bind(row.create_time)
                .bind(row.rpc.as_str())
                .bind(row.route.as_str())
                .bind(row.transport)
                .bind(row.code.as_str())
                .bind(row.reason.as_str())
                .bind(row.cost)
                .bind(row.latency)
                .bind(row.bytes_in)
                .bind(row.bytes_out)
                .bind(row.address.as_str())
                .bind(row.user_agent.as_str())
                .bind(row.actor_kind)
                .bind(row.actor_id)
                .bind(row.key_id)
                .bind(row.home_group_id)
                .bind(row.asked_group_id)
                .bind(row.organisation_id)
                .bind(row.call_id.as_str())
                .bind(row.trace_id.as_str())
        })
        .run()
        .await?;
    }
    Ok(())
}
