//! Counts in this process: what one gateway counts for itself, or has seen of what all count together.

use super::{Name, Taken, Window, Windows};
use crate::bounded::Bounded;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const SHARDS: usize = 64;
/// Counts of callers, each of which has a credential, and of addresses, of which anybody has many. Apart, so that strangers push only
/// strangers out.
pub(super) const CALLERS: usize = 1 << 20;
pub(super) const ADDRESSES: usize = 1 << 17;

/// One short lock of the shard in which all windows of a call stand, so that they change together.
#[derive(Debug)]
pub(super) struct Table {
    callers: Vec<Shard>,
    addresses: Vec<Shard>,
}

type Shard = Mutex<Bounded<Counts>>;

/// The present minute and the present day of one subject.
#[derive(Debug, Default)]
struct Counts {
    minute: Count,
    day: Count,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    number: u64,
    used: u64,
    /// How much of it nobody else knows.
    alone: u64,
}

/// Whose knowledge a count is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// This process's only.
    Alone,
    /// Everybody's: it is counted elsewhere too.
    Shared,
}

/// A count that is not over, with its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) subject: u128,
    /// Minute or day.
    pub(super) name: Name,
    pub(super) number: u64,
    /// All of it, with what follows.
    pub(super) used: u64,
    /// How much of it nobody else knows.
    pub(super) alone: u64,
}

/// Where a count stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) known: bool,
    pub(super) shard: usize,
}

impl Place {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Place> {
        [true, false].into_iter().flat_map(|known| (0..SHARDS).map(move |shard| Place { known, shard }))
    }

    fn of(windows: &Windows) -> Place {
        let mixed = (windows.shard ^ (windows.shard >> 64)) as u64;
        let at = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        Place { known: windows.known, shard: at as usize % SHARDS }
    }
}

impl Counts {
    fn of(&mut self, name: Name) -> &mut Count {
        match name {
            Name::Minute | Name::OrganisationMinute => &mut self.minute,
            Name::Day | Name::OrganisationDay => &mut self.day,
        }
    }
}

/// The count of that window, from nothing when a new one has begun.
fn count<'a>(counts: &'a mut Bounded<Counts>, window: &Window, at: Duration) -> &'a mut Count {
    let (count, number) = (counts.entry(window.subject, Counts::default).of(window.name), window.name.number(at));
    if count.number != number {
        *count = Count { number, ..Count::default() };
    }
    count
}

impl Table {
    pub(super) fn new() -> Self {
        let table = |most: usize| (0..SHARDS).map(|_| Mutex::new(Bounded::new(most / SHARDS))).collect();
        Self { callers: table(CALLERS), addresses: table(ADDRESSES) }
    }

    fn shard(&self, place: Place) -> MutexGuard<'_, Bounded<Counts>> {
        let table = if place.known { &self.callers } else { &self.addresses };
        table[place.shard % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self, windows: &Windows, cost: u32, at: Duration, known: Known) -> Taken {
        let (mut shard, mut taken, cost) = (self.shard(Place::of(windows)), Taken { at, ..Taken::default() }, u64::from(cost));
        for (number, window) in windows.iter().enumerate() {
            taken.left[number] = window.limit.saturating_sub(count(&mut shard, window, at).used);
            if taken.left[number] < cost {
                taken.refused = taken.refused.or(Some(number));
            }
        }
        if taken.refused.is_none() {
            for (number, window) in windows.iter().enumerate() {
                count(&mut shard, window, at).add(cost, known);
                taken.left[number] -= cost;
            }
        }
        taken
    }

    pub(super) fn charge(&self, windows: &Windows, cost: u32, at: Duration, known: Known) {
        let mut shard = self.shard(Place::of(windows));
        for window in windows.iter() {
            count(&mut shard, window, at).add(cost.into(), known);
        }
    }

    /// All have counted so much in these windows. Answers may overtake one another: a number never goes back.
    pub(super) fn learn(&self, windows: &Windows, used: &[u64], at: Duration) {
        let mut shard = self.shard(Place::of(windows));
        for (window, used) in windows.iter().zip(used) {
            let count = count(&mut shard, window, at);
            count.used = count.used.max(used + count.alone);
        }
    }

    /// What stands in a place and is not over.
    pub(super) fn entries(&self, place: Place, at: Duration) -> Vec<Entry> {
        let mut shard = self.shard(place);
        shard.iter_mut().flat_map(|(subject, counts)| counts.entries(place, subject, at)).collect()
    }

    /// The same, and from now on everybody is to know it; [`Table::keep_alone`] takes that back.
    pub(super) fn share(&self, place: Place, at: Duration) -> Vec<Entry> {
        let mut shard = self.shard(place);
        let all = shard.iter_mut().flat_map(|(subject, counts)| {
            let entries: Vec<Entry> = counts.entries(place, subject, at).collect();
            (counts.minute.alone, counts.day.alone) = (0, 0);
            entries
        });
        all.collect()
    }

    /// Nobody was told of it.
    pub(super) fn keep_alone(&self, entry: &Entry) {
        let mut shard = self.shard(entry.place);
        if let Some(count) = shard.get(entry.subject).map(|counts| counts.of(entry.name)).filter(|count| count.number == entry.number) {
            count.alone += entry.alone;
        }
    }

    /// Puts a count where it stood in another life of this process.
    pub(super) fn put(&self, entry: &Entry) {
        let mut shard = self.shard(entry.place);
        let count = shard.entry(entry.subject, Counts::default).of(entry.name);
        *count = Count { number: entry.number, used: entry.used, alone: entry.alone };
    }

    #[cfg(test)]
    pub(super) fn strangers(&self) -> usize {
        self.addresses.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

impl Counts {
    fn entries(&self, place: Place, subject: u128, at: Duration) -> impl Iterator<Item = Entry> + use<> {
        let entry = |name: Name, count: Count| {
            let current = count.used > 0 && count.number == name.number(at);
            current.then_some(Entry { place, subject, name, number: count.number, used: count.used, alone: count.alone })
        };
        entry(Name::Minute, self.minute).into_iter().chain(entry(Name::Day, self.day))
    }
}

impl Count {
    fn add(&mut self, cost: u64, known: Known) {
        self.used = self.used.saturating_add(cost);
        if known == Known::Alone {
            self.alone = self.alone.saturating_add(cost);
        }
    }
}
