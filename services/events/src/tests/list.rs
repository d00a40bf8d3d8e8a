use super::{House, event, group, house::bytes, reason};
use contract::{
    Reason,
    events::v1::{Event, ListEventsRequest, watch_events_request::From},
    id::GroupId,
    internal::v1::LogEvent,
};
use store::testing::both;
use tonic::Status;
use uuid::Uuid;

const TYPES: [&str; 3] = ["entity_created", "entity_updated", "group_created"];
const KINDS: [&str; 2] = ["thing", "group"];
/// 2023-11-14T22:13:20Z
const START: i64 = 1_700_000_000_000_000;
const COUNT: i64 = 60;

/// The `n`th event: three types, four actors, five targets, two kinds, two events a millisecond.
fn mixed(group: GroupId, n: i64) -> LogEvent {
    let place = usize::try_from(n).unwrap();
    let id = |base: u128, of: i64| bytes(Uuid::from_u128(base + u128::try_from(n % of).unwrap()));
    LogEvent {
        r#type: TYPES[place % 3].to_owned(),
        actor_id: id(100, 4),
        target_id: id(200, 5),
        target_kind: KINDS[place % 2].to_owned(),
        ..event(group, START + n * 500)
    }
}

fn all(group: GroupId) -> Vec<LogEvent> {
    (0..COUNT).map(|n| mixed(group, n)).collect()
}

async fn page(house: &House, group: GroupId, request: ListEventsRequest) -> Result<(Vec<Event>, String), Status> {
    let answer = house.of(group).list_events(request).await?.into_inner();
    Ok((answer.events, answer.next_page_token))
}

/// All pages.
async fn list(house: &House, group: GroupId, mut request: ListEventsRequest) -> Vec<Event> {
    let mut found = Vec::new();
    loop {
        let (events, next) = page(house, group, request.clone()).await.unwrap();
        assert!(events.len() <= 7 || request.page_size != 7);
        found.extend(events);
        if next.is_empty() {
            return found;
        }
        request.page_token = next;
    }
}

fn sequences(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.sequence).collect()
}

fn filtered(filter: &str) -> ListEventsRequest {
    ListEventsRequest { filter: filter.to_owned(), page_size: 7, ..ListEventsRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_each_event_once_newest_or_oldest_first() {
    both(crate::MIGRATIONS, async |case| {
        let (house, ours, theirs) = (House::on(case), group(), group());
        house.append(all(theirs)).await;
        house.append(all(ours)).await;
        let request = |order_by: &str| ListEventsRequest { order_by: order_by.to_owned(), ..filtered("") };
        let newest = list(&house, ours, request("")).await;
        assert_eq!(newest.len(), usize::try_from(COUNT).unwrap());
        assert!(newest.iter().all(|event| event.group_id == ours.to_string()));
        assert!(newest.is_sorted_by(|a, b| a.id > b.id), "an id is its time");
        assert!(newest.is_sorted_by(|a, b| millis(a) >= millis(b)));
        let oldest = list(&house, ours, request("create_time")).await;
        assert!(oldest.iter().rev().eq(&newest));
        assert_eq!(list(&house, ours, request("create_time desc")).await, newest);
        assert_eq!(page(&house, ours, ListEventsRequest::default()).await.unwrap().0, newest[..50]);
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

fn millis(event: &Event) -> i64 {
    contract::time::micros(event.create_time.as_ref().unwrap()).unwrap() / 1000
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_and_a_watch_understand_a_filter_alike() {
    type Expected = fn(i64) -> bool;
    let actor = Uuid::from_u128(101);
    let target = Uuid::from_u128(203);
    let cases: Vec<(String, Expected)> = vec![
        (String::new(), |_| true),
        (r#"type = "entity_created""#.into(), |n| n % 3 == 0),
        ("type = thing_created".into(), |n| n % 3 == 0), // an alias
        ("type != entity_created".into(), |n| n % 3 != 0),
        (r#"type : "created""#.into(), |n| n % 3 != 1),
        (r#"type > "entity_created""#.into(), |n| n % 3 != 0),
        (r#"type <= "entity_updated" AND NOT target_kind = "thing""#.into(), |n| n % 3 < 2 && n % 2 == 1),
        (format!(r#"actor_id = "{actor}""#), |n| n % 4 == 1),
        (format!("actor_id = {actor} OR target_id = {target}"), |n| n % 4 == 1 || n % 5 == 3),
        (format!(r#"target_id != "{target}" type = group_created"#), |n| n % 5 != 3 && n % 3 == 2),
        (format!(r#"-(target_id = "{target}")"#), |n| n % 5 != 3),
        ("actor_id = null".into(), |_| false),
        ("actor_id:*".into(), |_| true),
        (r#"create_time > "2023-11-14T22:13:20.010Z""#.into(), |n| n > 20),
        (r#"create_time >= "2023-11-14T22:13:20.010Z""#.into(), |n| n >= 20),
        ("create_time < 2023-11-14T22:13:20.0105Z".into(), |n| n < 21),
        ("create_time <= 2023-11-14T22:13:20.0105Z".into(), |n| n <= 21),
        (r#"create_time = "2023-11-14T22:13:20.0105Z""#.into(), |n| n == 21),
        (r#"create_time != "2023-11-14T22:13:20.0105Z""#.into(), |n| n != 21),
        (r#"type = "entity_updated" AND create_time >= "2023-11-14T22:13:20.010Z" AND create_time < "2023-11-14T22:13:20.020Z""#.into(), |n| {
            n % 3 == 1 && (20..40).contains(&n)
        }),
        (r#"type = "'; drop table event; --""#.into(), |_| false),
    ];
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append(all(group)).await;
        for (filter, holds) in &cases {
            let expected: Vec<i64> = (0..COUNT).filter(|n| holds(*n)).map(|n| n + 1).collect();
            let mut listed = sequences(&list(&house, group, filtered(filter)).await);
            listed.sort_unstable();
            assert_eq!(listed, expected, "list {filter}");
            let mut watch = house.watch(group, From::Beginning(true), filter).await.unwrap();
            assert_eq!(sequences(&watch.next().await.unwrap()), expected, "watch {filter}");
        }
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_mean_what_the_filter_means() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        house.append(all(group)).await;
        let (actor, target) = (Uuid::from_u128(102).to_string(), Uuid::from_u128(204).to_string());
        for (request, filter) in [
            (ListEventsRequest { r#type: TYPES[1].into(), ..filtered("") }, format!("type = {}", TYPES[1])),
            (ListEventsRequest { r#type: "thing_created".into(), ..filtered("") }, format!("type = {}", TYPES[0])),
            (ListEventsRequest { actor_id: actor.clone(), ..filtered("") }, format!("actor_id = {actor}")),
            (ListEventsRequest { target_id: target.clone(), ..filtered("") }, format!("target_id = {target}")),
            (
                ListEventsRequest { r#type: TYPES[2].into(), actor_id: actor.clone(), ..filtered("target_kind = thing") },
                format!("target_kind = thing AND actor_id = {actor} AND type = {}", TYPES[2]),
            ),
        ] {
            let found = list(&house, group, request).await;
            assert!(!found.is_empty(), "{filter}");
            assert_eq!(found, list(&house, group, filtered(&filter)).await, "{filter}");
        }
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_refused_with_its_place() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        for filter in [
            "type",
            "type = ",
            "kind = 1",
            "type = 5",
            "actor_id = x",
            "actor_id > x",
            "create_time > yesterday",
            "(type = a",
            "type = \"a",
            "metadata.a = 1",
        ] {
            let listed = page(&house, group, filtered(filter)).await.unwrap_err();
            let watched = house.watch(group, From::Now(true), filter).await.err().unwrap();
            for refused in [listed, watched] {
                assert_eq!(reason(&refused), Reason::InvalidFilter, "{filter}");
                assert!(super::house::told(&refused, "position").parse::<usize>().is_ok());
            }
        }
        for order_by in ["type", "create_time sideways", "update_time"] {
            let request = ListEventsRequest { order_by: order_by.to_owned(), ..filtered("") };
            assert_eq!(reason(&page(&house, group, request).await.unwrap_err()), Reason::InvalidOrderBy);
        }
        for request in [
            ListEventsRequest { page_size: -1, ..ListEventsRequest::default() },
            ListEventsRequest { actor_id: "x".into(), ..ListEventsRequest::default() },
            ListEventsRequest { target_id: "x".into(), ..ListEventsRequest::default() },
            ListEventsRequest { r#type: "\0".into(), ..ListEventsRequest::default() },
        ] {
            assert_eq!(reason(&page(&house, group, request).await.unwrap_err()), Reason::InvalidField);
        }
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_is_good_for_its_own_list_only() {
    both(crate::MIGRATIONS, async |case| {
        let (house, ours, theirs) = (House::on(case), group(), group());
        house.append(all(ours)).await;
        let (_, token) = page(&house, ours, filtered("")).await.unwrap();
        let with = |page_token: &str| ListEventsRequest { page_token: page_token.to_owned(), ..filtered("") };
        assert!(page(&house, ours, with(&token)).await.is_ok());
        for (group, request) in [
            (theirs, with(&token)),
            (ours, ListEventsRequest { filter: "type = x".into(), ..with(&token) }),
            (ours, ListEventsRequest { r#type: "x".into(), ..with(&token) }),
            (ours, ListEventsRequest { order_by: "create_time".into(), ..with(&token) }),
            (ours, with(&token[..token.len() - 1])),
            (ours, with(&house.events.log.cursor(ours, 1))),
        ] {
            assert_eq!(reason(&page(&house, group, request).await.unwrap_err()), Reason::InvalidPageToken);
        }
        house.end().await;
    })
    .await;
}
