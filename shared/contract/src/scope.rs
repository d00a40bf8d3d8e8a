//! What a credential may do, as a set.

use crate::{Role, Scope, options_of, policy::v1::ScopeInfo};
use std::{
    iter::Sum,
    ops::{BitAnd, BitOr},
    sync::LazyLock,
};

static KNOWN: LazyLock<Vec<(Scope, ScopeInfo)>> = LazyLock::new(|| {
    let known = options_of::<ScopeInfo>("one.policy.v1.Scope", "one.policy.v1.scope");
    known.into_iter().filter_map(|(number, info)| Some((Scope::try_from(number).ok()?, info))).collect()
});

/// A set of scopes, one bit each, numbered as in `scope.proto`. Bit 0 is `*`: also what comes later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(pub u64);

impl Scopes {
    /// None.
    pub const NONE: Scopes = Scopes(0);
    /// `*`: all that the role allows, also what comes later.
    pub const ALL: Scopes = Scopes(u64::MAX);
    const STAR: u64 = 1;

    /// Just this one, without what it implies.
    pub fn of(scope: Scope) -> Self {
        Self(1 << scope as u32)
    }

    /// All that members with this role hold, and room for `*`.
    pub fn of_role(role: Role) -> Self {
        static BY_ROLE: LazyLock<[Scopes; 5]> = LazyLock::new(|| {
            [0, 1, 2, 3, 4].map(|level| {
                let held = KNOWN.iter().filter(|(_, info)| info.min_role <= level && level > 0);
                held.map(|(scope, _)| Scopes::of(*scope)).sum::<Scopes>() | Scopes(Scopes::STAR)
            })
        });
        BY_ROLE[role as usize]
    }

    /// It holds every scope of the other.
    pub fn has(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// It holds `*`.
    pub fn has_star(self) -> bool {
        self.0 & Self::STAR != 0
    }

    /// What is left without the other's.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Its scopes as words, in the order of `scope.proto`.
    pub fn words(self) -> Vec<&'static str> {
        KNOWN.iter().filter(|(scope, _)| self.has(Self::of(*scope))).map(|(_, info)| info.word.as_str()).collect()
    }

    /// What one word means, with all it implies: `things:write`, `things:*`, `*` or an alias of these. `None` for a word that means nothing.
    pub fn parse(word: &str) -> Option<Self> {
        let word = Self::canonical(word);
        if word == "*" {
            return Some(Self::ALL);
        }
        let resource = word.strip_suffix('*').filter(|resource| resource.ends_with(':'));
        let meant = KNOWN.iter().filter(|(_, info)| resource.map_or(info.word == word, |resource| info.word.starts_with(resource)));
        let set: Self = meant.map(|(scope, info)| Self::of(*scope) | info.implies().map(Self::of).sum()).sum();
        (set != Self::NONE).then_some(set)
    }

    /// The word under which what was sent is stored, for a second spelling of the same noun is not a second resource: `entities:read` is
    /// `things:read`, `admin` is `*`.
    pub fn canonical(word: &str) -> String {
        match word {
            "admin" => "*".to_owned(),
            "audit:read" => "events:read".to_owned(),
            "webhooks:manage" | "applications:manage" | "alerts:manage" => word.replace("manage", "*"),
            _ => word.strip_prefix("entities:").map_or_else(|| word.to_owned(), |verb| format!("things:{verb}")),
        }
    }
}

impl BitOr for Scopes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Scopes {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sum for Scopes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::NONE, BitOr::bitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_and_delete_imply_read() {
        let write = Scopes::parse("things:write").expect("a scope");
        assert_eq!(write.words(), ["things:read", "things:write"]);
        let delete = Scopes::parse("things:delete").expect("a scope");
        assert_eq!(delete.words(), ["things:read", "things:delete"]);
    }

    #[test]
    fn a_star_after_a_resource_is_all_of_it_and_nothing_else_is_a_wildcard() {
        assert_eq!(Scopes::parse("things:*").expect("a set").words(), ["things:read", "things:write", "things:delete"]);
        for word in ["", "things", "things:", "*:read", "thi*", "**", "things:re*", "THINGS:READ", "things:read "] {
            assert_eq!(Scopes::parse(word), None, "{word:?}");
        }
    }

    #[test]
    fn aliases_mean_what_they_stand_for() {
        for (alias, word) in [
            ("entities:read", "things:read"),
            ("entities:*", "things:*"),
            ("admin", "*"),
            ("webhooks:manage", "webhooks:*"),
            ("audit:read", "events:read"),
        ] {
            assert_eq!(Scopes::parse(alias), Scopes::parse(word), "{alias}");
            assert_eq!(Scopes::canonical(alias), word);
        }
    }

    #[test]
    fn only_a_star_holds_a_star() {
        let every_word: Scopes = KNOWN.iter().map(|(scope, _)| Scopes::of(*scope)).sum();
        assert!(!every_word.has_star() && !every_word.has(Scopes::ALL));
        assert!(Scopes::parse("*").expect("a set").has_star());
        assert!((Scopes::ALL & Scopes::of_role(Role::Customer)).has_star());
    }

    #[test]
    fn roles_hold_what_the_table_says() {
        let words = |role| (Scopes::ALL & Scopes::of_role(role)).words();
        assert_eq!(words(Role::Unspecified), Vec::<&str>::new());
        assert_eq!(words(Role::Customer), ["things:read", "connections:read", "types:read"]);
        let user = words(Role::GroupUser);
        for (word, held) in [("things:write", true), ("things:delete", false), ("events:read", true), ("api_keys:manage", false), ("ai:use", true)] {
            assert_eq!(user.contains(&word), held, "{word}");
        }
        assert_eq!(words(Role::GroupOwner).len(), KNOWN.len());
    }
}
