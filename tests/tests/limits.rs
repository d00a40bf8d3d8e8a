//! Requests per minute and day, as a client is told of them.

use contract::{
    Reason,
    identity::v1::{GetCallerRequest, Group, GroupLimits},
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tests::{Caller, Engine, Layout, Mesh, Refused, Refuses, Role, Tenant, eventually, on_every_mesh, raw::Raw, run, within};
use tonic::Code;

const GET_CALLER: &str = "/one.identity.v1.KeyService/GetCaller";

/// How much is left of a window, as GetCaller shows it.
pub(crate) async fn left(caller: &Caller, window: &str) -> i64 {
    let limits = caller.who_am_i().await.limits;
    let limit = limits.into_iter().find(|limit| limit.name == window).expect("a window");
    assert!(limit.reset_time.is_some(), "{limit:?}");
    limit.remaining.expect("it has a limit")
}

/// An organisation whose keys may do so much in a day. It is not made just before midnight, when a day's count would be lost in a test.
pub(crate) async fn tenant_with(mesh: &Mesh, a_day: i64) -> Tenant {
    let seconds_of_day = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 86_400;
    within(Duration::from_secs(400), "midnight to be over", || async { (seconds_of_day() < 86_100).then_some(()) }).await;
    let limits = GroupLimits { key_requests_per_day: Some(a_day), ..GroupLimits::default() };
    mesh.tenant_like(Group { name: "small".to_owned(), tier: "enterprise".to_owned(), limits: Some(limits), ..Group::default() }).await
}

on_every_mesh![
    the_caller_is_told_what_is_left_of_each_window,
    each_answer_says_what_is_left,
    without_a_limit_nothing_is_said,
    at_the_minutes_limit_a_starter_is_refused_and_told_when_to_come_back,
    keys_of_one_organisation_share_its_limit,
    a_call_that_is_refused_costs_too,
];

async fn the_caller_is_told_what_is_left_of_each_window(mesh: Mesh) {
    let tenant = tenant_with(&mesh, 20).await;
    for expected in [19, 18, 17] {
        assert_eq!(left(&tenant, "day").await, expected);
    }
    let limits = tenant.with("one-left", "day=1000@1000").who_am_i().await.limits; // forged
    for limit in limits {
        let expected = match limit.name.as_str() {
            "day" => 16..=16,
            "groups" | "things" => continue,
            _ => limit.quota - 4..=limit.quota - 1, // a minute may have begun anew
        };
        assert!(limit.remaining.is_some_and(|remaining| expected.contains(&remaining)), "{limit:?}");
    }
}

/// All in one, and without Redis: the counts are in its own folder.
#[test]
fn a_days_count_outlives_a_restart_and_a_kill() {
    run(Layout::OneProcess, Engine::Sqlite, |_| async {
        let mesh = Mesh::start(Layout::OneProcess, Engine::Sqlite).await;
        let _shown = mesh.show_logs_of_a_failure();
        let tenant = tenant_with(&mesh, 20).await;
        assert_eq!(left(&tenant, "day").await, 19);
        assert_eq!(mesh.take(Role::Gateway, 0).terminate().code, Some(0));
        mesh.start_again(Role::Gateway, 0);
        let tenant = tenant.reconnected(mesh.gateway());
        assert_eq!(left(&tenant, "day").await, 18);
        let file = mesh.data(Role::Gateway, 0).join("limits");
        let before = std::fs::metadata(&file).unwrap().modified().unwrap();
        assert_eq!(left(&tenant, "day").await, 17);
        let saved = || async { (std::fs::metadata(&file).unwrap().modified().unwrap() > before).then_some(()) };
        eventually("the counts to be saved", saved).await;
        mesh.kill(Role::Gateway, 0);
        mesh.start_again(Role::Gateway, 0);
        // The save may have come before the last call.
        assert!([16, 17].contains(&left(&tenant.reconnected(mesh.gateway()), "day").await));
    });
}

async fn each_answer_says_what_is_left(mesh: Mesh) {
    let tenant = mesh.tenant_on("starter").await;
    let answer = Raw::call(GET_CALLER, tests::raw::frame(&[])).key(tenant.key()).http2(mesh.gateway()).await;
    let policy = answer.get("ratelimit-policy");
    for window in ["\"minute\";q=60;w=60", "\"day\";q=10000;w=86400", "\"organisation-minute\";q=600;w=60", "\"organisation-day\";q=100000;w=86400"] {
        assert!(policy.contains(window), "{window} is not in {policy:?}");
    }
    let left = answer.get("ratelimit");
    let fields: Vec<&str> = left.split(';').collect();
    let [name, rest, time] = fields.as_slice() else { panic!("{left:?}") };
    let rest: u64 = rest.trim_start_matches("r=").parse().unwrap();
    let time: u64 = time.trim_start_matches("t=").parse().unwrap();
    assert!(*name == "\"minute\"" && rest < 60 && time <= 60, "{left:?}");
}

async fn without_a_limit_nothing_is_said(mesh: Mesh) {
    let answer = Raw::call(GET_CALLER, tests::raw::frame(&[])).key(mesh.owner().key()).http2(mesh.gateway()).await;
    assert_eq!(answer.code(), Code::Ok);
    assert_eq!((answer.get("ratelimit"), answer.get("ratelimit-policy")), ("", ""), "{answer:?}");
}

async fn at_the_minutes_limit_a_starter_is_refused_and_told_when_to_come_back(mesh: Mesh) {
    let tenant = mesh.tenant_on("starter").await;
    let mut answered = 0;
    // Two windows at most: the UTC minute may end in between.
    let status = loop {
        match tenant.keys().get_caller(GetCallerRequest {}).await {
            Ok(_) => answered += 1,
            Err(status) => break status,
        }
        assert!(answered <= 120, "{answered} calls were answered");
    };
    assert!(answered >= 60, "{answered}");
    let metadata = status.metadata().clone();
    let refused = Refused::from(status);
    assert_eq!((refused.reason, refused.code), (Reason::RateLimited, Code::ResourceExhausted));
    assert!(refused.retry.is_some_and(|retry| retry > Duration::ZERO && retry <= Duration::from_secs(60)), "{refused:?}");
    let header = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let seconds: u64 = header("retry-after").parse().expect("whole seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(header("ratelimit").contains("r=0"), "{metadata:?}");
    assert_eq!(refused.metadata["window"], "minute");
    assert_eq!(refused.metadata["limit"], "60");
}

async fn keys_of_one_organisation_share_its_limit(mesh: Mesh) {
    let limits = GroupLimits { requests_per_minute: Some(10), ..GroupLimits::default() };
    let tenant = mesh.tenant_like(Group { name: "small".to_owned(), tier: "enterprise".to_owned(), limits: Some(limits), ..Group::default() }).await;
    let other = tenant.colleague("group_user", &["*"]).await;
    let mut answered = 0;
    let refused = loop {
        let caller = if answered % 2 == 0 { tenant.owner() } else { &other };
        match caller.keys().get_caller(GetCallerRequest {}).await {
            Ok(_) => answered += 1,
            Err(status) => break Refused::from(status),
        }
        assert!(answered <= 20, "{answered} calls were answered");
    };
    assert_eq!((refused.reason, refused.metadata["window"].as_str()), (Reason::RateLimited, "organisation-minute"));
    mesh.tenant().await.who_am_i().await;
}

async fn a_call_that_is_refused_costs_too(mesh: Mesh) {
    let limits = GroupLimits { key_requests_per_minute: Some(5), ..GroupLimits::default() };
    let tenant = mesh.tenant_like(Group { name: "small".to_owned(), tier: "enterprise".to_owned(), limits: Some(limits), ..Group::default() }).await;
    let nowhere = tenant.acting_in(&crate::support::never());
    let mut reasons = Vec::new();
    for _ in 0..11 {
        reasons.push(nowhere.keys().get_caller(GetCallerRequest {}).await.refused().reason);
    }
    assert!(reasons.contains(&Reason::RateLimited), "{reasons:?}");
}
