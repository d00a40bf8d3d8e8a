//! Counts in this process; for one gateway alone.

use super::{Charges, Limiter, Taken, Window, Windows};
use crate::bounded::Bounded;
use contract::Refusal;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 64;
/// Counts of callers, each of which has a credential, and of addresses, of which anybody has many. Apart, so that strangers push only
/// strangers out.
const CALLERS: usize = 1 << 20;
const ADDRESSES: usize = 1 << 17;

/// One short lock of the shard in which all windows of a call stand, so that they change together.
#[derive(Debug)]
pub struct Memory {
    callers: Vec<Mutex<Bounded<Counts>>>,
    addresses: Vec<Mutex<Bounded<Counts>>>,
}

/// The present minute and the present day of one subject.
#[derive(Debug, Default)]
struct Counts {
    minute: Count,
    day: Count,
}

#[derive(Debug, Default)]
struct Count {
    number: u64,
    used: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new() -> Self {
        let table = |most: usize| (0..SHARDS).map(|_| Mutex::new(Bounded::new(most / SHARDS))).collect();
        Self { callers: table(CALLERS), addresses: table(ADDRESSES) }
    }

    fn shard(&self, windows: &Windows) -> MutexGuard<'_, Bounded<Counts>> {
        let table = if windows.known { &self.callers } else { &self.addresses };
        let mixed = (windows.shard ^ (windows.shard >> 64)) as u64;
        let at = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        table[at as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The count of that window, from nothing when a new one has begun.
fn count<'a>(counts: &'a mut Bounded<Counts>, window: &Window) -> &'a mut Count {
    let of = counts.entry(window.subject, Counts::default);
    let count = if window.name.seconds() == 60 { &mut of.minute } else { &mut of.day };
    if count.number != window.number {
        *count = Count { number: window.number, used: 0 };
    }
    count
}

impl Limiter for Memory {
    async fn take(&self, windows: &Windows, cost: u32) -> Result<Taken, Refusal> {
        let (mut shard, mut taken, cost) = (self.shard(windows), Taken::default(), u64::from(cost));
        for (at, window) in windows.iter().enumerate() {
            taken.left[at] = window.limit.saturating_sub(count(&mut shard, window).used);
            if taken.left[at] < cost {
                taken.refused = taken.refused.or(Some(at));
            }
        }
        if taken.refused.is_none() {
            for (at, window) in windows.iter().enumerate() {
                count(&mut shard, window).used += cost;
                taken.left[at] -= cost;
            }
        }
        Ok(taken)
    }
}

impl Charges for Memory {
    fn charge(&self, windows: &Windows, cost: u32) {
        let mut shard = self.shard(windows);
        for window in windows.iter() {
            let count = count(&mut shard, window);
            count.used = count.used.saturating_add(u64::from(cost));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::limiter::Name;
    use futures::FutureExt;
    use std::time::Duration;

    fn windows(key: u128, minute: i64, organisation_day: i64, seconds: u64) -> Windows {
        let mut windows = Windows::new(100, true);
        windows.push(key, Name::Minute, minute, Duration::from_secs(seconds));
        windows.push(100, Name::OrganisationDay, organisation_day, Duration::from_secs(seconds));
        windows
    }

    async fn take(memory: &Memory, windows: &Windows, cost: u32) -> (Option<usize>, u64, u64) {
        let taken = memory.take(windows, cost).await.unwrap();
        (taken.refused, taken.left[0], taken.left[1])
    }

    #[tokio::test]
    async fn a_call_counts_in_all_windows_or_in_none() {
        let memory = Memory::new();
        assert_eq!(take(&memory, &windows(1, 3, 5, 0), 2).await, (None, 1, 3));
        assert_eq!(take(&memory, &windows(1, 3, 5, 0), 2).await, (Some(0), 1, 3));
        assert_eq!(take(&memory, &windows(2, 3, 5, 0), 3).await, (None, 0, 0));
        assert_eq!(take(&memory, &windows(1, 3, 5, 0), 1).await, (Some(1), 1, 0));
        assert_eq!(take(&memory, &windows(1, 3, 5, 0), 1).await, (Some(1), 1, 0), "a refused call costs nothing");
    }

    #[tokio::test]
    async fn a_new_minute_begins_with_nothing_and_the_day_goes_on() {
        let memory = Memory::new();
        assert_eq!(take(&memory, &windows(1, 2, 5, 59), 2).await, (None, 0, 3));
        assert_eq!(take(&memory, &windows(1, 2, 5, 60), 1).await, (None, 1, 2));
        assert_eq!(take(&memory, &windows(1, 2, 5, 86_400), 1).await, (None, 1, 4));
    }

    #[tokio::test]
    async fn a_charge_may_take_more_than_is_left() {
        let memory = Memory::new();
        memory.charge(&windows(1, 3, 50, 0), 40);
        assert_eq!(take(&memory, &windows(1, 3, 50, 0), 1).await, (Some(0), 0, 10));
    }

    #[tokio::test]
    async fn strangers_do_not_grow_the_table_nor_push_callers_out() {
        let memory = Memory::new();
        take(&memory, &windows(1, 3, 5, 0), 2).await;
        for address in 0..3 * ADDRESSES as u128 {
            let mut windows = Windows::new(address, false);
            windows.push(address, Name::Minute, 60, Duration::ZERO);
            memory.take(&windows, 1).await.unwrap();
        }
        let held: usize = memory.addresses.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(held <= ADDRESSES);
        assert_eq!(take(&memory, &windows(1, 3, 5, 0), 1).await, (None, 0, 2));
    }

    #[test]
    fn in_parallel_no_more_is_taken_than_there_is() {
        let memory = Memory::new();
        let taken: usize = std::thread::scope(|scope| {
            let worker = || (0..1_000).filter(|_| take(&memory, &windows(1, 500, -1, 0), 1).now_or_never().unwrap().0.is_none()).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(taken, 500);
    }
}
