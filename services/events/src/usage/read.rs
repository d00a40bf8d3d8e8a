//! Reading the counts.

use super::{SPANS, counts::start, latency::BOUNDS, sums::Sums};
use crate::request_log::{RequestLog, duration, text};
use contract::{
    Reason, Refusal,
    events::v1::{GetUsageRequest, Usage, UsageSpan},
    id::GroupId,
    time::{micros, timestamp},
};
use store::{At, Record, Row, sqlx};
use uuid::Uuid;

/// Spans in an answer.
const MOST: usize = 10_000;
/// Of which some may be told by the minute.
const PARTS: usize = 2 * MOST;
/// Counts that are added up for an answer.
const EXAMINED: i64 = 200_000;
const DAY: i64 = SPANS[2];

/// How long each span is, how far a range may reach, and how far it does where nobody says.
struct Interval {
    word: &'static str,
    span: i64,
    longest: i64,
    usual: i64,
}

static INTERVALS: [Interval; 3] = [
    Interval { word: "minute", span: SPANS[0], longest: DAY, usual: SPANS[1] },
    Interval { word: "hour", span: SPANS[1], longest: 31 * DAY, usual: DAY },
    Interval { word: "day", span: SPANS[2], longest: 366 * DAY, usual: 30 * DAY },
];

/// A span as the statement gives it.
struct Span {
    start: At,
    key: Uuid,
    rpc: String,
    route: String,
    code: String,
    /// How many counts were added up.
    examined: i64,
    sums: Sums,
}

impl Record for Span {
    fn read(row: &Row<'_>) -> sqlx::Result<Self> {
        let (start, key, rpc, route, code) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(Self { start, key, rpc, route, code, examined: row.get(5)?, sums: Sums::read(row, 6)? })
    }
}

impl Span {
    fn of(&self) -> (At, Uuid, &str, &str, &str) {
        (self.start, self.key, &self.rpc, &self.route, &self.code)
    }

    fn message(&self) -> UsageSpan {
        UsageSpan {
            start_time: Some(timestamp(self.start.0)),
            key_id: text(self.key),
            rpc: self.rpc.clone(),
            route: self.route.clone(),
            code: self.code.clone(),
            measures: Some(self.sums.measures()),
        }
    }
}

/// Where the spans begin and end that were asked for: from the one the start falls into, to the last that begins before the end.
fn range(interval: &Interval, asked: &GetUsageRequest, now: i64) -> Result<(At, At), Refusal> {
    let end = asked.end_time.as_ref().and_then(micros).unwrap_or(now);
    let from = asked.start_time.as_ref().and_then(micros).unwrap_or_else(|| end.saturating_sub(interval.usual));
    let refused = |sentence: String| Err(Refusal::new(Reason::InvalidField, sentence.clone()).field("start_time", sentence));
    if from >= end {
        return refused("start_time must be before end_time".to_owned());
    }
    if end - from > interval.longest {
        let days = interval.longest / DAY;
        return refused(format!("a range by {} is at most {days} days long; ask for a shorter one, or by a longer interval", interval.word));
    }
    Ok((start(At(from), interval.span), At(start(At(end - 1), interval.span).0 + interval.span)))
}

impl RequestLog {
    /// What was counted of this group's requests.
    pub(crate) async fn usage(&self, group: GroupId, asked: &GetUsageRequest) -> Result<Usage, Refusal> {
        let interval = INTERVALS.iter().find(|interval| interval.word == asked.interval).unwrap_or(&INTERVALS[0]);
        let (start, end) = range(interval, asked, self.db.clock().micros())?;
        let mut spans = self.spans(group, interval.span, (start, end), asked).await?;
        let parts = spans.len();
        let examined = spans.iter().map(|span| span.examined).sum::<i64>();
        gather(&mut spans, interval.span);
        if parts > PARTS || spans.len() > MOST || examined > EXAMINED {
            let sentence = "there is too much to count in this range; ask for a shorter one, by a longer interval, or for one key or rpc";
            return Err(Refusal::new(Reason::InvalidField, sentence).field("start_time", sentence));
        }
        let mut total = Sums::default();
        spans.iter().for_each(|span| total.add(&span.sums));
        Ok(Usage {
            group_id: group.to_string(),
            interval: interval.word.to_owned(),
            spans: spans.iter().map(Span::message).collect(),
            total: Some(total.measures()),
            bucket_bounds: BOUNDS.iter().map(|bound| duration(*bound)).collect(),
            limits: Vec::new(),
        })
    }

    /// Of spans that have not ended there may be parts, by the minute.
    async fn spans(&self, group: GroupId, span: i64, (start, end): (At, At), asked: &GetUsageRequest) -> store::Result<Vec<Span>> {
        let apart = |dimension: &str| asked.group_by.iter().any(|word| word == dimension);
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        self.db
            .group(group)
            .sql(
                "select start_time, key_id, rpc, route, code, count(*), cast(sum(requests) as bigint), cast(sum(cost) as bigint), \
             cast(sum(latency) as bigint), cast(sum(bytes_in) as bigint), cast(sum(bytes_out) as bigint), \
             cast(sum(bucket_0) as bigint), cast(sum(bucket_1) as bigint), cast(sum(bucket_2) as bigint), \
             cast(sum(bucket_3) as bigint), cast(sum(bucket_4) as bigint), cast(sum(bucket_5) as bigint), \
             cast(sum(bucket_6) as bigint), cast(sum(bucket_7) as bigint), cast(sum(bucket_8) as bigint), \
             cast(sum(bucket_9) as bigint), cast(sum(bucket_10) as bigint), cast(sum(bucket_11) as bigint), \
             cast(sum(bucket_12) as bigint), cast(sum(bucket_13) as bigint), cast(sum(bucket_14) as bigint), \
             cast(sum(bucket_15) as bigint) from (\
             select start_time, case when $1 then key_id else $2 end as key_id, case when $3 then rpc else '' end as rpc, \
             case when $4 then route else '' end as route, case when $5 then code else '' end as code, \
             requests, cost, latency, bytes_in, bytes_out, bucket_0, bucket_1, bucket_2, bucket_3, bucket_4, bucket_5, bucket_6, \
             bucket_7, bucket_8, bucket_9, bucket_10, bucket_11, bucket_12, bucket_13, bucket_14, bucket_15 \
             from (select * from usage where span = $7 union all select * from usage_recent where span = $10) page \
             where group_id = $6 and start_time >= $8 and start_time < $9",
            )
            .bind(apart("key"))
            .bind(Uuid::nil())
            .bind(apart("rpc"))
            .bind(apart("route"))
            .bind(apart("code"))
            .bind(group)
            .bind(span)
            .bind(start)
            .bind(end)
            .bind(SPANS[0])
            .when(" and key_id =", Uuid::try_parse(&asked.key_id).ok())
            .when(" and rpc =", some(&asked.rpc))
            .when(" and code =", some(&asked.code))
            .push(" limit 200001) page group by start_time, key_id, rpc, route, code limit 20001")
            .all()
            .await
    }
}

/// Puts together what belongs to one span, and all in order.
fn gather(spans: &mut Vec<Span>, length: i64) {
    spans.iter_mut().for_each(|span| span.start = start(span.start, length));
    spans.sort_by(|one, other| one.of().cmp(&other.of()));
    spans.dedup_by(|next, span| {
        let same = next.of() == span.of();
        if same {
            span.sums.add(&next.sums);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_range_is_of_whole_spans() {
        let minute = SPANS[0];
        let asked = |start: Option<i64>, end: Option<i64>| GetUsageRequest {
            start_time: start.map(timestamp),
            end_time: end.map(timestamp),
            ..GetUsageRequest::default()
        };
        let now = 1_000 * DAY + 90 * minute + 30;
        for (interval, start, end, expected) in [
            (&INTERVALS[0], None, None, (now - 60 * minute - 30, now + minute - 30)),
            (&INTERVALS[1], None, None, (999 * DAY + 60 * minute, 1_000 * DAY + 120 * minute)),
            (&INTERVALS[2], None, None, (970 * DAY, 1_001 * DAY)),
            (&INTERVALS[0], Some(now - 1), None, (now - 30, now + minute - 30)),
            (&INTERVALS[0], None, Some(DAY), (DAY - 60 * minute, DAY)),
            (&INTERVALS[0], None, Some(DAY + 1), (DAY - 60 * minute, DAY + minute)),
        ] {
            assert_eq!(range(interval, &asked(start, end), now).unwrap(), (At(expected.0), At(expected.1)), "{}", interval.word);
        }
        for (interval, start, end) in [(0, now, now), (0, now + 1, now), (0, now - DAY - 1, now), (1, now - 31 * DAY - 1, now), (2, 0, 367 * DAY)] {
            let refused = range(&INTERVALS[interval], &asked(Some(start), Some(end)), now).unwrap_err();
            assert_eq!(refused.reason(), Reason::InvalidField);
        }
    }
}
