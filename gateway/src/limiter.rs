//! How many requests there may be: the windows, and who counts them.
//!
//! Two backends, one behaviour (`limiter/behaviours.rs` is the list that runs against both): [`Memory`] for one gateway alone, which keeps its
//! counts in a file, and [`Shared`] in Redis for many. Whoever counts also tells the time of the count: windows end by its clock.

mod backend;
#[cfg(test)]
mod behaviours;
mod file;
mod memory;
mod shared;
mod table;

pub use backend::Backend;
pub use memory::Memory;
pub use shared::Shared;
pub(crate) use shared::{MERGE, TAKE};

use contract::Refusal;
use std::{future::Future, time::Duration};
use tokio_util::sync::CancellationToken;

/// As many windows as one call can have: two of the credential, two of its organisation.
pub const MOST: usize = 4;

/// Counts calls in windows. What is counted here is shared by all gateways that share the backend.
pub trait Limiter: Charges {
    /// Counts `cost` in every window, or, where one has not enough left, in none.
    ///
    /// # Errors
    /// The backend is away, and does not want calls to pass uncounted.
    fn take(&self, windows: &Windows, cost: u32) -> impl Future<Output = Result<Taken, Refusal>> + Send;

    /// What has to be done beside counting, until `stop`; when it returns, nothing is left to be done.
    fn run(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send;
}

/// The later charge of what a call really cost.
pub trait Charges: Send + Sync + 'static {
    /// Counts `cost` in every window as it stands now, be it more than is left. It must not block; whom it cannot reach it may forget.
    fn charge(&self, windows: &Windows, cost: u32);
}

/// Which window, by its name on the wire. They are fixed: the UTC minute and the UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// The credential's minute.
    Minute,
    /// The credential's day.
    Day,
    /// The whole organisation's minute.
    OrganisationMinute,
    /// The whole organisation's day.
    OrganisationDay,
}

impl Name {
    /// As the RateLimit headers and the refusal name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Name::Minute => "minute",
            Name::Day => "day",
            Name::OrganisationMinute => "organisation-minute",
            Name::OrganisationDay => "organisation-day",
        }
    }

    /// Its length.
    #[must_use]
    pub fn seconds(self) -> u64 {
        match self {
            Name::Minute | Name::OrganisationMinute => 60,
            Name::Day | Name::OrganisationDay => 86_400,
        }
    }

    /// Which one it is at that time, counted since 1970.
    #[must_use]
    pub fn number(self, at: Duration) -> u64 {
        at.as_secs() / self.seconds()
    }
}

/// A bucket in time, and how much it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Whose it is: an id, or an address. Both are of 128 bits and nobody chooses an id.
    pub subject: u128,
    /// Which one.
    pub name: Name,
    /// How much it takes.
    pub limit: u64,
}

impl Window {
    /// How long after `at` it begins anew.
    #[must_use]
    pub fn resets(&self, at: Duration) -> Duration {
        Duration::from_secs((self.name.number(at) + 1) * self.name.seconds()).saturating_sub(at)
    }
}

/// The windows of one call.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// What they have in common, so that a backend can keep them together: the organisation, or the address.
    pub shard: u128,
    /// The callers are known, so there are only so many of them.
    pub known: bool,
    all: [Window; MOST],
    count: usize,
}

impl Windows {
    /// None yet.
    #[must_use]
    pub fn new(shard: u128, known: bool) -> Self {
        Self { shard, known, all: [Window { subject: 0, name: Name::Minute, limit: 0 }; MOST], count: 0 }
    }

    /// One more, unless the limit is negative, which is none.
    ///
    /// # Panics
    /// Beyond [`MOST`].
    pub fn push(&mut self, subject: u128, name: Name, limit: i64) {
        if let Ok(limit) = u64::try_from(limit) {
            self.all[self.count] = Window { subject, name, limit };
            self.count += 1;
        }
    }
}

impl std::ops::Deref for Windows {
    type Target = [Window];

    fn deref(&self) -> &[Window] {
        &self.all[..self.count]
    }
}

/// What is left of each window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// In the order of the windows, after this call.
    pub left: [u64; MOST],
    /// The first window that had not enough left; then nothing was counted.
    pub refused: Option<usize>,
    /// When it was counted, since 1970, by the clock of who counts.
    pub at: Duration,
}

impl Taken {
    /// Of the window that is nearest to its end.
    #[must_use]
    pub fn tightest(&self, windows: &Windows) -> Option<usize> {
        let share = |at: &usize| (u128::from(self.left[*at]) << 32) / u128::from(windows[*at].limit.max(1));
        (0..windows.len()).min_by_key(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_window_is_the_one_with_the_least_share_left() {
        let mut windows = Windows::new(1, true);
        for (name, limit) in [(Name::Minute, 60), (Name::Day, 10_000), (Name::OrganisationMinute, -1), (Name::OrganisationDay, 100_000)] {
            windows.push(1, name, limit);
        }
        assert_eq!(windows.len(), 3);
        let at = Duration::from_millis(90_000_500);
        assert_eq!((windows[0].name.number(at), windows[1].name.number(at)), (1_500, 1));
        assert_eq!((windows[0].resets(at), windows[1].resets(at)), (Duration::from_millis(59_500), Duration::from_millis(82_799_500)));
        for (left, expected) in [([59, 9_999, 99_999, 0], 0), ([59, 9_000, 99_999, 0], 1), ([30, 5_000, 3, 0], 2), ([0, 0, 0, 0], 0)] {
            assert_eq!(Taken { left, ..Taken::default() }.tightest(&windows), Some(expected), "{left:?}");
        }
        assert_eq!(Taken::default().tightest(&Windows::new(1, true)), None);
    }
}
