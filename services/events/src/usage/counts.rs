//! Counts, and the two tables they stand in. Both have the same columns.

use super::{SPANS, sums::Sums};
use crate::request_log::{Row, code, route};
use std::collections::BTreeMap;
use store::{At, Result, Tx, powers};
use uuid::Uuid;

/// Minutes that have not been moved.
pub(super) const RECENT: &str = "insert into usage_recent";
/// Minutes, hours and days.
pub(super) const MOVED: &str = "insert into usage";

/// Sums by what is counted apart.
pub(super) type Counts<'r> = BTreeMap<Of<'r>, Sums>;

/// What is counted apart; in the order of the tables' key, in which rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Of<'r> {
    pub(super) group: Uuid,
    pub(super) span: i64,
    pub(super) start: At,
    pub(super) key: Uuid,
    pub(super) rpc: &'r str,
    pub(super) route: &'r str,
    pub(super) code: &'r str,
}

impl<'r> Of<'r> {
    /// The minute of a request.
    pub(super) fn new(row: &'r Row) -> Self {
        let (group, key, record) = (row.group_id, row.key_id, &row.record);
        Self { group, span: 0, start: row.time(), key, rpc: &record.rpc, route: &record.route, code: code(record) }.over(SPANS[0])
    }

    /// The span of that length that it lies in.
    pub(super) fn over(self, span: i64) -> Self {
        Self { span, start: start(self.start, span), ..self }
    }
}

/// Of the span that a time falls into.
pub(super) fn start(at: At, span: i64) -> At {
    At(at.0 - at.0.rem_euclid(span))
}

/// Adds them to what stands in that table.
pub(super) async fn add(tx: &mut Tx, insert: &'static str, counts: Counts<'_>) -> Result<()> {
    let counts: Vec<(Of<'_>, Sums)> = counts.into_iter().collect();
    for some in powers(&counts) {
        tx.sql(insert)
            .push(
                " as known (group_id, span, start_time, key_id, rpc, route, code, requests, cost, latency, bytes_in, bytes_out, \
                 bucket_0, bucket_1, bucket_2, bucket_3, bucket_4, bucket_5, bucket_6, bucket_7, bucket_8, bucket_9, bucket_10, bucket_11, \
                 bucket_12, bucket_13, bucket_14, bucket_15) values ",
            )
            .rows(some, 28, |sql, (of, sums)| {
                let sql = sql.bind(of.group).bind(of.span).bind(of.start).bind(of.key).bind(of.rpc).bind(route(of.rpc, of.route).into_owned());
                let sql = sql.bind(of.code).bind(sums.requests).bind(sums.cost).bind(sums.latency).bind(sums.bytes_in).bind(sums.bytes_out);
                sums.buckets.iter().fold(sql, |sql, held| sql.bind(*held))
            })
            .push(
                " on conflict (group_id, span, start_time, key_id, rpc, route, code) do update set \
                 requests = known.requests + excluded.requests, cost = known.cost + excluded.cost, \
                 latency = known.latency + excluded.latency, bytes_in = known.bytes_in + excluded.bytes_in, \
                 bytes_out = known.bytes_out + excluded.bytes_out, bucket_0 = known.bucket_0 + excluded.bucket_0, \
                 bucket_1 = known.bucket_1 + excluded.bucket_1, bucket_2 = known.bucket_2 + excluded.bucket_2, \
                 bucket_3 = known.bucket_3 + excluded.bucket_3, bucket_4 = known.bucket_4 + excluded.bucket_4, \
                 bucket_5 = known.bucket_5 + excluded.bucket_5, bucket_6 = known.bucket_6 + excluded.bucket_6, \
                 bucket_7 = known.bucket_7 + excluded.bucket_7, bucket_8 = known.bucket_8 + excluded.bucket_8, \
                 bucket_9 = known.bucket_9 + excluded.bucket_9, bucket_10 = known.bucket_10 + excluded.bucket_10, \
                 bucket_11 = known.bucket_11 + excluded.bucket_11, bucket_12 = known.bucket_12 + excluded.bucket_12, \
                 bucket_13 = known.bucket_13 + excluded.bucket_13, bucket_14 = known.bucket_14 + excluded.bucket_14, \
                 bucket_15 = known.bucket_15 + excluded.bucket_15",
            )
            .run()
            .await?;
    }
    Ok(())
}
