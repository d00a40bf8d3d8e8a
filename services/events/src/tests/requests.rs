use super::{House, PLATFORM, group, house::bytes, reason};
use contract::{
    Reason,
    events::v1::{ListRequestsRequest, Request, Transport},
    id::GroupId,
    identity::v1::ActorKind,
    internal::v1::{AppendRequestsRequest, RequestRecord},
};
use prost::Message;
use prost_types::Duration;
use std::collections::HashSet;
use store::testing::{Case, both};
use tonic::{Code, Status};
use uuid::Uuid;

/// 2023-11-14T22:13:20Z
pub(super) const START: i64 = 1_700_000_000_000_000;
const TRACE: Uuid = Uuid::from_u128(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
pub(super) const GET: &str = "one.ontology.v1.ThingService/GetThing";

/// A call of key 7 in that group, which took 3 ms.
pub(super) fn record(group: GroupId, micros: i64) -> RequestRecord {
    RequestRecord {
        time_micros: micros,
        rpc: GET.to_owned(),
        transport: Transport::Grpc.into(),
        cost: 1,
        latency_micros: 3_000,
        bytes_in: 10,
        bytes_out: 200,
        address: vec![192, 0, 2, 1].into(),
        user_agent: "test/1".to_owned(),
        actor_kind: ActorKind::Key.into(),
        actor_id: bytes(Uuid::from_u128(7)),
        key_id: bytes(Uuid::from_u128(7)),
        home_group_id: bytes(*group),
        organisation_id: bytes(*group),
        group_id: bytes(*group),
        call_id: "call-1".to_owned(),
        trace_id: bytes(TRACE),
        ..RequestRecord::default()
    }
}

pub(super) fn batch(gateway: u128, batch: i64, records: Vec<RequestRecord>) -> AppendRequestsRequest {
    AppendRequestsRequest { gateway_id: bytes(Uuid::from_u128(gateway)), batch, records }
}

/// As a gateway that was just started.
pub(super) async fn send(house: &House, records: Vec<RequestRecord>) {
    for some in records.chunks(500) {
        house.gateway().append_requests(batch(Uuid::new_v4().as_u128(), 1, some.to_vec())).await.unwrap();
    }
}

/// A gateway that has 4,096 requests, each of a name as long as one may be, must not be told for ever that this is too much.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_batch_is_taken() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let long = RequestRecord { user_agent: "u".repeat(1_200), ..record(group, START) };
        let batch = batch(1, 1, vec![long; 4_096]);
        assert!(batch.encoded_len() > 5 << 20);
        house.gateway().append_requests(batch).await.unwrap();
        house.end().await;
    })
    .await;
}

async fn page(house: &House, group: GroupId, asked: ListRequestsRequest) -> Result<(Vec<Request>, String), Status> {
    let answer = house.usage_of(group).list_requests(asked).await?.into_inner();
    Ok((answer.requests, answer.next_page_token))
}

/// All of them, in pages of seven.
async fn list(house: &House, group: GroupId, filter: &str) -> Vec<Request> {
    list_by(house, group, filter, "").await
}

async fn list_by(house: &House, group: GroupId, filter: &str, order_by: &str) -> Vec<Request> {
    let (filter, order_by) = (filter.to_owned(), order_by.to_owned());
    let mut asked = ListRequestsRequest { filter, order_by, page_size: 7, ..ListRequestsRequest::default() };
    let mut found = Vec::new();
    loop {
        let (requests, next) = page(house, group, asked.clone()).await.unwrap();
        found.extend(requests);
        if next.is_empty() {
            return found;
        }
        asked.page_token = next;
    }
}

fn ids(requests: &[Request]) -> HashSet<&str> {
    requests.iter().map(|request| request.id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_sent_again_counts_once() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let first = batch(1, 1, vec![record(group, START), record(group, START + 1)]);
        let send = async |batch: &AppendRequestsRequest| house.gateway().append_requests(batch.clone()).await.unwrap();
        tokio::join!(send(&first), send(&first), send(&first), send(&first));
        send(&batch(1, 2, vec![record(group, START + 2)])).await;
        send(&first).await;
        send(&batch(2, 1, vec![record(group, START + 3)])).await;
        assert_eq!(ids(&list(&house, group, "").await).len(), 4);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_many_gateways_at_once_all_count() {
    both(crate::MIGRATIONS, async |case| {
        let house = std::sync::Arc::new(House::on(case));
        let groups = [group(), group(), group()];
        let gateways = (0..8u128).map(|gateway| {
            let house = house.clone();
            tokio::spawn(async move {
                for number in 1..=5 {
                    let records = (0..30).map(|n| record(groups[(n + gateway as usize) % 3], START + number)).collect();
                    house.gateway().append_requests(batch(gateway, number, records)).await.unwrap();
                }
            })
        });
        futures::future::join_all(gateways).await.into_iter().for_each(|ended| ended.unwrap());
        for group in groups {
            let listed = list(&house, group, "").await;
            assert_eq!((listed.len(), ids(&listed).len()), (400, 400), "each under an id of its own");
            assert!(listed.is_sorted_by(|newer, older| newer.id > older.id));
        }
        std::sync::Arc::into_inner(house).unwrap().end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_shown_as_it_was() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group, asked) = (House::on(case), group(), group());
        let refused = RequestRecord {
            code: Code::NotFound as i32,
            reason: Reason::ThingNotFound.into(),
            asked_group_id: bytes(*asked),
            transport: Transport::GrpcWeb.into(),
            ..record(group, START)
        };
        send(&house, vec![refused]).await;
        let mut seen = list(&house, group, "").await;
        let key = Uuid::from_u128(7).to_string();
        let request = seen.remove(0);
        assert_eq!(request.actor.unwrap().key_id, key);
        assert_eq!(Uuid::parse_str(&request.id).unwrap().as_u128() >> 80, START as u128 / 1_000);
        let expected = Request {
            id: request.id.clone(),
            actor: None,
            group_id: group.to_string(),
            create_time: Some(contract::time::timestamp(START)),
            rpc: GET.to_owned(),
            route: format!("/{GET}"),
            transport: Transport::GrpcWeb.into(),
            code: "NOT_FOUND".to_owned(),
            reason: "THING_NOT_FOUND".to_owned(),
            cost: 1,
            latency: Some(Duration { seconds: 0, nanos: 3_000_000 }),
            bytes_in: 10,
            bytes_out: 200,
            address: "192.0.2.1".to_owned(),
            user_agent: "test/1".to_owned(),
            key_id: key,
            home_group_id: group.to_string(),
            asked_group_id: asked.to_string(),
            organisation_id: group.to_string(),
            call_id: "call-1".to_owned(),
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        };
        assert_eq!(Request { actor: None, ..request }, expected);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_filter_order_and_page_along_an_index() {
    both(crate::MIGRATIONS, async |case| {
        let (house, ours, theirs) = (House::on(case), group(), group());
        let mixed = |group, n: i64| RequestRecord {
            key_id: bytes(Uuid::from_u128(100 + n as u128 % 4)),
            actor_id: bytes(Uuid::from_u128(100 + n as u128 % 4)),
            rpc: if n % 3 == 0 { GET.to_owned() } else { "one.events.v1.EventService/ListEvents".to_owned() },
            code: if n % 5 == 0 { 7 } else { 0 },
            reason: if n % 5 == 0 { Reason::InsufficientScopes.into() } else { 0 },
            latency_micros: n * 1_000,
            call_id: format!("call-{n}"),
            ..record(group, START + n * 1_000)
        };
        send(&house, (0..60).flat_map(|n| [mixed(ours, n), mixed(theirs, n)]).collect()).await;
        let key = Uuid::from_u128(101);
        for (filter, fits) in [
            (String::new(), (|_| true) as fn(i64) -> bool),
            (format!("key_id = \"{key}\""), |n| n % 4 == 1),
            (format!("actor_id = \"{key}\" AND code = \"OK\""), |n| n % 4 == 1 && n % 5 != 0),
            (format!("rpc = \"{GET}\""), |n| n % 3 == 0),
            ("code != \"OK\"".to_owned(), |n| n % 5 == 0),
            ("reason = \"INSUFFICIENT_SCOPES\"".to_owned(), |n| n % 5 == 0),
            ("latency_micros >= 50000".to_owned(), |n| n >= 50),
            ("call_id = \"call-9\"".to_owned(), |n| n == 9),
            ("create_time >= \"2023-11-14T22:13:20.050Z\"".to_owned(), |n| n >= 50),
            ("address = \"192.0.2.2\"".to_owned(), |_| false),
        ] {
            let expected: Vec<String> = (0..60).rev().filter(|n| fits(*n)).map(|n| format!("call-{n}")).collect();
            let found: Vec<String> = list(&house, ours, &filter).await.into_iter().map(|request| request.call_id).collect();
            assert_eq!(found, expected, "{filter}");
        }
        let asked = ListRequestsRequest { key_id: key.to_string(), rpc: GET.to_owned(), order_by: "create_time".to_owned(), ..Default::default() };
        let (found, _) = page(&house, ours, asked).await.unwrap();
        assert_eq!(found.iter().map(|request| request.call_id.as_str()).collect::<Vec<_>>(), ["call-9", "call-21", "call-33", "call-45", "call-57"]);
        let refused = page(&house, ours, ListRequestsRequest { order_by: "cost".to_owned(), ..Default::default() }).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::InvalidOrderBy);
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_within_a_moment_that_many_gateways_tell_of() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        // Two seconds; each gateway tells of every fourth request, and some end in the same millisecond.
        for gateway in 0..4 {
            let own = (0..200).filter(|n| n % 4 == gateway);
            let told = own.map(|n| RequestRecord { call_id: format!("call-{n}"), ..record(group, START + n / 2 * 20_000) });
            send(&house, told.collect()).await;
        }
        let newest_first = list(&house, group, "").await;
        assert_eq!(ids(&newest_first).len(), 200);
        assert!(newest_first.is_sorted_by_key(|request| std::cmp::Reverse(micros(request))));
        let mut oldest_first = list_by(&house, group, "", "create_time").await;
        oldest_first.reverse();
        assert_eq!(oldest_first, newest_first);
        let within = "create_time >= \"2023-11-14T22:13:20.5Z\" AND create_time < \"2023-11-14T22:13:20.6Z\"";
        for order in ["create_time", "create_time desc"] {
            let found = list_by(&house, group, within, order).await;
            assert!(found.iter().all(|request| (500_000..600_000).contains(&(micros(request) - START))));
            assert_eq!(found.len(), 10, "{order}");
        }
        house.end().await;
    })
    .await;
}

fn micros(request: &Request) -> i64 {
    contract::time::micros(request.create_time.as_ref().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_finds_nothing_in_ten_thousand_requests_says_where_it_goes_on() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let numbered = |n: i64| RequestRecord { call_id: format!("call-{n}"), ..record(group, START + n * 1_000) };
        send(&house, (0..10_300).map(numbered).collect()).await;
        for (order_by, sought) in [("", "call-0"), ("create_time", "call-10299")] {
            let filter = format!("call_id = \"{sought}\"");
            let mut asked = ListRequestsRequest { filter, order_by: order_by.to_owned(), ..Default::default() };
            let (found, next) = page(&house, group, asked.clone()).await.unwrap();
            assert!(found.is_empty() && !next.is_empty());
            asked.page_token = next;
            let (found, next) = page(&house, group, asked).await.unwrap();
            assert_eq!((found.len(), found[0].call_id.as_str(), next.as_str()), (1, sought, ""));
        }
        case.explain_all().await;
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_stands_where_it_acted_else_at_home_else_with_the_platform() {
    both(crate::MIGRATIONS, async |case| {
        let (house, home, acting) = (House::on(case), group(), group());
        let nobody = || RequestRecord {
            group_id: Default::default(),
            home_group_id: Default::default(),
            key_id: Default::default(),
            actor_id: Default::default(),
            reason: Reason::MissingCredential.into(),
            ..record(home, START)
        };
        let fine = RequestRecord { reason: 0, ..nobody() };
        let early = house.gateway().append_requests(batch(1, 1, vec![nobody()])).await.unwrap_err();
        assert_eq!(reason(&early), Reason::IdentityUnavailable, "as long as nobody knows where it belongs");
        house.tell(&[]).await;
        let at_home = RequestRecord { group_id: Default::default(), ..record(home, START) };
        let elsewhere = RequestRecord { group_id: bytes(*acting), ..record(home, START) };
        send(&house, vec![at_home, elsewhere, nobody(), fine]).await;
        for (group, count) in [(home, 1), (acting, 1), (PLATFORM, 1)] {
            assert_eq!(list(&house, group, "").await.len(), count, "{group}");
        }
        // Of strangers only some are kept one by one, though all are counted.
        send(&house, (0..300).map(|_| nobody()).collect()).await;
        assert_eq!(list(&house, PLATFORM, "").await.len(), 100);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_stops_a_gateway() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group) = (House::on(case), group());
        let poison = RequestRecord {
            time_micros: i64::MAX,
            rpc: "ab".repeat(200),
            user_agent: "x".repeat(100_000),
            call_id: "é".repeat(1_000),
            cost: -5,
            code: 99,
            reason: 9_999,
            transport: 77,
            actor_kind: 77,
            bytes_in: i64::MIN,
            bytes_out: i64::MAX,
            latency_micros: i64::MAX,
            key_id: vec![1, 2, 3].into(),
            ..record(group, START)
        };
        let nothing = RequestRecord::default();
        house.tell(&[]).await;
        house
            .gateway()
            .append_requests(AppendRequestsRequest { gateway_id: vec![1].into(), batch: 1, records: vec![record(group, START)] })
            .await
            .unwrap();
        send(&house, vec![poison.clone(), poison.clone(), nothing, record(group, START)]).await;
        send(&house, vec![poison]).await;
        assert_eq!(list(&house, group, "").await.len(), 4);
        house.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_itself_writes_and_nobody_reads_anothers() {
    both(crate::MIGRATIONS, async |case| {
        let (house, ours, theirs) = (House::on(case), group(), group());
        send(&house, vec![record(theirs, START)]).await;
        let mut owner = contract::internal::v1::request_log_service_client::RequestLogServiceClient::new(house.channel_of(ours));
        let refused = owner.append_requests(batch(1, 1, vec![record(ours, START)])).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::PrincipalRefused);
        assert!(list(&house, ours, "").await.is_empty());
        let usage = house.usage_of(ours).get_usage(super::usage::around(START)).await.unwrap().into_inner();
        assert!(usage.spans.is_empty() && usage.total.unwrap().count == 0);
        house.end().await;
    })
    .await;
}

async fn retain(house: &House) {
    house.events.retention().retain().await.unwrap();
}

pub(super) async fn kept(case: &Case, table: &'static str) -> i64 {
    let mut tx = case.db.system("a test counts").begin().await.unwrap();
    let count: (i64,) = tx.sql(table).one().await.unwrap();
    count.0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tier_does_not_keep_goes_from_both_logs() {
    both(crate::MIGRATIONS, async |case| {
        let (house, group, other) = (House::on(case), group(), group());
        house.tell(&[(group, 90)]).await;
        house.tell(&[(group, 30)]).await; // now on starter
        let now = case.clock.micros();
        let days = |days: i64| now - days * 86_400_000_000;
        let old = (0..1_200).map(|n| record(group, days(31) - n * 60_000_000));
        send(&house, old.chain([record(group, days(29)), record(group, now), record(other, days(400))]).collect()).await;
        house.append(vec![super::event(group, days(31)), super::event(group, days(29))]).await;
        crate::usage::fold::fold(&case.db, store::At(i64::MAX)).await.unwrap();
        retain(&house).await;
        assert_eq!(list(&house, group, "").await.len(), 2);
        assert_eq!(list(&house, other, "").await.len(), 1, "of which nobody has told");
        assert_eq!(kept(case, "select count(*) from usage where span = 60000000").await, 3, "minutes");
        assert_eq!(kept(case, "select count(*) from usage where span = 86400000000").await, 3, "days");
        let mut watch = house.watch(group, contract::events::v1::watch_events_request::From::Beginning(true), "").await.unwrap();
        assert_eq!(watch.sequences(1).await, [2]);
        // A gateway that has ended is forgotten, later.
        assert!(kept(case, "select count(*) from request_source").await > 0);
        case.clock.advance(std::time::Duration::from_secs(8 * 86_400));
        retain(&house).await;
        assert_eq!(kept(case, "select count(*) from request_source").await, 0);
        house.end().await;
    })
    .await;
}
