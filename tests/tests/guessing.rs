//! Guessing keys, and the ways around the guard that are none. Each test has a mesh of its own: here it is this machine that guesses.

use crate::support::guess;
use contract::{Reason, identity::v1::GetCallerRequest};
use futures::future::join_all;
use http::Method;
use std::net::SocketAddr;
use tests::{
    Caller, Engine, Layout, Mesh, Redis, Refuses, Role,
    raw::{Answer, Raw, frame},
    run,
};
use tonic_types::StatusExt;

const GET_CALLER: &str = "/one.identity.v1.KeyService/GetCaller";

/// Why it was refused; grpc-web has a refusal in its headers too.
fn reason(answer: &Answer) -> Reason {
    let status = tonic::Status::from_header_map(&answer.headers).or_else(|| tonic::Status::from_header_map(&answer.trailers));
    let info = status.and_then(|status| status.get_details_error_info()).unwrap_or_else(|| panic!("no reason in {answer:?}"));
    Reason::parse(&info.reason).expect("one of the catalogue")
}

fn web(kind: &'static str, body: &'static str) -> Raw {
    Raw::new(Method::POST, GET_CALLER, body).with("content-type", kind).with("x-grpc-web", "1").with("accept", kind)
}

/// The same call in every form in which it may come.
async fn over_every_transport(gateway: SocketAddr, key: &str) -> [Answer; 5] {
    [
        Raw::call(GET_CALLER, frame(&[])).with("x-api-key", key).http2(gateway).await,
        Raw::call(GET_CALLER, frame(&[])).key(key).http2(gateway).await,
        web("application/grpc-web+proto", "\0\0\0\0\0").key(key).http1(gateway).await,
        web("application/grpc-web-text", "AAAAAAA=").with("x-api-key", key).http1(gateway).await,
        web("application/grpc-web+proto", "\0\0\0\0\0").with("x-api-key", key).http2(gateway).await,
    ]
}

async fn alone(test: impl AsyncFnOnce(Mesh), settings: &[(&str, &str)]) {
    let mut builder = Mesh::builder(Layout::OneProcess, Engine::Sqlite);
    for (name, value) in settings {
        builder = builder.set(name, value);
    }
    let mesh = builder.start().await;
    let _shown = mesh.show_logs_of_a_failure();
    test(mesh).await;
}

#[test]
fn adv_cve_2025_64102_every_transport_counts_in_the_same_guard_and_known_keys_go_on() {
    run(Layout::OneProcess, Engine::Sqlite, |_| {
        alone(
            async |mesh| {
                let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
                tenant.who_am_i().await;
                let mistyped = format!("{}x", &tenant.key()[..tenant.key().len() - 1]);
                for key in [guess(tenant.key(), 1), mistyped] {
                    for answer in over_every_transport(mesh.gateway(), &key).await {
                        assert_eq!(reason(&answer), Reason::InvalidApiKey, "{answer:?}");
                    }
                }
                for key in [guess(tenant.key(), 2).as_str(), "nonsense", other.key()] {
                    for answer in over_every_transport(mesh.gateway(), key).await {
                        assert_eq!(reason(&answer), Reason::TooManyFailures, "{answer:?}");
                        assert!(answer.get("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=300).contains(&seconds)), "{answer:?}");
                    }
                }
                for answer in over_every_transport(mesh.gateway(), tenant.key()).await {
                    assert_eq!(answer.status, 200);
                }
                assert_eq!(tenant.who_am_i().await.group_id, tenant.group.id, "a key that has worked from here");
            },
            &[],
        )
    });
}

/// One wrong key after the other, each with another header that says where it comes from: how many were tried.
async fn tried(mesh: &Mesh, like: &str, headers: impl Iterator<Item = (&'static str, String)>) -> usize {
    let mut tried = 0;
    for (number, (name, value)) in headers.enumerate() {
        let refused =
            mesh_address(mesh).with_key(&guess(like, number % 1_000)).with(name, &value).keys().get_caller(GetCallerRequest {}).await.refused();
        assert!([Reason::InvalidApiKey, Reason::TooManyFailures].contains(&refused.reason), "{refused:?}");
        tried += usize::from(refused.reason == Reason::InvalidApiKey);
    }
    tried
}

/// This machine, over one connection.
fn mesh_address(mesh: &Mesh) -> Caller {
    Caller::new(mesh.gateway(), "")
}

#[test]
fn adv_cve_2026_45364_forged_forwarding_headers_change_nothing() {
    run(Layout::OneProcess, Engine::Sqlite, |_| {
        alone(
            async |mesh| {
                let key = mesh.owner().key().to_owned();
                let names = ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip"];
                let headers = (0..40u8).map(|number| (names[usize::from(number) % names.len()], format!("203.0.113.{number}")));
                assert_eq!(tried(&mesh, &key, headers).await, 10);
            },
            &[],
        )
    });
}

#[test]
fn adv_cve_2026_45364_behind_a_proxy_only_the_right_most_stranger_counts_in_every_spelling() {
    run(Layout::OneProcess, Engine::Sqlite, |_| {
        alone(
            async |mesh| {
                let key = mesh.owner().key().to_owned();
                let forwarded = |values: Vec<String>| values.into_iter().map(|value| ("x-forwarded-for", value));
                let spellings = [
                    "203.0.113.9",
                    "203.0.113.9:4711",
                    "::ffff:203.0.113.9",
                    "[::ffff:203.0.113.9]:80",
                    "::FFFF:CB00:7109",
                    "0:0:0:0:0:ffff:cb00:7109",
                    "198.51.100.1, 203.0.113.9",
                    "198.51.100.2,  203.0.113.9 , 127.0.0.1",
                    "nonsense, 203.0.113.9",
                ];
                let values = spellings.iter().cycle().take(36).map(|spelling| (*spelling).to_owned()).collect();
                assert_eq!(tried(&mesh, &key, forwarded(values)).await, 10);
                let hosts = (0..400u32).map(|host| format!("2001:db8:1:2:{:x}:{host:x}::{}", host % 7, host % 3)).collect();
                assert_eq!(tried(&mesh, &key, forwarded(hosts)).await, 10, "a /64");
                let unknown = (0..30u32).map(|number| format!("unknown-{number}")).collect();
                assert_eq!(tried(&mesh, &key, forwarded(unknown)).await, 10, "who has no address shares the proxy's");
                let others = (1..=5).map(|number| format!("2001:db8:1:{:x}::1", number + 2)).collect();
                assert_eq!(tried(&mesh, &key, forwarded(others)).await, 5, "other clients");
            },
            &[("ONE_GATEWAY_TRUSTED_PROXIES", "127.0.0.0/8")],
        )
    });
}

#[test]
fn guesses_that_are_spread_over_gateways_are_counted_together_and_what_has_worked_works_everywhere() {
    run(Layout::Split, Engine::Postgres, |_| async {
        let redis = Redis::start();
        let builder = Mesh::builder(Layout::Split, Engine::Postgres).gateways(4);
        let mesh = builder.set("ONE_REDIS_URL", redis.url()).set("ONE_REDIS_TIMEOUT", "30s").start().await;
        let _shown = mesh.show_logs_of_a_failure();
        let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
        tenant.who_am_i().await; // at the first gateway only
        let at = |number: usize, key: &str| tenant.with_key(key).reconnected(mesh.addr(Role::Gateway, number % 4));
        let guesses: Vec<Caller> = (0..80).map(|number| at(number, &guess(tenant.key(), number))).collect();
        let ask = async |caller: &Caller| caller.keys().get_caller(GetCallerRequest {}).await.refused().reason;
        let reasons = join_all(guesses.iter().map(ask)).await;
        assert_eq!(reasons.iter().filter(|reason| **reason == Reason::InvalidApiKey).count(), 10, "{reasons:?}");
        assert_eq!(reasons.iter().filter(|reason| **reason == Reason::TooManyFailures).count(), 70);
        for number in 0..4 {
            assert_eq!(ask(&at(number, other.key())).await, Reason::TooManyFailures, "a good key that never worked from here");
            assert_eq!(at(number, tenant.key()).who_am_i().await.group_id, tenant.group.id);
        }
    });
}
