//! Requests per minute and day, as a client is told of them.

use contract::{
    Reason,
    identity::v1::{GetCallerRequest, Group, GroupLimits},
};
use std::time::Duration;
use tests::{Mesh, Refused, Refuses, on_every_mesh, raw::Raw};
use tonic::Code;

const GET_CALLER: &str = "/one.identity.v1.KeyService/GetCaller";

on_every_mesh![
    each_answer_says_what_is_left,
    without_a_limit_nothing_is_said,
    at_the_minutes_limit_a_starter_is_refused_and_told_when_to_come_back,
    keys_of_one_organisation_share_its_limit,
    a_call_that_is_refused_costs_too,
];

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
