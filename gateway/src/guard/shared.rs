//! The guard of all gateways together, in Redis.

use super::{FAILURES, PERIOD};
use crate::{
    address::Address,
    redis::{Away, Call, Link, Lua},
};
use std::{sync::Arc, time::Duration};

pub(crate) static ENTER: Lua = Lua::new(include_str!("enter.lua"));
pub(crate) static LEAVE: Lua = Lua::new(include_str!("leave.lua"));

/// A gateway that dies gives its places back by this time: twice as long as a proof may take.
const LEASE: Duration = Duration::from_secs(10);
/// What has worked is known for thirty days after it last did.
const KNOWN: u64 = 30 * 86_400;
/// Between two looks for a free place.
const LOOK: Duration = Duration::from_millis(25);

/// The way to the others.
pub(super) struct Shared(Arc<Link>);

/// A place that all gateways know of.
pub(super) struct Place {
    id: String,
    credential: u128,
    from: Address,
}

/// What the others say.
pub(super) enum Verdict {
    Place(Place),
    Worked,
    Banned(Duration),
    /// Nothing: each guards for itself.
    Away,
}

/// How an attempt ended.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Right,
    Wrong,
    Unknown,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Right => "right",
            Outcome::Wrong => "wrong",
            Outcome::Unknown => "none",
        }
    }
}

impl Place {
    fn new(credential: u128, from: Address) -> Self {
        Self { id: uuid::Uuid::new_v4().simple().to_string(), credential, from }
    }

    /// The script with what both take: all keys are the address's own.
    fn script(&self, lua: &'static Lua) -> Call<'static> {
        let client = self.from.client();
        let mut call = lua.over(4);
        call.arg(format!("onemesh:guard:{client:032x}:worked:{:032x}", self.credential));
        for what in ["ban", "failed", "pending"] {
            call.arg(format!("onemesh:guard:{client:032x}:{what}"));
        }
        call.arg(&self.id).arg(PERIOD.as_millis() as u64).arg(LEASE.as_millis() as u64).arg(KNOWN).arg(FAILURES);
        call
    }
}

impl Shared {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self(link)
    }

    /// A place, as soon as one is free.
    pub(super) async fn enter(&self, credential: u128, from: Address) -> Verdict {
        let place = Place::new(credential, from);
        loop {
            match self.0.ask::<(u8, u64)>(&place.script(&ENTER)).await {
                Ok((0, _)) => return Verdict::Place(place),
                Ok((1, _)) => return Verdict::Worked,
                Ok((2, left)) => return Verdict::Banned(Duration::from_millis(left)),
                Ok(_full) => tokio::time::sleep(LOOK).await,
                Err(Away) => {
                    self.0.decisions().taken("guard", "alone");
                    return Verdict::Away;
                }
            }
        }
    }

    /// For how long the address is silent from now on, if it is.
    pub(super) async fn leave(&self, place: Place, outcome: Outcome) -> Option<Duration> {
        let mut call = place.script(&LEAVE);
        call.arg(outcome.word());
        let left = self.0.ask::<u64>(&call).await.ok()?;
        (left > 0).then_some(Duration::from_millis(left))
    }

    /// Nobody waits for it.
    pub(super) fn forget(&self, place: Place) {
        let link = self.0.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { Shared(link).leave(place, Outcome::Unknown).await });
        }
    }
}
