//! Every request is on record: one by one, counted, and told of where it was refused.

use crate::{
    follower::Follower,
    support::{create, never, product},
};
use contract::{
    Reason,
    events::v1::{Event, GetUsageRequest, ListRequestsRequest, Measures, Request, Usage, UsageSpan, watch_events_request::From},
    identity::v1::{GetCallerRequest, Group, GroupLimits, Key, RevokeKeyRequest},
    ontology::v1::GetThingRequest,
};
use futures::{StreamExt, future::join_all, stream};
use http::Method;
use prost_types::value::Kind;
use std::time::Duration;
use tests::{
    Caller, Engine, Layout, Mesh, Refuses, Role, Tenant, eventually, on_every_mesh,
    raw::{Raw, frame},
    run,
};

const GET_CALLER: &str = "/one.identity.v1.KeyService/GetCaller";
/// A minute, what may be late, and the time it takes.
const TOLD: Duration = Duration::from_secs(100);

/// All requests of the acting group that a filter leaves, newest first.
pub(crate) async fn list(caller: &Caller, filter: &str) -> Vec<Request> {
    let mut asked = ListRequestsRequest { filter: filter.to_owned(), page_size: 1_000, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = caller.usage().list_requests(asked.clone()).await.expect("a page").into_inner();
        all.extend(page.requests);
        if page.next_page_token.is_empty() {
            return all;
        }
        asked.page_token = page.next_page_token;
    }
}

/// Waits until so many requests of the acting group are on record.
pub(crate) async fn on_record(caller: &Caller, count: usize) -> Vec<Request> {
    eventually(&format!("{count} requests on record"), || async { Some(list(caller, "").await).filter(|all| all.len() >= count) }).await
}

async fn usage(caller: &Caller, asked: GetUsageRequest) -> Usage {
    let asked = GetUsageRequest { interval: if asked.interval.is_empty() { "hour".to_owned() } else { asked.interval.clone() }, ..asked };
    caller.usage().get_usage(asked).await.expect("an answer").into_inner()
}

fn by(dimensions: &[&str]) -> GetUsageRequest {
    GetUsageRequest { group_by: dimensions.iter().map(|&word| word.to_owned()).collect(), ..Default::default() }
}

fn count(measures: Option<&Measures>) -> i64 {
    measures.map_or(0, |measures| measures.count)
}

/// The key that is sent.
async fn key_of(caller: &Caller) -> Key {
    caller.who_am_i().await.key.expect("a key")
}

/// Somebody who reads what the tenant did and adds nothing to what its own keys are counted for.
fn reader(mesh: &Mesh, tenant: &Tenant) -> Caller {
    mesh.platform().acting_in(&tenant.group.id)
}

async fn tenant_with(mesh: &Mesh, limits: GroupLimits) -> Tenant {
    mesh.tenant_like(Group { name: "limited".to_owned(), tier: "enterprise".to_owned(), limits: Some(limits), ..Group::default() }).await
}

on_every_mesh![
    a_request_is_on_record_with_all_that_is_known_of_it,
    requests_are_listed_page_by_page_newest_first,
    counts_are_those_of_the_list,
    the_sum_of_usage_is_what_the_limiter_counted,
    what_a_limit_refused_is_on_record_and_cost_nothing,
    a_call_that_its_client_gave_up_is_on_record,
    refusals_are_told_once_a_minute_with_a_count,
    only_an_owner_reads_the_request_log,
];

async fn a_request_is_on_record_with_all_that_is_known_of_it(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let team = tenant.create_group("team", &tenant.group.id).await;
    let (id, key) = (never(), key_of(&tenant).await);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let caller = tenant
        .acting_in(&team.id)
        .with("x-request-id", "call-of-the-record")
        .with("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let refused = caller.groups().get_group(contract::identity::v1::GetGroupRequest { id }).await.refused();
    assert_eq!(refused.reason, Reason::GroupNotFound);
    let found = eventually("the request", || async {
        let mut found = list(&reader_of(&mesh, &team.id), "call_id = \"call-of-the-record\"").await;
        found.pop()
    })
    .await;
    let actor = found.actor.clone().unwrap();
    assert_eq!(
        (found.group_id.as_str(), found.asked_group_id.as_str(), found.home_group_id.as_str()),
        (team.id.as_str(), team.id.as_str(), tenant.group.id.as_str())
    );
    assert_eq!(
        (found.key_id.as_str(), actor.key_id.as_str(), found.organisation_id.as_str()),
        (key.id.as_str(), key.id.as_str(), tenant.group.id.as_str())
    );
    assert_eq!((found.rpc.as_str(), found.route.as_str()), ("one.identity.v1.GroupService/GetGroup", "/one.identity.v1.GroupService/GetGroup"));
    assert_eq!((found.code.as_str(), found.reason.as_str(), found.cost), ("NOT_FOUND", "GROUP_NOT_FOUND", 1));
    assert_eq!((found.trace_id.as_str(), found.address.as_str()), (trace, "127.0.0.1"));
    assert!(found.user_agent.starts_with("tonic/") && found.bytes_in > 36 && found.latency.is_some(), "{found:?}");
}

fn reader_of(mesh: &Mesh, group: &str) -> Caller {
    mesh.platform().acting_in(group)
}

async fn requests_are_listed_page_by_page_newest_first(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let key = key_of(&tenant).await;
    for _ in 0..20 {
        tenant.who_am_i().await;
    }
    let reader = reader(&mesh, &tenant);
    let filter = format!("key_id = \"{}\" AND rpc = \"one.identity.v1.KeyService/GetCaller\"", key.id);
    let all = eventually("all of them", || async { Some(list(&reader, &filter).await).filter(|all| all.len() == 21) }).await;
    assert!(all.is_sorted_by(|newer, older| newer.id > older.id));
    let mut asked = ListRequestsRequest {
        key_id: key.id,
        rpc: "one.identity.v1.KeyService/GetCaller".to_owned(),
        page_size: 4,
        order_by: "create_time".to_owned(),
        ..Default::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = reader.usage().list_requests(asked.clone()).await.unwrap().into_inner();
        assert!(page.requests.len() <= 4);
        pages.extend(page.requests);
        if page.next_page_token.is_empty() {
            break;
        }
        asked.page_token = page.next_page_token;
    }
    pages.reverse();
    assert_eq!(pages, all);
}

async fn counts_are_those_of_the_list(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let other = tenant.colleague("group_user", &["things:read"]).await;
    for n in 0..6 {
        tenant.create(&format!("thing {n}")).await;
        create(&other, product("denied")).await.refused();
        other.things().get_thing(GetThingRequest { id: never() }).await.refused();
    }
    let (reader, keys) = (reader(&mesh, &tenant), [key_of(&tenant).await.id, key_of(&other).await.id]);
    // Two calls each of the owner's own: made the colleague's key, and asked who it is. The platform's are of another key.
    let listed = eventually("all of them", || async {
        let mut all = list(&reader, "").await;
        all.retain(|request| keys.contains(&request.key_id));
        (all.len() == 6 * 3 + 3).then_some(all)
    })
    .await;
    let expected = |holds: &dyn Fn(&Request) -> bool| i64::try_from(listed.iter().filter(|request| holds(request)).count()).unwrap();
    for interval in ["minute", "hour", "day"] {
        let answer = usage(&reader, GetUsageRequest { interval: interval.to_owned(), ..by(&["key", "rpc", "route", "code"]) }).await;
        let ours: Vec<&UsageSpan> = answer.spans.iter().filter(|span| keys.contains(&span.key_id)).collect();
        for span in &ours {
            let alike: i64 = ours
                .iter()
                .filter(|other| (&other.key_id, &other.rpc, &other.code) == (&span.key_id, &span.rpc, &span.code))
                .map(|span| count(span.measures.as_ref()))
                .sum();
            assert_eq!(
                alike,
                expected(
                    &|request| (&request.key_id, &request.rpc, &request.route, &request.code) == (&span.key_id, &span.rpc, &span.route, &span.code)
                ),
                "{interval} {span:?}"
            );
        }
        let sum = |of: fn(&Measures) -> i64| ours.iter().filter_map(|span| span.measures.as_ref()).map(of).sum::<i64>();
        assert_eq!(sum(|measures| measures.count), expected(&|_| true));
        assert_eq!(sum(|measures| measures.cost), listed.iter().map(|request| request.cost).sum::<i64>());
        assert_eq!(sum(|measures| measures.bytes_in), listed.iter().map(|request| request.bytes_in).sum::<i64>());
        assert_eq!(sum(|measures| measures.bytes_out), listed.iter().map(|request| request.bytes_out).sum::<i64>());
        assert_eq!(sum(|measures| measures.buckets.iter().sum()), expected(&|_| true));
    }
    let denied = usage(&reader, GetUsageRequest { key_id: keys[1].clone(), code: "PERMISSION_DENIED".to_owned(), ..by(&[]) }).await;
    assert_eq!(count(denied.total.as_ref()), 6);
}

/// What is left of the organisation's day after one more call.
async fn left(caller: &Caller) -> i64 {
    let answer = Raw::call(GET_CALLER, frame(&[])).key(caller.key()).http2(caller.gateway()).await;
    let told = answer.get("ratelimit").to_owned();
    assert!(told.starts_with("\"organisation-day\";r="), "{told:?}");
    told.split(';').nth(1).and_then(|left| left.trim_start_matches("r=").parse().ok()).expect("a number")
}

async fn the_sum_of_usage_is_what_the_limiter_counted(mesh: Mesh) {
    const DAY: i64 = 100_000;
    let none = Some(-1);
    let limits = GroupLimits {
        key_requests_per_minute: none,
        key_requests_per_day: none,
        requests_per_minute: none,
        requests_per_day: Some(DAY),
        ..GroupLimits::default()
    };
    let tenant = tenant_with(&mesh, limits).await;
    let other = tenant.colleague("group_user", &["things:read"]).await;
    let keys = [key_of(&tenant).await.id, key_of(&other).await.id];
    let calls = (0..300u64).map(|n| {
        let caller = if n % 2 == 0 { tenant.owner().clone() } else { other.clone() };
        // Each on a connection of its own: one that gives up many calls at once is closed, and the others with it.
        let gives_up = caller.reconnected(mesh.gateway());
        async move {
            match n % 6 {
                0 | 1 => drop(create(&caller, product("A")).await),
                2 => drop(caller.things().get_thing(GetThingRequest { id: never() }).await),
                3 => drop(caller.acting_in(&never()).keys().get_caller(GetCallerRequest {}).await),
                4 => drop(Raw::call("/one.ontology.v1.ThingService/ListThings", "no frame").key(caller.key()).http2(caller.gateway()).await),
                _ => drop(tokio::time::timeout(Duration::from_micros(n * 20), create(&gives_up, product("given up"))).await),
            }
        }
    });
    // Many have connections of their own, and one address may have a hundred of them.
    stream::iter(calls).buffer_unordered(100).collect::<()>().await;
    // Once what was given up has ended, two questions differ by themselves only.
    let spent = eventually("the counter to rest", || async {
        let (before, after) = (left(&tenant).await, left(&tenant).await);
        (before - after == 1).then_some(DAY - after)
    })
    .await;
    let reader = reader(&mesh, &tenant);
    let counted = async || {
        let answer = usage(&reader, GetUsageRequest { interval: "day".to_owned(), ..by(&["key"]) }).await;
        answer
            .spans
            .iter()
            .filter(|span| keys.contains(&span.key_id))
            .filter_map(|span| span.measures.as_ref())
            .map(|measures| measures.cost)
            .sum::<i64>()
    };
    eventually(&format!("{spent} units in the usage"), || async { (counted().await >= spent).then_some(()) }).await;
    assert_eq!(counted().await, spent);
    assert!(spent > 250, "{spent}: all but those that gave up before they began, who they are, and the questions");
}

async fn what_a_limit_refused_is_on_record_and_cost_nothing(mesh: Mesh) {
    let limits = GroupLimits { key_requests_per_day: Some(20), key_requests_per_minute: Some(-1), ..GroupLimits::default() };
    let tenant = tenant_with(&mesh, limits).await;
    let key = key_of(&tenant).await.id;
    let calls = join_all((0..50).map(|_| async { tenant.keys().get_caller(GetCallerRequest {}).await })).await;
    assert_eq!(calls.iter().filter(|answer| answer.is_ok()).count(), 19, "and the one that asked for the key's id");
    let reader = reader(&mesh, &tenant);
    let asked = || GetUsageRequest { key_id: key.clone(), ..by(&["code"]) };
    let answer =
        eventually("all of them", || async { Some(usage(&reader, asked()).await).filter(|answer| count(answer.total.as_ref()) == 51) }).await;
    let codes: Vec<(&str, i64, i64)> =
        answer.spans.iter().map(|span| (span.code.as_str(), count(span.measures.as_ref()), span.measures.as_ref().unwrap().cost)).collect();
    assert_eq!(codes, [("OK", 20, 20), ("RESOURCE_EXHAUSTED", 31, 0)]);
    let refused = list(&reader, &format!("key_id = \"{key}\" AND reason = \"RATE_LIMITED\"")).await;
    assert_eq!(refused.len(), 31);
}

async fn a_call_that_its_client_gave_up_is_on_record(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let id = never();
    let caller = tenant.with("x-request-id", &id);
    let watch = caller.watch(From::Now(true)).await;
    drop(watch);
    let found = eventually("the watch", || async { list(&tenant, &format!("call_id = \"{id}\"")).await.pop() }).await;
    assert_eq!((found.code.as_str(), found.rpc.as_str()), ("CANCELLED", "one.events.v1.EventService/WatchEvents"));
}

fn word(event: &Event, name: &str) -> String {
    match event.metadata.as_ref().and_then(|fields| fields.fields.get(name)?.kind.clone()) {
        Some(Kind::StringValue(text)) => text,
        Some(Kind::NumberValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The sum of the counts of those events; the minute may have ended meanwhile, so there may be several, but never two of one minute.
fn counted(events: &[Event], kind: &str, reason: Reason, of: (&str, &str)) -> i64 {
    let ours: Vec<&Event> = events
        .iter()
        .filter(|event| event.r#type == kind)
        .filter(|event| word(event, "reason") == reason.word() && word(event, of.0) == of.1)
        .collect();
    let minutes: std::collections::HashSet<i64> = ours.iter().map(|event| event.create_time.expect("a time").seconds).collect();
    assert_eq!(minutes.len(), ours.len(), "{ours:?}");
    ours.iter().map(|event| word(event, "count").parse::<i64>().expect("a count")).sum()
}

async fn refusals_are_told_once_a_minute_with_a_count(mesh: Mesh) {
    let mut platforms = Follower::from_now(&mesh.platform()).await;
    let tenant = tenant_with(&mesh, GroupLimits { key_requests_per_day: Some(9), key_requests_per_minute: Some(-1), ..GroupLimits::default() }).await;
    let plain = tenant.create_key("plain", "group_user", &["things:read"]).await;
    let revoked = tenant.create_key("revoked", "group_user", &["things:read"]).await;
    let (plain, plain_id, revoked_id) = (tenant.with_key(&plain.secret), plain.key.unwrap().id, revoked.key.unwrap().id);
    for _ in 0..5 {
        assert_eq!(create(&plain, product("A")).await.refused().reason, Reason::InsufficientScopes);
    }
    while create(&plain, product("A")).await.refused().reason != Reason::RateLimited {}
    let caller = tenant.with_key(&revoked.secret);
    caller.who_am_i().await;
    tenant.keys().revoke_key(RevokeKeyRequest { id: revoked_id.clone(), ..Default::default() }).await.unwrap();
    eventually("the key to be refused", || async { caller.keys().get_caller(GetCallerRequest {}).await.err() }).await;
    caller.keys().get_caller(GetCallerRequest {}).await.refused();
    let stranger = mesh.stranger();
    let guess = stranger.with_key("org_aaaaaaaaaaaa_key_guess");
    for _ in 0..4 {
        assert_eq!(guess.keys().get_caller(GetCallerRequest {}).await.refused().reason, Reason::InvalidApiKey);
    }
    let mut ours = Follower::from_beginning(&reader(&mesh, &tenant));
    let all = async {
        let mut told = Vec::new();
        loop {
            let denied = counted(&told, "api_scope_denied", Reason::InsufficientScopes, ("keyId", &plain_id));
            let limited = counted(&told, "quota_exceeded", Reason::RateLimited, ("keyId", &plain_id));
            let failed = counted(&told, "api_auth_failed", Reason::KeyRevoked, ("keyId", &revoked_id));
            let guessed = counted(&told, "api_auth_failed", Reason::InvalidApiKey, ("ipAddress", &stranger.address().to_string()));
            assert!(denied <= 9 && limited <= 1 && guessed <= 4, "{denied} {limited} {guessed}");
            if denied == 9 && limited == 1 && failed >= 2 && guessed == 4 {
                return;
            }
            told.extend(tokio::select! { news = ours.next() => news, news = platforms.next() => news });
        }
    };
    tokio::time::timeout(TOLD, all).await.expect("all refusals are told");
}

async fn only_an_owner_reads_the_request_log(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let user = tenant.colleague("group_user", &["*"]).await;
    assert_eq!(user.usage().list_requests(ListRequestsRequest::default()).await.refused().reason, Reason::InsufficientRole);
    assert_eq!(user.usage().get_usage(GetUsageRequest::default()).await.refused().reason, Reason::InsufficientRole);
    let owner = tenant.colleague("group_owner", &["things:read"]).await;
    assert_eq!(owner.usage().list_requests(ListRequestsRequest::default()).await.refused().reason, Reason::InsufficientScopes);
}

#[test]
fn requests_wait_while_the_events_service_is_away_and_slow_nobody() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let mesh = Mesh::start(Layout::Split, Engine::Postgres).await;
        let _shown = mesh.show_logs_of_a_failure();
        let tenant = mesh.tenant().await;
        let key = key_of(&tenant).await.id;
        mesh.kill(Role::Events, 0);
        for n in 0..1_200 {
            let thing = tenant.things().get_thing(GetThingRequest { id: never() }).await.refused();
            assert_eq!(thing.reason, Reason::ThingNotFound, "call {n}");
        }
        mesh.start_again(Role::Events, 0);
        let reader = reader(&mesh, &tenant);
        let asked = || GetUsageRequest { key_id: key.clone(), rpc: "one.ontology.v1.ThingService/GetThing".to_owned(), ..by(&[]) };
        eventually("all of them", || async { (count(usage(&reader, asked()).await.total.as_ref()) >= 1_200).then_some(()) }).await;
        assert_eq!(count(usage(&reader, asked()).await.total.as_ref()), 1_200, "none twice");
        assert_eq!(list(&reader, &format!("key_id = \"{key}\" AND code = \"NOT_FOUND\"")).await.len(), 1_200);
        let metrics = Raw::new(Method::GET, "/metrics", "").http1(mesh.admin(Role::Gateway, 0)).await;
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        assert!(metrics.lines().any(|line| line.starts_with("one_request_log_dropped") && line.ends_with(" 0")), "{metrics}");
    });
}

/// A gateway that is told to end ships what it has.
async fn ships_the_rest(layout: Layout, engine: Engine) {
    let mesh = Mesh::builder(layout, engine).set("ONE_GATEWAY_GATHER_REQUESTS", "60s").start().await;
    let _shown = mesh.show_logs_of_a_failure();
    let tenant = mesh.tenant().await;
    for _ in 0..700 {
        tenant.things().get_thing(GetThingRequest { id: never() }).await.refused();
    }
    let gateway = mesh.take(Role::Gateway, 0);
    let exit = tokio::task::spawn_blocking(move || gateway.terminate()).await.unwrap();
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    mesh.start_again(Role::Gateway, 0);
    let tenant = tenant.reconnected(mesh.gateway());
    assert_eq!(list(&tenant, "code = \"NOT_FOUND\"").await.len(), 700);
}

#[test]
fn a_drain_ships_the_rest_in_one_process() {
    run(Layout::OneProcess, Engine::Sqlite, |_| ships_the_rest(Layout::OneProcess, Engine::Sqlite));
}

#[test]
fn a_drain_ships_the_rest_of_a_gateway_of_its_own() {
    run(Layout::Split, Engine::Postgres, |_| ships_the_rest(Layout::Split, Engine::Postgres));
}
