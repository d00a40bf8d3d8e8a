//! Statements that were put off, to run together: one trip to the connection's thread instead of one each.

use super::{
    joined::{Joined, copied},
    stand::Fence,
};
use crate::engine::{
    Error, Result,
    bind::{Held, arguments},
};
use futures::{StreamExt, TryStreamExt, future::ready};
use sqlx::{Executor, SqlStr, SqliteConnection, query_with, sqlite::SqliteArguments};

/// Why a change is refused, when a statement of it changed no row.
pub(crate) type No = Box<dyn FnOnce() -> Error + Send>;

/// Statements in order.
#[derive(Default)]
pub(super) struct Due {
    joined: Joined,
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

    /// Of all its statements.
    pub(super) fn text(&self) -> &str {
        self.joined.text()
    }

    pub(super) fn add(&mut self, text: &str, values: Vec<Held>, no: Option<No>) {
        debug_assert!(!text.trim_end_matches(';').contains([';', '?']), "one statement, its values numbered: {text}");
        self.joined.push(text, values.len());
        self.values.extend(values);
        self.noes.push(no);
    }

    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Result<()> {
        match self.run_after(Fence::NONE, connection).await {
            Ran::Before(error) => Err(error.into()),
            Ran::After(result) => result,
        }
    }

    /// Puts up the fence, then runs all of it.
    pub(super) async fn run_after(self, fence: Fence, connection: &mut SqliteConnection) -> Ran {
        let (count, mut noes) = (self.noes.len(), self.noes.into_iter());
        let mut refused = Ok(());
        let ran = run(self.joined.behind(fence.0).into_text(), arguments(self.values), (fence.1, count), connection, |rows| {
            if let (0, Some(no), true) = (rows, noes.next().flatten(), refused.is_ok()) {
                refused = Err(no());
            }
        });
        match ran.await {
            Ran::After(Ok(())) => Ran::After(refused),
            ended => ended,
        }
    }

    /// Puts up the fence, then runs all of all of them: one trip for many transactions. `Ok(false)`: one of them is refused or failed,
    /// and they have to be tried one by one.
    ///
    /// # Errors
    /// The fence did not stand.
    pub(super) fn run_all<'c>(all: &[Due], fence: Fence, on: &'c mut SqliteConnection) -> impl Future<Output = sqlx::Result<bool>> + Send + use<'c> {
        let mut joined = Joined::default().behind(fence.0);
        all.iter().for_each(|due| joined.push(due.text(), due.values.len()));
        let values = copied(all.iter().flat_map(|due| &due.values));
        let must_change: Vec<bool> = all.iter().flat_map(|due| &due.noes).map(Option::is_some).collect();
        async move {
            let (mut place, mut refused) = (0, false);
            let ran = run(joined.into_text(), values, (fence.1, must_change.len()), on, |rows| {
                refused |= rows == 0 && must_change[place];
                place += 1;
            });
            match ran.await {
                Ran::Before(error) => Err(error),
                Ran::After(ended) => Ok(ended.is_ok() && !refused),
            }
        }
    }
}

/// Runs a text of `fence` statements and `count` more, and tells of each of these how many rows it changed.
async fn run(text: SqlStr, values: SqliteArguments, (fence, count): (usize, usize), on: &mut SqliteConnection, mut changed: impl FnMut(u64)) -> Ran {
    let mut ends = on.fetch_many(query_with(text, values)).try_filter_map(|end| ready(Ok(end.left())));
    for place in 0..fence + count {
        match ends.next().await.unwrap_or(Err(sqlx::Error::WorkerCrashed)) {
            Err(error) if place < fence => return Ran::Before(error),
            Err(error) => return Ran::After(Err(error.into())),
            Ok(_) if place < fence => {}
            Ok(end) => changed(end.rows_affected()),
        }
    }
    Ran::After(Ok(()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::engine::sqlite::stand::Stand;
    use sqlx::Connection;

    fn job(id: i64, number: i64) -> Due {
        let mut due = Due::default();
        let no: No = Box::new(|| Error::Repeated);
        due.add("update a set n = $2 where id = $1", vec![Held::Int(id), Held::Int(number)], Some(no));
        due
    }

    #[tokio::test]
    async fn one_that_is_refused_or_fails_fails_the_shared_trip() {
        let mut on = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql("create table a (id integer primary key, n integer check (n < 100)); insert into a values (1, 0), (2, 0)")
            .execute(&mut on)
            .await
            .unwrap();
        for (jobs, all) in
            [([job(1, 1), job(2, 2)], true), ([job(9, 1), job(2, 2)], false), ([job(1, 1), job(9, 2)], false), ([job(1, 100), job(2, 2)], false)]
        {
            assert_eq!(Due::run_all(&jobs, Stand::Outside.firm_fence(), &mut on).await.unwrap(), all);
            sqlx::raw_sql("ROLLBACK").execute(&mut on).await.unwrap();
        }
        sqlx::raw_sql("BEGIN").execute(&mut on).await.unwrap();
        assert!(Due::run_all(&[job(1, 1), job(2, 2)], Stand::Outside.firm_fence(), &mut on).await.is_err(), "the fence does not stand");
    }
}
