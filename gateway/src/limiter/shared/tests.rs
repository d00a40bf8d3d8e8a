//! What only a limiter with a Redis can do, and what it does when the Redis goes.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    address::Address,
    limiter::Charges,
    redis::server::{Gateway, House, eventually},
};
use contract::Reason;
use futures::{FutureExt, future::join_all};
use std::{collections::HashSet, net::IpAddr};

fn windows(day: i64) -> Windows {
    let mut windows = Windows::new(100, true);
    windows.push(1, Name::Minute, 1_000_000);
    windows.push(100, Name::OrganisationDay, day);
    windows
}

/// A stranger chooses an address, and not one that counts where a key or an organisation does.
#[test]
fn adv_cve_2026_46668_no_two_subjects_share_a_window() {
    let ids = [uuid::Uuid::new_v4(), uuid::Uuid::now_v7()].map(|id| id.as_u128());
    let alike = ids.iter().flat_map(|id| [IpAddr::from(id.to_be_bytes()), IpAddr::from((*id as u32).to_be_bytes())]);
    let addresses = alike.chain([IpAddr::from([0; 4]), IpAddr::from([0; 16])]).map(|ip| Address::of(ip).client());
    let subjects: HashSet<u128> = ids.into_iter().chain(addresses).collect();
    assert_eq!(subjects.len(), 2 + 4 + 2, "an address is no id");
    let keys: HashSet<String> = [Name::Minute, Name::Day].into_iter().flat_map(|name| subjects.iter().map(move |id| key(name, *id))).collect();
    assert_eq!(keys.len(), 2 * subjects.len());
}

async fn passes(gateway: &Gateway, day: i64) -> bool {
    gateway.limiter.take(&windows(day), 1).await.unwrap().refused.is_none()
}

/// How many of so many pass.
async fn pass(gateway: &Gateway, calls: usize, day: i64) -> usize {
    join_all((0..calls).map(|_| passes(gateway, day))).await.into_iter().filter(|passed| *passed).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_gateways_together_let_exactly_the_allowed_number_pass() {
    let house = House::open().await;
    let gateways = [house.gateway(Policy::Closed).await, house.gateway(Policy::Closed).await, house.gateway(Policy::Closed).await];
    let passed: usize = join_all(gateways.iter().map(|gateway| pass(gateway, 400, 700))).await.into_iter().sum();
    assert_eq!(passed, 700);
}

#[tokio::test]
async fn each_window_is_a_key_that_ends_with_it() {
    let house = House::open().await;
    let gateway = house.gateway(Policy::Closed).await;
    let windows = windows(10);
    for _ in 0..3 {
        let taken = gateway.limiter.take(&windows, 1).await.unwrap();
        for window in windows.iter() {
            let ends = (taken.at + window.resets(taken.at)).as_secs();
            assert_eq!(house.server.ask(&["EXPIRETIME", &key(window.name, window.subject)]), ends.to_string(), "{window:?}");
        }
    }
    assert_eq!(house.server.ask(&["DBSIZE"]), "2");
}

#[tokio::test]
async fn a_redis_that_stands_still_is_asked_once_and_each_gateway_goes_on_from_its_last_number() {
    let house = House::open().await;
    let (gateway, other) = (house.gateway(Policy::Local).await, house.gateway(Policy::Local).await);
    assert_eq!(pass(&gateway, 3, 10).await, 3);
    house.server.signal("STOP");
    assert!(passes(&gateway, 10).await, "the one that had to wait");
    assert!(!gateway.link.is_connected());
    let at_once = passes(&gateway, 10).now_or_never();
    assert_eq!(at_once, Some(true), "nobody waits after it");
    assert_eq!(pass(&gateway, 20, 10).await, 5);
    assert!(house.away("limit", "alone") >= 22);
    house.server.signal("CONT");
    eventually(|| async { gateway.link.is_connected() }).await;
    assert!(!passes(&other, 10).await, "what was counted alone is known to all");
    assert!(!passes(&gateway, 10).await);
}

#[tokio::test]
async fn where_nothing_may_pass_uncounted_it_is_refused_until_redis_is_back() {
    let house = House::open().await;
    let gateway = house.gateway(Policy::Closed).await;
    house.server.signal("STOP");
    for _ in 0..2 {
        let refusal = gateway.limiter.take(&windows(10), 1).await.unwrap_err();
        assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::LimiterUnavailable, Some(Duration::from_secs(1))));
    }
    assert_eq!(house.away("limit", "refused"), 2);
    house.server.signal("CONT");
    eventually(|| async { gateway.limiter.take(&windows(10), 1).await.is_ok() }).await;
}

#[tokio::test]
async fn a_redis_that_lost_its_memory_gets_it_back() {
    let house = House::open().await;
    let (gateway, other) = (house.gateway(Policy::Local).await, house.gateway(Policy::Local).await);
    assert_eq!((pass(&gateway, 4, 10).await, pass(&other, 2, 10).await), (4, 2));
    house.server.restart();
    assert_eq!((pass(&gateway, 1, 10).await, pass(&other, 1, 10).await), (1, 1), "alone");
    eventually(|| async { gateway.link.is_connected() && other.link.is_connected() }).await;
    // The other had seen 6 and counted one. The first had seen 4, and its one more is known again if it is told after that.
    let counted: usize = house.server.ask(&["GET", &key(Name::Day, 100)]).parse().unwrap();
    assert!((7..=8).contains(&counted), "{counted}");
    assert_eq!(pass(&gateway, 5, 10).await, 10 - counted);
}

#[tokio::test]
async fn it_starts_without_a_redis_and_finds_it_when_it_comes() {
    let house = House::open().await;
    house.server.stop();
    let gateway = house.gateway(Policy::Local).await;
    assert!(!gateway.link.is_connected());
    assert_eq!(pass(&gateway, 20, 10).await, 10);
    house.server.restart();
    eventually(|| async { gateway.link.is_connected() }).await;
    assert!(!passes(&gateway, 10).await);
    assert!(!passes(&house.gateway(Policy::Local).await, 10).await);
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_sent_again() {
    let house = House::open().await;
    let gateway = house.gateway(Policy::Closed).await;
    house.server.ask(&["SCRIPT", "FLUSH"]);
    assert_eq!(pass(&gateway, 3, 10).await, 3);
    assert!(gateway.link.is_connected());
}

#[tokio::test]
async fn charges_are_counted_before_the_end_and_without_redis_alone() {
    let house = House::open().await;
    let gateway = house.gateway(Policy::Local).await;
    (0..50).for_each(|_| gateway.limiter.charge(&windows(100), 1));
    gateway.end().await;
    assert_eq!(house.server.ask(&["GET", &key(Name::Day, 100)]), "50");
    let gateway = house.gateway(Policy::Local).await;
    assert!(passes(&gateway, 100).await);
    house.server.signal("STOP");
    gateway.limiter.charge(&windows(100), 40);
    eventually(|| async { gateway.limiter.0.table.take(&windows(100), 0, gateway.limiter.0.now(), Known::Alone).left[1] == 9 }).await;
    house.server.signal("CONT");
}
