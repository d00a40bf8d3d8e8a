//! Whose rows a statement may see.

use contract::id::GroupId;
use std::{fmt::Write as _, sync::Arc};

/// The groups a statement is for: the second wall of Postgres, beside the `group_id` in the statement's own text.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// All rows, and why.
    System(&'static str),
    /// The rows of these groups.
    Groups(Arc<[GroupId]>),
}

impl Scope {
    /// Opens a transaction and puts up the wall in one round trip. Ids print as hex and hyphens only, so nothing can be spliced in.
    pub(crate) fn begin(&self, begin: &str) -> String {
        let mut text = begin.to_owned();
        if let Self::Groups(groups) = self {
            text.push_str("; SET LOCAL one.group_ids = '");
            text.push_str(&words(groups));
            text.push('\'');
        }
        text
    }
}

/// The ids as the policies read them: separated by commas.
pub(crate) fn words(groups: &[GroupId]) -> String {
    let mut text = String::with_capacity(groups.len() * 37);
    for (place, group) in groups.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(text, "{comma}{}", group.hyphenated()).expect("a String takes everything");
    }
    text
}
