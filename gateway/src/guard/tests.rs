//! What the guard does: one list, run by one gateway alone and by three that share a Redis. There no two attempts in a row are the same
//! gateway's.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::redis::{Policy, server};
use futures::future::join_all;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

struct House {
    clock: Clock,
    guards: Vec<Guard>,
    next: AtomicUsize,
    credentials: AtomicU32,
    redis: Option<(server::House, Vec<server::Gateway>)>,
}

/// Everything in Redis is older by so many milliseconds.
const AGES: &str = r"
for _, key in ipairs(redis.call('KEYS', 'onemesh:guard:*')) do
    if redis.call('TYPE', key).ok == 'zset' then
        for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -ARGV[1], member) end
    end
    redis.call('PEXPIRE', key, redis.call('PTTL', key) - ARGV[1])
end";

impl House {
    fn alone() -> Self {
        let clock = Clock::still(Duration::from_secs(1_000_000));
        Self { guards: vec![Guard::new(clock.clone(), None)], clock, next: 0.into(), credentials: 1.into(), redis: None }
    }

    async fn shared() -> Self {
        let (clock, redis) = (Clock::still(Duration::from_secs(1_000_000)), server::House::open().await);
        let gateways = vec![redis.gateway(Policy::Local).await, redis.gateway(Policy::Local).await, redis.gateway(Policy::Local).await];
        let guards = gateways.iter().map(|gateway| Guard::new(clock.clone(), Some(gateway.link.clone()))).collect();
        Self { clock, guards, next: 0.into(), credentials: 1.into(), redis: Some((redis, gateways)) }
    }

    /// The next gateway.
    fn guard(&self) -> &Guard {
        &self.guards[self.next.fetch_add(1, Relaxed) % self.guards.len()]
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        if let Some((redis, _)) = &self.redis {
            redis.server.ask(&["EVAL", AGES, "0", &time.as_millis().to_string()]);
        }
    }

    /// A wrong one that nobody has sent before: whether it was tried.
    async fn guess(&self, ip: &str) -> bool {
        self.wrong(self.credentials.fetch_add(1, Relaxed).into(), ip).await.is_ok()
    }

    async fn wrong(&self, credential: u128, ip: &str) -> Result<(), Refusal> {
        let attempt = self.guard().attempt(credential, address(ip)).await?;
        tokio::task::yield_now().await; // as identity does: others come meanwhile
        attempt.wrong().await;
        Ok(())
    }

    async fn right(&self, credential: u128, ip: &str) -> Result<(), Reason> {
        let attempt = self.guard().attempt(credential, address(ip)).await.map_err(|refusal| refusal.reason())?;
        tokio::task::yield_now().await;
        attempt.right().await;
        Ok(())
    }

    async fn ban(&self, ip: &str) {
        for _ in 0..FAILURES {
            assert!(self.guess(ip).await);
        }
    }
}

fn address(ip: &str) -> Address {
    Address::of(ip.parse().unwrap())
}

/// So high that no guess is it.
fn key(number: u128) -> u128 {
    number << 64
}

const HERE: &str = "192.0.2.1";
const THERE: &str = "192.0.2.2";
const SILENCED: Result<(), Reason> = Err(Reason::TooManyFailures);

macro_rules! behaviours {
    ($($name:ident),+ $(,)?) => {
        mod alone {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::alone()).await;
            })+
        }
        mod shared {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::House::shared().await).await;
            })+
        }
    };
}

behaviours![
    the_eleventh_guess_is_refused_for_five_minutes_from_the_tenth,
    of_many_parallel_guesses_ten_are_tried,
    right_attempts_cost_nothing_however_many_at_once,
    an_attempt_that_nobody_ends_gives_its_place_back,
    a_failure_counts_for_five_minutes_and_not_until_the_next_full_ones,
    failures_during_a_ban_neither_lengthen_nor_end_it,
    what_has_worked_from_an_address_is_never_refused_there,
    what_has_worked_elsewhere_only_is_refused_like_any_guess,
    what_is_no_credential_by_its_form_is_a_guess,
    adv_cve_2026_45364_ten_thousand_addresses_of_one_64_are_one,
    adv_cve_2026_45364_a_spelling_is_not_another_address,
];

async fn the_eleventh_guess_is_refused_for_five_minutes_from_the_tenth(house: House) {
    for _ in 0..10 {
        assert!(house.guess(HERE).await);
        house.pass(Duration::from_secs(20));
    }
    for _ in 0..house.guards.len() {
        let refused = house.wrong(77, HERE).await.unwrap_err();
        let retry = refused.retry_after().unwrap();
        assert!(retry <= Duration::from_secs(280) && retry > Duration::from_secs(240), "{retry:?}");
        assert_eq!(refused.reason(), Reason::TooManyFailures);
    }
    assert!(house.guess(THERE).await, "another address");
    house.pass(Duration::from_secs(281));
    assert!(house.guess(HERE).await);
}

async fn of_many_parallel_guesses_ten_are_tried(house: House) {
    let tried = join_all((0..300).map(|_| house.guess(HERE))).await;
    assert_eq!(tried.into_iter().filter(|tried| *tried).count(), 10);
}

async fn right_attempts_cost_nothing_however_many_at_once(house: House) {
    assert!(join_all((0..100).map(|number| house.right(key(number), HERE))).await.into_iter().all(|answer| answer.is_ok()));
    for _ in 0..9 {
        assert!(house.guess(HERE).await);
    }
    assert!(join_all((100..130).map(|number| house.right(key(number), HERE))).await.into_iter().all(|answer| answer.is_ok()));
    assert!(house.guess(HERE).await);
    assert!(!house.guess(HERE).await);
}

async fn an_attempt_that_nobody_ends_gives_its_place_back(house: House) {
    for number in 0..30 {
        drop(house.guard().attempt(key(number), address(HERE)).await.unwrap());
    }
    house.ban(HERE).await;
    assert!(!house.guess(HERE).await);
}

async fn a_failure_counts_for_five_minutes_and_not_until_the_next_full_ones(house: House) {
    for _ in 0..5 {
        assert!(house.guess(HERE).await);
    }
    house.pass(Duration::from_secs(200));
    for _ in 0..4 {
        assert!(house.guess(HERE).await);
    }
    house.pass(Duration::from_secs(101)); // five are forgotten
    for _ in 0..6 {
        assert!(house.guess(HERE).await, "four and six in the last five minutes");
    }
    assert!(!house.guess(HERE).await);
}

async fn failures_during_a_ban_neither_lengthen_nor_end_it(house: House) {
    house.ban(HERE).await;
    for _ in 0..5 {
        house.pass(Duration::from_secs(50));
        for _ in 0..2 * FAILURES {
            assert!(!house.guess(HERE).await);
            assert!(house.guard().failed(address(HERE)).await.is_err());
        }
    }
    house.pass(Duration::from_secs(51));
    house.ban(HERE).await;
    assert!(!house.guess(HERE).await);
}

async fn what_has_worked_from_an_address_is_never_refused_there(house: House) {
    house.right(key(1), HERE).await.unwrap();
    house.ban(HERE).await;
    for _ in 0..2 * house.guards.len() {
        assert_eq!(house.right(key(1), HERE).await, Ok(()), "whichever gateway it comes to");
        assert_eq!(house.right(key(2), HERE).await, SILENCED);
    }
}

async fn what_has_worked_elsewhere_only_is_refused_like_any_guess(house: House) {
    house.right(key(1), THERE).await.unwrap();
    house.ban(HERE).await;
    for _ in 0..house.guards.len() {
        assert_eq!(house.right(key(1), HERE).await, SILENCED);
        assert!(house.guards.iter().all(|guard| !guard.knows(key(1), address(HERE))));
        assert_eq!(house.right(key(1), THERE).await, Ok(()));
    }
}

async fn what_is_no_credential_by_its_form_is_a_guess(house: House) {
    for _ in 0..5 {
        house.guard().failed(address(HERE)).await.unwrap();
        assert!(house.guess(HERE).await);
    }
    assert_eq!(house.guard().failed(address(HERE)).await.unwrap_err().reason(), Reason::TooManyFailures);
    assert!(!house.guess(HERE).await);
}

async fn adv_cve_2026_45364_ten_thousand_addresses_of_one_64_are_one(house: House) {
    let mut tried = 0;
    for host in 0..10_000u32 {
        tried += u32::from(house.guess(&format!("2001:db8:1:2:{:x}:{host:x}:7:9", host % 97)).await);
    }
    assert_eq!(tried, 10);
    assert!(house.guess("2001:db8:1:3::1").await);
}

async fn adv_cve_2026_45364_a_spelling_is_not_another_address(house: House) {
    let spellings = [
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "::ffff:c000:201",
        "::FFFF:C000:0201",
        "0:0:0:0:0:ffff:192.0.2.1",
        "0000:0000:0000:0000:0000:ffff:c000:0201",
    ];
    for number in 0..10 {
        assert!(house.guess(spellings[number % spellings.len()]).await);
    }
    for spelling in spellings {
        assert!(!house.guess(spelling).await, "{spelling}");
    }
}

#[tokio::test]
async fn the_tables_are_bounded_under_an_attack_from_everywhere() {
    let house = House::alone();
    for number in 0..3 * MOST as u32 {
        let from = Address::of(std::net::Ipv4Addr::from_bits(number).into());
        house.guards[0].attempt(1, from).await.unwrap().wrong().await;
        house.guards[0].attempt(key(number.into()), from).await.unwrap().right().await;
    }
    assert!(house.guards[0].suspects.lock().unwrap().len() <= MOST);
    assert!(house.guards[0].worked.len() <= worked::MOST);
}

#[tokio::test]
async fn when_redis_goes_each_gateway_guards_alone_from_what_it_has_seen() {
    let house = House::shared().await;
    let (redis, _) = house.redis.as_ref().unwrap();
    for guard in &house.guards {
        guard.attempt(key(1), address(HERE)).await.unwrap().right().await;
    }
    house.ban(THERE).await;
    for _ in 0..house.guards.len() {
        assert!(!house.guess(THERE).await);
    }
    redis.server.signal("STOP");
    for _ in 0..house.guards.len() {
        assert!(!house.guess(THERE).await, "the ban is remembered");
    }
    let mut tried = 0;
    for _ in 0..20 * house.guards.len() {
        tried += usize::from(house.guess(HERE).await);
    }
    assert_eq!(tried, 10 * house.guards.len());
    assert_eq!(house.right(key(1), HERE).await, Ok(()));
    assert!(redis.away("guard", "alone") > 0);
    redis.server.signal("CONT");
}
