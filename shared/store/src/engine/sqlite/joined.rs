//! Statements that travel together: one text, the values of all.

use crate::engine::bind::{Held, add};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr, sqlite::SqliteArguments};
use std::fmt::Write as _;

/// How many reads, or changes, of one text make one trip; a power of two, for each number of them is a text to prepare.
pub(super) const TOGETHER: usize = 16;

/// Texts behind one another, each with its own `$1`, `$2`, …
#[derive(Default)]
pub(super) struct Joined {
    text: String,
    count: usize,
}

impl Joined {
    pub(super) fn push(&mut self, text: &str, values: usize) {
        let text = text.strip_suffix(';').unwrap_or(text);
        if !self.text.is_empty() {
            self.text.push_str("; ");
        }
        renumber(text, self.count, &mut self.text);
        self.count += values;
    }

    /// After a text without values.
    pub(super) fn behind(self, first: &str) -> Self {
        match (first, self.text.as_str()) {
            ("", _) => self,
            (_, "") => Self { text: first.to_owned(), ..self },
            (_, text) => Self { text: [first, "; ", text].concat(), ..self },
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn into_text(self) -> SqlStr {
        AssertSqlSafe(self.text).into_sql_str()
    }
}

/// What sqlx takes, of values that may be needed again.
pub(super) fn copied<'v>(values: impl Iterator<Item = &'v Held>) -> SqliteArguments {
    let mut arguments = SqliteArguments::default();
    values.cloned().for_each(|value| add(&mut arguments, value));
    arguments
}

/// Copies a text, its `$1` as `$(1 + before)`.
fn renumber(text: &str, before: usize, into: &mut String) {
    if before == 0 {
        return into.push_str(text);
    }
    into.reserve(text.len() + 64);
    let mut parts = text.split('$');
    into.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = part[..digits].parse().unwrap_or_default();
        write!(into, "${}{}", number + before, &part[digits..]).expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_statements_when_these_are_joined() {
        let mut joined = Joined::default();
        joined.push("insert into a values ($1, $2);", 2);
        joined.push("update b set c = $2 where d = $1 or $1 < $12", 12);
        joined.push("delete from e where f = $1", 1);
        let expected = "insert into a values ($1, $2); update b set c = $4 where d = $3 or $3 < $14; delete from e where f = $15";
        assert_eq!((joined.text(), joined.count), (expected, 15));
    }
}
