//! The Redis that gateways share: one connection, scripts, and what happens while it is away.
//!
//! A call never waits for a Redis that is dead or slow. The first answer that is late or wrong breaks the link; from then on every question
//! is answered [`Away`] at once, and one prober, with jitter, dials until a new connection has answered. So not a connection manager: it
//! would keep a connection whose peer has vanished without a word until TCP gives it up, a quarter of an hour later.

mod link;
mod lua;
#[cfg(test)]
pub(crate) mod server;

pub(crate) use link::Recover;
pub use link::{BadUrl, Link};
pub(crate) use lua::{Call, Lua};

use contract::{Reason, Refusal};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Meter},
};
use std::time::Duration;

/// Redis gives no answer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away;

/// What to do with what cannot be counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Each gateway counts alone, from its last seen number.
    #[default]
    Local,
    /// Nothing passes uncounted: UNAVAILABLE.
    Closed,
}

/// What was decided without Redis, and whether it is there.
#[derive(Clone, Debug)]
pub struct Decisions {
    taken: Counter<u64>,
    connected: Gauge<u64>,
}

impl Decisions {
    /// On the meter of this process.
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        let taken =
            meter.u64_counter("gateway.redis.away").with_description("Decisions taken without Redis, by what was asked and how it was decided.");
        let connected = meter.u64_gauge("gateway.redis.connected").with_description("1 while Redis answers, 0 while each gateway decides alone.");
        Self { taken: taken.build(), connected: connected.build() }
    }

    /// One decision: `what` is `limit` or `guard`, `decided` is `alone` or `refused`.
    pub(crate) fn taken(&self, what: &'static str, decided: &'static str) {
        self.taken.add(1, &[KeyValue::new("asked", what), KeyValue::new("decided", decided)]);
    }

    fn connected(&self, is: bool) {
        self.connected.record(is.into(), &[]);
    }
}

/// The answer to a call that would have to be counted, where [`Policy::Closed`] wants all of them counted.
pub(crate) fn uncounted() -> Refusal {
    Refusal::new(Reason::LimiterUnavailable, "requests cannot be counted now; try again in a moment").retry(Duration::from_secs(1))
}
