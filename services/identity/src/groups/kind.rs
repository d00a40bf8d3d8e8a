//! The six types of group, and how groups of each behave unless they say otherwise: `group_types` of the core pack.
//!
//! The pack's `plan` is not among the defaults: every group starts on starter, and only a platform owner raises it.

/// What a type decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) visibility: &'static str,
    pub(crate) join_policy: &'static str,
}

const fn kind(name: &'static str, visibility: &'static str, join_policy: &'static str) -> Kind {
    Kind { name, visibility, join_policy }
}

const KINDS: [Kind; 6] = [
    kind("friend_circle", "private", "invite_only"),
    kind("business", "private", "invite_only"),
    kind("community", "public", "approval_required"),
    kind("dao", "public", "open"),
    kind("government", "public", "approval_required"),
    GENERAL,
];

/// The general tenant.
const GENERAL: Kind = kind("organization", "private", "invite_only");

impl Default for Kind {
    fn default() -> Self {
        GENERAL
    }
}

impl Kind {
    /// The type of that name; the empty name is the general one's.
    pub(crate) fn parse(name: &str) -> Option<Kind> {
        if name.is_empty() {
            return Some(GENERAL);
        }
        KINDS.into_iter().find(|kind| kind.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pack is YAML, one type a few lines: enough of it is read here to hold the table against it.
    #[test]
    fn the_table_is_that_of_the_core_pack() {
        let pack = include_str!("../../../ontology/packs/core.yaml");
        for Kind { name, visibility, join_policy } in KINDS {
            let of = pack.split(&format!("- name: {name}\n")).nth(1).expect("the pack has it");
            let defaults = of.lines().find(|line| line.trim_start().starts_with("defaults:")).expect("it has defaults");
            assert!(defaults.contains(&format!("visibility: {visibility}, joinPolicy: {join_policy},")), "{name}: {defaults}");
        }
        assert_eq!((Kind::parse(""), Kind::parse("Dao")), (Kind::parse("organization"), None));
    }
}
