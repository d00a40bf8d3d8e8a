//! Statements that were put off, to run together: one trip to the connection's thread instead of one each.

use super::writer::Fence;
use crate::engine::{
    Error, Result,
    bind::{Held, arguments},
};
use futures::{TryStreamExt, future::ready};
use sqlx::{AssertSqlSafe, Executor, SqliteConnection, query_with};
use std::fmt::Write as _;

/// Why a change is refused, when a statement of it changed no row.
pub(crate) type No = Box<dyn FnOnce() -> Error + Send>;

/// Statements in order.
#[derive(Default)]
pub(super) struct Due {
    text: String,
    values: Vec<Held>,
    /// One for each statement.
    noes: Vec<Option<No>>,
}

/// How far a fence and what stood behind it came.
pub(super) enum Ran {
    /// Not over the fence.
    Before(sqlx::Error),
    /// Over it, and this is how the rest ended.
    After(Result<()>),
}

impl Due {
    pub(super) fn is_empty(&self) -> bool {
        self.noes.is_empty()
    }

    /// `$n` of the statement becomes the place of its value among all values.
    pub(super) fn add(&mut self, text: &str, values: Vec<Held>, no: Option<No>) {
        let text = text.strip_suffix(';').unwrap_or(text);
        debug_assert!(!text.contains([';', '?']), "one statement, its values numbered: {text}");
        if !self.is_empty() {
            self.text.push_str("; ");
        }
        renumber(text, self.values.len(), &mut self.text);
        self.values.extend(values);
        self.noes.push(no);
    }

    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Result<()> {
        match self.run_after(Fence("", 0), connection).await {
            Ran::Before(error) => Err(error.into()),
            Ran::After(result) => result,
        }
    }

    /// Puts up the fence, then runs all of it.
    pub(super) async fn run_after(mut self, fence: Fence, connection: &mut SqliteConnection) -> Ran {
        if fence.1 > 0 {
            self.text = [fence.0, "; ", &self.text].concat();
        }
        let query = query_with(AssertSqlSafe(self.text), arguments(self.values));
        let mut ends = connection.fetch_many(query).try_filter_map(|end| ready(Ok(end.left())));
        for _ in 0..fence.1 {
            if let Err(error) = next(&mut ends).await {
                return Ran::Before(error);
            }
        }
        let mut refused = Ok(());
        for no in self.noes {
            match (next(&mut ends).await, no) {
                (Err(error), _) => return Ran::After(Err(error.into())),
                (Ok(0), Some(no)) if refused.is_ok() => refused = Err(no()),
                (Ok(_), _) => {}
            }
        }
        Ran::After(refused)
    }
}

/// The rows that the next statement changed.
async fn next<S>(ends: &mut S) -> sqlx::Result<u64>
where
    S: futures::Stream<Item = sqlx::Result<sqlx::sqlite::SqliteQueryResult>> + Unpin,
{
    ends.try_next().await?.map(|end| end.rows_affected()).ok_or(sqlx::Error::WorkerCrashed)
}

/// Copies a statement, its `$1` as `$(1 + before)`.
fn renumber(text: &str, before: usize, into: &mut String) {
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
        let mut due = Due::default();
        due.add("insert into a values ($1, $2)", vec![Held::Int(1), Held::Int(2)], None);
        due.add("update b set c = $2 where d = $1 or $1 < $12", vec![Held::Int(3), Held::Int(4)], None);
        assert_eq!(due.text, "insert into a values ($1, $2); update b set c = $4 where d = $3 or $3 < $14");
        assert_eq!((due.values.len(), due.noes.len()), (4, 2));
    }
}
