//! What every backend does: one list, run against each of them.

#![allow(clippy::unwrap_used)]

use super::{Charges, Limiter, Memory, Name, Shared, Taken, Windows};
use crate::redis::{Policy, server::House};
use chassis::clock::Clock;
use futures::future::join_all;
use std::{sync::Arc, time::Duration};

/// A backend on which nothing is counted yet, a while before its minute ends.
trait Stage {
    type Limiter: Limiter;

    async fn open() -> Self;
    fn limiter(&self) -> &Arc<Self::Limiter>;
    /// All minutes of now are over.
    async fn minutes_pass(&self);
}

struct InMemory(Clock, Arc<Memory>);

impl Stage for InMemory {
    type Limiter = Memory;

    async fn open() -> Self {
        let clock = Clock::still(Duration::from_secs(20_000 * 86_400 + 43_227));
        Self(clock.clone(), Arc::new(Memory::new(clock)))
    }

    fn limiter(&self) -> &Arc<Memory> {
        &self.1
    }

    async fn minutes_pass(&self) {
        self.0.advance(Duration::from_secs(60));
    }
}

struct InRedis(House, Arc<Shared>);

impl Stage for InRedis {
    type Limiter = Shared;

    async fn open() -> Self {
        let house = House::open().await;
        let shared = Shared::new(house.link().await, Policy::Closed, Clock::system());
        Self(house, Arc::new(shared))
    }

    fn limiter(&self) -> &Arc<Shared> {
        &self.1
    }

    /// Its clock cannot be moved, so its keys end early; that they end in time of themselves has a test of its own.
    async fn minutes_pass(&self) {
        self.0.server.ask(&["EVAL", "for _, key in ipairs(redis.call('KEYS', '*:minute:*')) do redis.call('PEXPIRE', key, 0) end", "0"]);
    }
}

macro_rules! behaviours {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                super::$name(InMemory::open().await).await;
            })+
        }
        mod redis {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(InRedis::open().await).await;
            })+
        }
    };
}

behaviours![
    a_call_counts_in_all_windows_or_in_none,
    a_new_minute_begins_with_nothing_and_the_day_goes_on,
    a_charge_may_take_more_than_is_left,
    a_cost_beyond_the_limit_is_refused_and_costs_nothing,
    in_parallel_exactly_as_many_pass_as_there_are,
    a_limit_of_nothing_lets_nothing_pass,
    a_limit_that_is_lowered_or_raised_holds_at_once,
    a_subject_and_its_windows_are_apart_from_every_other,
    who_counts_says_when_and_a_window_ends_with_its_minute_and_day,
];

/// A key's minute, and its organisation's day.
fn windows(key: u128, minute: i64, organisation_day: i64) -> Windows {
    let mut windows = Windows::new(100, true);
    windows.push(key, Name::Minute, minute);
    windows.push(100, Name::OrganisationDay, organisation_day);
    windows
}

async fn taken(stage: &impl Stage, windows: &Windows, cost: u32) -> Taken {
    stage.limiter().take(windows, cost).await.unwrap()
}

async fn take(stage: &impl Stage, windows: &Windows, cost: u32) -> (Option<usize>, u64, u64) {
    let taken = taken(stage, windows, cost).await;
    (taken.refused, taken.left[0], taken.left[1])
}

async fn a_call_counts_in_all_windows_or_in_none(stage: impl Stage) {
    assert_eq!(take(&stage, &windows(1, 3, 5), 2).await, (None, 1, 3));
    assert_eq!(take(&stage, &windows(1, 3, 5), 2).await, (Some(0), 1, 3));
    assert_eq!(take(&stage, &windows(2, 3, 5), 3).await, (None, 0, 0));
    assert_eq!(take(&stage, &windows(1, 3, 5), 1).await, (Some(1), 1, 0));
    assert_eq!(take(&stage, &windows(1, 3, 5), 1).await, (Some(1), 1, 0), "a refused call costs nothing");
}

async fn a_new_minute_begins_with_nothing_and_the_day_goes_on(stage: impl Stage) {
    assert_eq!(take(&stage, &windows(1, 2, 5), 2).await, (None, 0, 3));
    assert_eq!(take(&stage, &windows(1, 2, 5), 1).await, (Some(0), 0, 3));
    stage.minutes_pass().await;
    assert_eq!(take(&stage, &windows(1, 2, 5), 1).await, (None, 1, 2));
}

async fn a_charge_may_take_more_than_is_left(stage: impl Stage) {
    let none = windows(1, 3, 50);
    stage.limiter().charge(&none, 40);
    // It is under way.
    while taken(&stage, &windows(1, 1_000, 50), 0).await.left[1] != 10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(take(&stage, &none, 1).await, (Some(0), 0, 10));
}

async fn a_cost_beyond_the_limit_is_refused_and_costs_nothing(stage: impl Stage) {
    assert_eq!(take(&stage, &windows(1, 10, 5), 6).await, (Some(1), 10, 5));
    assert_eq!(take(&stage, &windows(1, 10, 5), 5).await, (None, 5, 0));
    assert_eq!(take(&stage, &windows(1, 10, 5), u32::MAX).await, (Some(0), 5, 0));
}

async fn in_parallel_exactly_as_many_pass_as_there_are(stage: impl Stage) {
    let (windows, limiter) = (windows(1, 10_000, 500), stage.limiter().clone());
    let worker = || {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            let answers = join_all((0..200).map(|_| limiter.take(&windows, 1))).await;
            answers.into_iter().filter(|taken| taken.as_ref().unwrap().refused.is_none()).count()
        })
    };
    let passed: usize = join_all((0..8).map(|_| worker())).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(passed, 500);
    assert_eq!(take(&stage, &windows, 1).await, (Some(1), 9_500, 0));
}

async fn a_limit_of_nothing_lets_nothing_pass(stage: impl Stage) {
    assert_eq!(take(&stage, &windows(1, 0, 5), 1).await, (Some(0), 0, 5));
}

async fn a_limit_that_is_lowered_or_raised_holds_at_once(stage: impl Stage) {
    assert_eq!(take(&stage, &windows(1, 10, 100), 6).await, (None, 4, 94));
    assert_eq!(take(&stage, &windows(1, 3, 100), 1).await, (Some(0), 0, 94));
    assert_eq!(take(&stage, &windows(1, i64::MAX, 100), 1).await.0, None);
    assert_eq!(take(&stage, &windows(1, 8, 100), 1).await, (None, 0, 92));
}

async fn a_subject_and_its_windows_are_apart_from_every_other(stage: impl Stage) {
    let mut own = Windows::new(7, true);
    own.push(7, Name::Minute, 5);
    own.push(7, Name::Day, 9);
    assert_eq!(take(&stage, &own, 5).await, (None, 0, 4));
    let mut other = Windows::new(8, false);
    other.push(7 << 64, Name::Minute, 5);
    other.push(8, Name::Day, 9);
    assert_eq!(take(&stage, &other, 5).await, (None, 0, 4));
    assert_eq!(take(&stage, &windows(7 << 32, 5, 9), 5).await, (None, 0, 4));
}

async fn who_counts_says_when_and_a_window_ends_with_its_minute_and_day(stage: impl Stage) {
    let windows = windows(1, 10, 10);
    let first = taken(&stage, &windows, 1).await;
    assert!(first.at > Duration::from_secs(1_700_000_000), "{first:?}");
    for (window, length) in windows.iter().zip([60, 86_400]) {
        let resets = window.resets(first.at);
        assert!(resets > Duration::ZERO && resets <= Duration::from_secs(length), "{resets:?}");
        assert_eq!((first.at + resets).as_secs() % length, 0);
    }
    assert!(taken(&stage, &windows, 1).await.at >= first.at);
}
