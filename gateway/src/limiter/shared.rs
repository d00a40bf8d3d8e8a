//! Counts in Redis, for all gateways together.
//!
//! A call is one script: it reads all windows, counts in all or in none, and tells the time, so what passes is exactly what is allowed
//! however many gateways ask. A window is a key that Redis itself lets end. While Redis is away each gateway counts alone ([`Policy`]),
//! on from the last number it has seen; when it is back, each tells what it knows before it asks again. So a Redis that lost its memory gets
//! it back, and what was counted alone is not forgotten. A call whose answer was late may be counted twice: against the caller, and seldom.

use super::{
    Charges, Limiter, MOST, Name, Taken, Windows,
    table::{Entry, Known, Place, Table},
};
use crate::redis::{Away, Call, Link, Lua, Policy, Recover, uncounted};
use chassis::clock::Clock;
use contract::Refusal;
use redis::{RedisResult, aio::MultiplexedConnection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) static TAKE: Lua = Lua::new(include_str!("take.lua"));
pub(crate) static MERGE: Lua = Lua::new(include_str!("merge.lua"));

/// Later charges that are under way at once; more are counted alone.
const CHARGES: usize = 1_024;
/// Windows in one script of a recovery: a few hundred microseconds of Redis's only thread.
const TOLD: usize = 256;
/// How long the end may wait for charges.
const LAST: Duration = Duration::from_secs(1);
/// Lua counts in doubles; a larger limit than this is as good as none.
const LARGEST: u64 = 1 << 53;

/// The limiter that all gateways of one Redis share. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: Arc<Link>,
    policy: Policy,
    clock: Clock,
    /// Redis's clock against ours, microseconds.
    ahead: AtomicI64,
    /// What was seen, and what was counted alone.
    table: Table,
    charges: Arc<Semaphore>,
}

/// What a script tells of the windows.
type Told = Vec<i64>;

impl Shared {
    /// Over this link; without it, by this policy.
    #[must_use]
    pub fn new(link: Arc<Link>, policy: Policy, clock: Clock) -> Self {
        let (ahead, charges) = (AtomicI64::new(0), Arc::new(Semaphore::new(CHARGES)));
        Self(Arc::new(Inner { link, policy, clock, ahead, table: Table::new(), charges }))
    }
}

/// `onemesh:limit:day:0190a3f0…`: a subject's minutes follow one another under one name, for each ends before the next begins.
fn key(name: Name, subject: u128) -> String {
    let window = match name {
        Name::Minute | Name::OrganisationMinute => "minute",
        Name::Day | Name::OrganisationDay => "day",
    };
    format!("onemesh:limit:{window}:{subject:032x}")
}

/// The script over these windows; a charge has no limit.
fn script(windows: &Windows, cost: u32, limited: bool) -> Call<'static> {
    let mut call = TAKE.over(windows.len());
    for window in windows.iter() {
        call.arg(key(window.name, window.subject));
    }
    call.arg(cost);
    for window in windows.iter() {
        let limit = if limited { window.limit.min(LARGEST).cast_signed() } else { -1 };
        call.arg(window.name.seconds()).arg(limit);
    }
    call
}

impl Inner {
    /// Redis's time, as far as we know it: windows counted alone end when they would have ended there.
    fn now(&self) -> Duration {
        let micros = self.clock.micros().saturating_add(self.ahead.load(Relaxed));
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }

    /// What Redis told, kept for the time when it is away.
    fn learn(&self, windows: &Windows, told: &[i64]) -> Result<Taken, Away> {
        let [seconds, micros, refused, used @ ..] = told else { return Err(Away) };
        let number = |of: &i64| u64::try_from(*of).unwrap_or_default();
        let at = Duration::from_secs(number(seconds)) + Duration::from_micros(number(micros));
        self.ahead.store(i64::try_from(at.as_micros()).unwrap_or(i64::MAX).saturating_sub(self.clock.micros()), Relaxed);
        let mut all = [0; MOST];
        all.iter_mut().zip(used).for_each(|(to, of)| *to = number(of));
        self.table.learn(windows, &all, at);
        let left = std::array::from_fn(|at| windows.get(at).map_or(0, |window| window.limit.saturating_sub(all[at])));
        Ok(Taken { left, refused: usize::try_from(*refused).ok().and_then(|at| at.checked_sub(1)), at })
    }

    fn alone(&self, windows: &Windows, cost: u32) -> Result<Taken, Refusal> {
        match self.policy {
            Policy::Local => {
                self.link.decisions().taken("limit", "alone");
                Ok(self.table.take(windows, cost, self.now(), Known::Alone))
            }
            Policy::Closed => {
                self.link.decisions().taken("limit", "refused");
                Err(uncounted())
            }
        }
    }
}

impl Recover for Inner {
    /// All that is known here and not over.
    async fn recover(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        for place in Place::all() {
            let entries = self.table.share(place, self.now());
            for (number, told) in entries.chunks(TOLD).enumerate() {
                if let Err(error) = tell(connection, told).await {
                    entries[number * TOLD..].iter().for_each(|entry| self.table.keep_alone(entry));
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

async fn tell(connection: &mut MultiplexedConnection, entries: &[Entry]) -> RedisResult<()> {
    let mut call = MERGE.over(entries.len());
    for entry in entries {
        call.arg(key(entry.name, entry.subject));
    }
    for entry in entries {
        call.arg(entry.name.seconds()).arg(entry.number).arg(entry.used - entry.alone).arg(entry.alone);
    }
    call.run::<i64>(connection).await.map(drop)
}

impl Limiter for Shared {
    async fn take(&self, windows: &Windows, cost: u32) -> Result<Taken, Refusal> {
        let told = self.0.link.ask::<Told>(&script(windows, cost, true)).await;
        match told.and_then(|told| self.0.learn(windows, &told)) {
            Ok(taken) => Ok(taken),
            Err(Away) => self.0.alone(windows, cost),
        }
    }

    async fn run(&self, stop: CancellationToken) {
        self.0.link.keep(&stop, &*self.0).await;
        // The last charges; who hangs is not waited for.
        let _ = tokio::time::timeout(LAST, self.0.charges.acquire_many(CHARGES as u32)).await;
    }
}

impl Charges for Shared {
    fn charge(&self, windows: &Windows, cost: u32) {
        let (inner, windows) = (self.0.clone(), *windows);
        let Ok(permit) = inner.charges.clone().try_acquire_owned() else {
            return inner.table.charge(&windows, cost, inner.now(), Known::Alone);
        };
        tokio::spawn(async move {
            let told = inner.link.ask::<Told>(&script(&windows, cost, false)).await;
            if told.and_then(|told| inner.learn(&windows, &told)).is_err() {
                inner.table.charge(&windows, cost, inner.now(), Known::Alone);
            }
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests;
