use super::{House, PLATFORM, group, house::bytes, record, send};
use crate::refusals::tell;
use contract::{
    Reason,
    events::v1::{Event, ListEventsRequest},
    id::GroupId,
    internal::v1::RequestRecord,
};
use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    time::Duration,
};
use store::testing::{Case, both};
use uuid::Uuid;

fn refused(group: GroupId, micros: i64, key: u128, reason: Reason) -> RequestRecord {
    RequestRecord {
        key_id: bytes(Uuid::from_u128(key)),
        reason: reason.into(),
        code: 7,
        refused_by: "organisation-minute".to_owned(),
        ..record(group, micros)
    }
}

fn octets(address: &str) -> bytes::Bytes {
    match address.parse().unwrap() {
        IpAddr::V4(four) => four.octets().to_vec().into(),
        IpAddr::V6(six) => six.octets().to_vec().into(),
    }
}

fn stranger(micros: i64, address: &str) -> RequestRecord {
    let nobody =
        RequestRecord { group_id: Default::default(), home_group_id: Default::default(), actor_id: Default::default(), ..record(PLATFORM, micros) };
    RequestRecord { key_id: Default::default(), reason: Reason::InvalidApiKey.into(), address: octets(address), ..nobody }
}

async fn told(house: &House, group: GroupId) -> Vec<Event> {
    let (mut all, mut asked) = (Vec::new(), ListEventsRequest { page_size: 1_000, ..ListEventsRequest::default() });
    loop {
        let page = house.of(group).list_events(asked.clone()).await.unwrap().into_inner();
        all.extend(page.events);
        if page.next_page_token.is_empty() {
            return all;
        }
        asked.page_token = page.next_page_token;
    }
}

/// A word, or a number as text, of an event.
fn word(event: &Event, name: &str) -> String {
    use prost_types::value::Kind;
    match event.metadata.as_ref().unwrap().fields.get(name).and_then(|value| value.kind.clone()) {
        Some(Kind::StringValue(text)) => text,
        Some(Kind::NumberValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The beginning of a minute that is over in a moment.
fn minute(case: &Case) -> i64 {
    case.clock.micros() / 60_000_000 * 60_000_000
}

async fn after_the_minute(case: &Case, house: &House) {
    case.clock.advance(Duration::from_secs(66));
    tell(&house.events.db, &house.events.log).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_refusals_is_one_event_with_a_count() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group, at) = (House::on(case), group(), minute(case));
        let mut records = Vec::new();
        for _ in 0..3 {
            records.push(refused(group, at, 1, Reason::RateLimited));
            records.push(refused(group, at - 3_600_000_000, 1, Reason::RateLimited)); // it had to wait
            records.push(refused(group, at, 1, Reason::InsufficientScopes));
            records.push(refused(group, at, 2, Reason::RateLimited));
            records.push(refused(group, at, 2, Reason::KeyRevoked));
            records.push(refused(group, at, 2, Reason::ThingNotFound)); // nobody's business
        }
        send(&house, records.clone()).await;
        send(&house, records.clone()).await;
        tell(&house.events.db, &house.events.log).await.unwrap();
        assert!(told(&house, group).await.is_empty(), "the minute is not over");
        after_the_minute(case, &house).await;
        let first = told(&house, group).await;
        send(&house, records).await;
        after_the_minute(case, &house).await;
        let events = told(&house, group).await;
        let counts = |events: &[Event]| {
            let mut counts = BTreeMap::<_, f64>::new();
            for event in events {
                let of = (event.r#type.clone(), word(event, "reason"), word(event, "keyId"));
                *counts.entry(of).or_default() += word(event, "count").parse::<f64>().unwrap();
            }
            counts
        };
        let of = |times: f64| {
            let of =
                |kind: &str, reason: &str, key, count: f64| ((kind.to_owned(), reason.to_owned(), Uuid::from_u128(key).to_string()), count * times);
            BTreeMap::from([
                of("api_auth_failed", "KEY_REVOKED", 2, 3.0),
                of("api_scope_denied", "INSUFFICIENT_SCOPES", 1, 3.0),
                of("quota_exceeded", "RATE_LIMITED", 1, 6.0),
                of("quota_exceeded", "RATE_LIMITED", 2, 3.0),
            ])
        };
        assert_eq!((counts(&first), counts(&events)), (of(2.0), of(3.0)), "none is counted twice or not at all");
        assert!(first.len() <= 8, "one for each in a minute, and it may have ended between the batches");
        let denied = events.iter().find(|event| event.r#type == "api_scope_denied").unwrap();
        assert_eq!((word(denied, "requiredScope").as_str(), word(denied, "endpoint").as_str()), ("things:read", super::requests::GET));
        let limited = events.iter().find(|event| event.r#type == "quota_exceeded").unwrap();
        assert_eq!((word(limited, "limitType").as_str(), word(limited, "limit").as_str()), ("minute", "organisation-minute"));
        assert_eq!((limited.target.clone().unwrap().kind, limited.actor.clone().unwrap().id), ("key".to_owned(), word(limited, "keyId")));
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_is_not_told_again() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group, at) = (House::on(case), group(), minute(case));
        send(&house, vec![refused(group, at, 1, Reason::RateLimited)]).await;
        // Replicas that tell the same minute.
        case.clock.advance(Duration::from_secs(66));
        let tell = async || tell(&house.events.db, &house.events.log).await.unwrap();
        tokio::join!(tell(), tell(), tell());
        tell().await;
        assert_eq!(told(&house, group).await.len(), 1);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_of_by_address_in_the_platforms_log_and_not_without_end() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group, at) = (House::on(case), group(), minute(case));
        house.tell(&[]).await;
        let networks = (0..50).map(|n| stranger(at, &format!("2001:db8:0:1::{n:x}")));
        send(&house, networks.chain([stranger(at, "192.0.2.1"), stranger(at, "192.0.2.2"), stranger(at, "192.0.2.1")]).collect()).await;
        after_the_minute(case, &house).await;
        let events = told(&house, PLATFORM).await;
        let mut counts: Vec<(String, String)> = events.iter().map(|event| (word(event, "ipAddress"), word(event, "count"))).collect();
        counts.sort();
        let expected = [("192.0.2.1", "2"), ("192.0.2.2", "1"), ("2001:db8:0:1::0", "50")];
        assert_eq!(
            counts.iter().map(|(address, count)| (address.as_str(), count.as_str())).collect::<Vec<_>>(),
            expected.map(|(a, c)| (if a.ends_with("::0") { counts[2].0.as_str() } else { a }, c))
        );
        assert!(events.iter().all(|event| event.r#type == "api_auth_failed" && event.target.as_ref().unwrap().kind == "group"));
        let at = minute(case);
        send(&house, (0..2_500).map(|n| stranger(at, &format!("10.1.{}.{}", n / 250, n % 250))).collect()).await;
        after_the_minute(case, &house).await;
        let events = told(&house, PLATFORM).await;
        let addresses: HashSet<String> = events.iter().map(|event| word(event, "ipAddress")).filter(|address| address.starts_with("10.")).collect();
        // And one for all others, or two if the minute ended between the batches.
        assert!((1_001..=1_002).contains(&addresses.len()), "{}", addresses.len());
        assert!(told(&house, group).await.is_empty());
        house.end().await;
    })
    .await;
}
