use super::{
    House, group,
    house::bytes,
    reason, record,
    requests::{START, batch, kept},
    send,
};
use crate::usage::fold::fold;
use chassis::principal::Principal;
use contract::{
    Reason, Role, Scopes,
    events::v1::{GetUsageRequest, Usage, usage_service_client::UsageServiceClient},
    id::GroupId,
    internal::v1::RequestRecord,
    time::timestamp,
};
use prost_types::Duration;
use store::{
    At,
    testing::{Case, both},
};
use uuid::Uuid;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The hour before and the hour after.
pub(super) fn around(micros: i64) -> GetUsageRequest {
    GetUsageRequest { start_time: Some(timestamp(micros - HOUR)), end_time: Some(timestamp(micros + HOUR)), ..GetUsageRequest::default() }
}

async fn usage(house: &House, group: GroupId, asked: GetUsageRequest) -> Usage {
    house.usage_of(group).get_usage(asked).await.unwrap().into_inner()
}

fn took(millis: i32) -> Option<Duration> {
    Some(Duration { seconds: i64::from(millis / 1_000), nanos: millis % 1_000 * 1_000_000 })
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_minute_hour_and_day_alike() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        // Over three days, one every 20 minutes, in several batches: counts are added to, not written over.
        let times: Vec<i64> = (0..216).map(|n| START + n * HOUR / 3).collect();
        for some in times.chunks(50) {
            send(&house, some.iter().map(|at| RequestRecord { cost: 2, ..record(group, *at) }).collect()).await;
            fold(&case.db, At(some[15])).await.unwrap();
        }
        for (interval, spans, from, to) in
            [("minute", 72, START, START + DAY - MINUTE), ("hour", 72, START, START + 3 * DAY), ("day", 4, START, START + 3 * DAY)]
        {
            let asked = GetUsageRequest {
                interval: interval.to_owned(),
                start_time: Some(timestamp(from)),
                end_time: Some(timestamp(to)),
                ..GetUsageRequest::default()
            };
            let answer = usage(&house, group, asked).await;
            let total = answer.total.unwrap();
            let expected = if interval == "minute" { 72 } else { 216 };
            assert_eq!((total.count, total.cost, total.bytes_in, total.bytes_out), (expected, 2 * expected, 10 * expected, 200 * expected));
            assert_eq!((answer.spans.len(), answer.interval.as_str()), (spans, interval));
            assert!(answer.spans.is_sorted_by_key(|span| span.start_time.unwrap().seconds));
            assert_eq!(answer.spans.iter().map(|span| span.measures.as_ref().unwrap().count).sum::<i64>(), expected);
        }
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

/// A minute that is not over while a test runs: tomorrow, at twenty past twelve.
fn tomorrow(case: &Case) -> i64 {
    (case.clock.micros() / DAY + 1) * DAY + 12 * HOUR + 20 * MINUTE
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_that_is_over_is_moved() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        send(&house, vec![record(group, case.clock.micros())]).await;
        case.clock.advance(std::time::Duration::from_secs(66));
        let moved = async { while kept(case, "select count(*) from usage_recent").await > 0 {} };
        tokio::time::timeout(std::time::Duration::from_secs(60), moved).await.unwrap();
        assert_eq!(kept(case, "select count(*) from usage").await, 3);
        fold(&case.db, At(i64::MAX)).await.unwrap();
        assert_eq!(kept(case, "select turn from usage_turn").await, 1, "without counts to move nothing is written, nor by a batch in time");
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_the_same_before_and_after_they_are_moved() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let minute = tomorrow(case);
        let records = |late: i64| [vec![record(group, minute); 3], (0..late).map(|n| record(group, minute - n * HOUR / 2)).collect()].concat();
        let seen = async |interval: &str| {
            let range = (timestamp(minute - 2 * DAY), timestamp(minute + 1));
            let asked = GetUsageRequest { interval: interval.to_owned(), start_time: Some(range.0), end_time: Some(range.1), ..around(minute) };
            usage(&house, group, asked).await
        };
        // A range that ends before the requests of the hour in which it ends.
        let range = (timestamp(minute - 20 * MINUTE), timestamp(minute - 1));
        let ends_early = async |interval: &str| {
            let asked = GetUsageRequest { interval: interval.to_owned(), start_time: Some(range.0), end_time: Some(range.1), ..around(minute) };
            usage(&house, group, asked).await.total.unwrap().count
        };
        let recent = || kept(case, "select count(*) from usage_recent");
        send(&house, records(50)).await;
        let before = (seen("hour").await, seen("day").await);
        assert_eq!(before.0.total.as_ref().unwrap().count, 53);
        assert!(before.0.spans.is_sorted_by(|one, next| one.start_time.unwrap().seconds < next.start_time.unwrap().seconds), "each hour once");
        assert_eq!((ends_early("minute").await, ends_early("hour").await), (0, 4));
        assert!(recent().await >= 1, "a minute that is not over is not moved");
        for (until, left) in [(minute, 1), (minute + MINUTE, 0)] {
            fold(&case.db, At(until)).await.unwrap();
            assert_eq!((recent().await, (seen("hour").await, seen("day").await)), (left, before.clone()));
            assert_eq!((ends_early("minute").await, ends_early("hour").await), (0, 4));
        }
        send(&house, records(1_500)).await; // to the same hours, and more than are moved at once
        let first_day = (minute - 2 * DAY) / DAY * DAY;
        let count = 53 + 3 + (minute - first_day) / (HOUR / 2) + 1;
        for until in [minute, minute + MINUTE] {
            let answer = seen("day").await;
            assert_eq!((answer.total.unwrap().count, answer.spans.len()), (count, 3));
            fold(&case.db, At(until)).await.unwrap();
        }
        assert_eq!(recent().await, 0);
        house.end().await;
    })
    .await;
}

/// And neither a batch nor a move fails for the other's locks.
#[tokio::test(flavor = "multi_thread")]
async fn each_request_counts_once_while_counts_are_moved() {
    const GATEWAYS: u128 = 4;
    const BATCHES: i64 = 40;
    both(crate::MIGRATIONS, async |case| {
        let (house, groups) = (House::on(case), [group(), group(), group()]);
        let append = async |gateway: u128, number: i64| {
            let records = groups.iter().flat_map(|group| (0..10).map(|n| record(*group, START + n * MINUTE)));
            house.gateway().append_requests(batch(gateway, number, records.collect())).await.unwrap();
        };
        let ship = async |gateway: u128| {
            for number in 1..=BATCHES {
                append(gateway, number).await;
            }
        };
        let shipped = futures::future::join_all((1..=GATEWAYS).map(ship));
        let moved = async {
            loop {
                fold(&case.db, At(START + HOUR)).await.unwrap();
                for group in groups {
                    let count = |interval: &str| GetUsageRequest { interval: interval.to_owned(), ..around(START) };
                    let before = usage(&house, group, count("minute")).await.total.unwrap().count;
                    let after = usage(&house, group, count("day")).await.total.unwrap().count;
                    assert!(before <= after, "{before} of them became {after}");
                }
            }
        };
        tokio::select! { _ = shipped => {}, () = moved => {} }
        fold(&case.db, At(START + HOUR)).await.unwrap();
        for (group, interval) in groups.into_iter().zip(["minute", "hour", "day"]) {
            let total = usage(&house, group, GetUsageRequest { interval: interval.to_owned(), ..around(START) }).await.total.unwrap();
            assert_eq!(total.count, i64::try_from(GATEWAYS).unwrap() * BATCHES * 10, "{interval}");
        }
        assert_eq!(kept(case, "select count(*) from usage_recent").await, 0);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_counted_apart() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group, minute) = (House::on(case), group(), tomorrow(case));
        let records = (0..24).map(|n: i32| RequestRecord {
            key_id: bytes(Uuid::from_u128(100 + n as u128 % 2)),
            rpc: format!("rpc-{}", n % 3),
            route: format!("/rpc-{}", n % 3),
            code: if n % 4 == 0 { 5 } else { 0 },
            ..record(group, minute)
        });
        send(&house, records.collect()).await;
        for until in [minute, minute + MINUTE] {
            fold(&case.db, At(until)).await.unwrap(); // at first none of them
            for (dimensions, rows) in [
                (&[][..], 1),
                (&["key"], 2),
                (&["rpc"], 3),
                (&["route"], 3),
                (&["code"], 2),
                (&["rpc", "key"], 6),
                (&["key", "rpc", "route", "code"], 9),
            ] {
                let asked = GetUsageRequest { group_by: dimensions.iter().map(|word| (*word).to_owned()).collect(), ..around(minute) };
                let answer = usage(&house, group, asked).await;
                assert_eq!((answer.spans.len(), answer.total.unwrap().count), (rows, 24), "{dimensions:?}");
                for span in &answer.spans {
                    let told = [("key", &span.key_id), ("rpc", &span.rpc), ("route", &span.route), ("code", &span.code)];
                    assert!(told.iter().all(|(word, text)| text.is_empty() != dimensions.contains(word)), "{dimensions:?}: {span:?}");
                }
            }
            let key_id = Uuid::from_u128(100).to_string();
            for (asked, count) in [
                (GetUsageRequest { key_id: key_id.clone(), ..around(minute) }, 12),
                (GetUsageRequest { rpc: "rpc-1".to_owned(), ..around(minute) }, 8),
                (GetUsageRequest { code: "NOT_FOUND".to_owned(), ..around(minute) }, 6),
                (GetUsageRequest { key_id, rpc: "rpc-1".to_owned(), code: "NOT_FOUND".to_owned(), ..around(minute) }, 2),
                (GetUsageRequest { key_id: Uuid::nil().to_string(), ..around(minute) }, 0),
            ] {
                assert_eq!(usage(&house, group, asked.clone()).await.total.unwrap().count, count, "{asked:?}");
            }
        }
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn latencies_are_a_mean_buckets_and_percentiles() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        // 1, 2, …, 100 ms, and one of a minute.
        let mut records: Vec<RequestRecord> = (1..=100).map(|n| RequestRecord { latency_micros: n * 1_000, ..record(group, START) }).collect();
        send(&house, records.clone()).await;
        let total = usage(&house, group, around(START)).await.total.unwrap();
        assert_eq!(
            (total.average, total.p50, total.p95, total.p99),
            (Some(Duration { seconds: 0, nanos: 50_500_000 }), took(50), took(95), took(99))
        );
        assert_eq!(total.buckets, [0, 1, 1, 3, 5, 10, 30, 50, 0, 0, 0, 0, 0, 0, 0, 0]);
        records.truncate(1);
        records[0].latency_micros = MINUTE;
        send(&house, records).await;
        let answer = usage(&house, group, around(START)).await;
        assert_eq!(answer.bucket_bounds.len(), 15);
        assert_eq!((answer.total.unwrap().buckets[15], answer.spans.len()), (1, 1));
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_own_limits_come_with_it_as_the_gateway_tells_them() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let owner = Principal::test(group, Role::GroupOwner, Scopes::ALL);
        let own = owner.actor.key_id.unwrap().to_string();
        let mut client = UsageServiceClient::new(house.channel_for(owner));
        for (key_id, shown) in [(String::new(), true), (own, true), (Uuid::from_u128(7_777).to_string(), false)] {
            let mut asked = tonic::Request::new(GetUsageRequest { key_id, ..around(START) });
            asked.metadata_mut().insert("one-left", "minute=59@1700000040,organisation-day=7@1700006400".parse().unwrap());
            let limits = client.get_usage(asked).await.unwrap().into_inner().limits;
            let told: Vec<(&str, i64, i64)> = limits.iter().map(|of| (of.name.as_str(), of.remaining, of.reset_time.unwrap().seconds)).collect();
            let expected = [("minute", 59, 1_700_000_040), ("organisation-day", 7, 1_700_006_400)];
            assert_eq!(told, if shown { expected.to_vec() } else { Vec::new() });
        }
        house.end().await;
    })
    .await;
}

/// Each minute of a span that was not moved is a part of its own, and still it is one.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_ten_thousand_spans_at_most() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group, minute) = (House::on(case), group(), tomorrow(case));
        let of = |n: i64, at: i64| RequestRecord { rpc: format!("rpc-{n}"), route: format!("/rpc-{n}"), ..record(group, at) };
        send(&house, (0..20_000).map(|n| of(n % 10_000, minute + n / 10_000 * MINUTE)).collect()).await;
        let asked = GetUsageRequest { interval: "hour".to_owned(), group_by: vec!["rpc".to_owned()], ..around(minute) };
        let answer = usage(&house, group, asked.clone()).await;
        assert_eq!((answer.spans.len(), answer.total.unwrap().count), (10_000, 20_000));
        send(&house, vec![of(10_000, minute + 2 * MINUTE)]).await;
        for before in [minute, minute + HOUR] {
            fold(&case.db, At(before)).await.unwrap();
            assert_eq!(reason(&house.usage_of(group).get_usage(asked.clone()).await.unwrap_err()), Reason::InvalidField);
        }
        let one = GetUsageRequest { rpc: "rpc-10000".to_owned(), ..asked };
        assert_eq!(usage(&house, group, one).await.spans.len(), 1);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_is_too_long_or_none_is_refused() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let over = |interval: &str, length: i64| GetUsageRequest {
            interval: interval.to_owned(),
            start_time: Some(timestamp(START)),
            end_time: Some(timestamp(START + length)),
            ..GetUsageRequest::default()
        };
        for (interval, longest) in [("", DAY), ("minute", DAY), ("hour", 31 * DAY), ("day", 366 * DAY)] {
            assert!(house.usage_of(group).get_usage(over(interval, longest)).await.is_ok());
            for wrong in [over(interval, longest + 1), over(interval, 0), over(interval, -1)] {
                assert_eq!(reason(&house.usage_of(group).get_usage(wrong).await.unwrap_err()), Reason::InvalidField, "{interval}");
            }
        }
        for wrong in [over("week", DAY), GetUsageRequest { group_by: vec!["colour".to_owned()], ..around(START) }] {
            assert_eq!(reason(&house.usage_of(group).get_usage(wrong).await.unwrap_err()), Reason::InvalidField);
        }
        house.end().await;
    })
    .await;
}
