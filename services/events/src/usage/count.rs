//! Adding a batch to the counts.

use super::{SPANS, sums::Sums};
use crate::request_log::{Row, code, route};
use std::collections::BTreeMap;
use store::{At, Result, Tx, powers};
use uuid::Uuid;

/// What is counted apart; in the order of the table's key, in which rows are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Of<'r> {
    group: Uuid,
    span: i64,
    start: At,
    key: Uuid,
    rpc: &'r str,
    route: &'r str,
    code: &'r str,
}

impl<'r> Of<'r> {
    fn new(row: &'r Row) -> Self {
        let (group, key, record) = (row.group_id, row.key_id, &row.record);
        Self { group, span: 0, start: row.time(), key, rpc: &record.rpc, route: &record.route, code: code(record) }.over(SPANS[0])
    }

    fn over(self, span: i64) -> Self {
        Self { span, start: At(self.start.0 - self.start.0.rem_euclid(span)), ..self }
    }
}

/// Adds these requests to their minutes, hours and days.
pub(crate) async fn count(tx: &mut Tx, rows: &[Row]) -> Result<()> {
    let mut minutes = BTreeMap::<Of<'_>, Sums>::new();
    for row in rows {
        minutes.entry(Of::new(row)).or_default().count(row);
    }
    let mut sums = BTreeMap::<Of<'_>, Sums>::new();
    for (of, counted) in minutes.iter().flat_map(|(of, counted)| SPANS.map(|span| (of.over(span), counted))) {
        sums.entry(of).or_default().add(counted);
    }
    let sums: Vec<(Of<'_>, Sums)> = sums.into_iter().collect();
    for some in powers(&sums) {
        add(tx, some).await?;
    }
    Ok(())
}

async fn add(tx: &mut Tx, sums: &[(Of<'_>, Sums)]) -> Result<()> {
    tx.sql(
        "insert into usage (group_id, span, start_time, key_id, rpc, route, code, requests, cost, latency, bytes_in, bytes_out, \
             bucket_0, bucket_1, bucket_2, bucket_3, bucket_4, bucket_5, bucket_6, bucket_7, bucket_8, bucket_9, bucket_10, bucket_11, \
             bucket_12, bucket_13, bucket_14, bucket_15) values ",
    )
    .rows(sums, 28, |sql, (of, sums)| {
        let sql = sql.bind(of.group).bind(of.span).bind(of.start).bind(of.key).bind(of.rpc).bind(route(of.rpc, of.route).into_owned()).bind(of.code);
        let sql = sql.bind(sums.requests).bind(sums.cost).bind(sums.latency).bind(sums.bytes_in).bind(sums.bytes_out);
        sums.buckets.iter().fold(sql, |sql, held| sql.bind(*held))
    })
    .push(
        " on conflict (group_id, span, start_time, key_id, rpc, route, code) do update set \
             requests = usage.requests + excluded.requests, cost = usage.cost + excluded.cost, \
             latency = usage.latency + excluded.latency, bytes_in = usage.bytes_in + excluded.bytes_in, \
             bytes_out = usage.bytes_out + excluded.bytes_out, bucket_0 = usage.bucket_0 + excluded.bucket_0, \
             bucket_1 = usage.bucket_1 + excluded.bucket_1, bucket_2 = usage.bucket_2 + excluded.bucket_2, \
             bucket_3 = usage.bucket_3 + excluded.bucket_3, bucket_4 = usage.bucket_4 + excluded.bucket_4, \
             bucket_5 = usage.bucket_5 + excluded.bucket_5, bucket_6 = usage.bucket_6 + excluded.bucket_6, \
             bucket_7 = usage.bucket_7 + excluded.bucket_7, bucket_8 = usage.bucket_8 + excluded.bucket_8, \
             bucket_9 = usage.bucket_9 + excluded.bucket_9, bucket_10 = usage.bucket_10 + excluded.bucket_10, \
             bucket_11 = usage.bucket_11 + excluded.bucket_11, bucket_12 = usage.bucket_12 + excluded.bucket_12, \
             bucket_13 = usage.bucket_13 + excluded.bucket_13, bucket_14 = usage.bucket_14 + excluded.bucket_14, \
             bucket_15 = usage.bucket_15 + excluded.bucket_15",
    )
    .run()
    .await
    .map(drop)
}
