//! What a tier allows, and how a platform owner's own numbers change it.

use contract::identity::v1::GroupLimits;

/// No limit.
pub const UNLIMITED: i64 = -1;

/// The tier of an organisation, valid for all below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// What every group begins with.
    #[default]
    Starter,
    /// For teams.
    Pro,
    /// For self-hosters and large customers.
    Enterprise,
}

/// How many requests in a UTC minute and in a UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In a minute.
    pub minute: i64,
    /// In a day.
    pub day: i64,
}

/// The numbers that count for one group; -1 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests of each key of the group.
    pub key: Rate,
    /// Requests of the whole organisation.
    pub organisation: Rate,
    /// Groups in the organisation, itself included.
    pub groups: i64,
    /// Things in the group.
    pub things: i64,
}

impl Tier {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starter => "starter",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }

    /// The tier of that word; the empty word is starter.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        if word.is_empty() {
            return Some(Self::default());
        }
        [Self::Starter, Self::Pro, Self::Enterprise].into_iter().find(|tier| tier.word() == word)
    }

    /// How many days requests and events are kept.
    #[must_use]
    pub fn days_kept(self) -> i64 {
        match self {
            Self::Starter => 30,
            Self::Pro => 90,
            Self::Enterprise => 365,
        }
    }

    /// The table of CONTRACT.md.
    #[must_use]
    pub fn limits(self) -> Limits {
        let (minute, day, groups, things) = match self {
            Self::Starter => (60, 10_000, 10, 1_000),
            Self::Pro => (600, 100_000, 100, 50_000),
            Self::Enterprise => (6_000, 1_000_000, UNLIMITED, UNLIMITED),
        };
        Limits { key: Rate { minute, day }, organisation: Rate { minute: minute * 10, day: day * 10 }, groups, things }
    }
}

impl Limits {
    /// Those of a group: its own numbers for itself, its organisation's for the organisation, the tier's for the rest.
    #[must_use]
    pub fn of(tier: Tier, organisation: &GroupLimits, own: &GroupLimits) -> Self {
        let tier = tier.limits();
        Self {
            key: Rate { minute: own.key_requests_per_minute.unwrap_or(tier.key.minute), day: own.key_requests_per_day.unwrap_or(tier.key.day) },
            organisation: Rate {
                minute: organisation.requests_per_minute.unwrap_or(tier.organisation.minute),
                day: organisation.requests_per_day.unwrap_or(tier.organisation.day),
            },
            groups: organisation.groups.unwrap_or(tier.groups),
            things: own.things.unwrap_or(tier.things),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_contract() {
        for (tier, key, organisation, groups, things, days) in [
            (Tier::Starter, (60, 10_000), (600, 100_000), 10, 1_000, 30),
            (Tier::Pro, (600, 100_000), (6_000, 1_000_000), 100, 50_000, 90),
            (Tier::Enterprise, (6_000, 1_000_000), (60_000, 10_000_000), -1, -1, 365),
        ] {
            assert_eq!(tier.days_kept(), days);
            let limits = tier.limits();
            assert_eq!((limits.key.minute, limits.key.day), key);
            assert_eq!((limits.organisation.minute, limits.organisation.day), organisation);
            assert_eq!((limits.groups, limits.things), (groups, things));
            assert_eq!(Tier::parse(tier.word()), Some(tier));
        }
        assert_eq!((Tier::parse(""), Tier::parse("Pro")), (Some(Tier::Starter), None));
    }

    #[test]
    fn own_numbers_are_the_groups_and_shared_ones_the_organisations() {
        let some = |n: i64| GroupLimits {
            key_requests_per_minute: Some(n),
            key_requests_per_day: Some(n + 1),
            requests_per_minute: Some(n + 2),
            requests_per_day: Some(n + 3),
            groups: Some(n + 4),
            things: Some(n + 5),
        };
        let limits = Limits::of(Tier::Pro, &some(10), &some(20));
        let expected = Limits { key: Rate { minute: 20, day: 21 }, organisation: Rate { minute: 12, day: 13 }, groups: 14, things: 25 };
        assert_eq!(limits, expected);
        assert_eq!(Limits::of(Tier::Pro, &GroupLimits::default(), &GroupLimits::default()), Tier::Pro.limits());
    }
}
