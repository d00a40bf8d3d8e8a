//! Where a statement runs: the one place where the engines fork.
//!
//! Nothing here knows what a row is read into, and what leaves this crate is boxed: an `async fn` is compiled where it is awaited, and each
//! service would compile sqlx again.

use super::{
    Dialect, Engine, Error, Open, Result, Row, Scope, Transaction,
    bind::{Values, arguments},
    postgres,
    sqlite::Sqlite,
};
use chassis::telemetry::Step;
use futures::{FutureExt, Stream, TryStreamExt, future::BoxFuture};
use sqlx::{
    AssertSqlSafe, Either, Executor, PgConnection, SqlSafeStr, SqlStr, SqliteConnection,
    postgres::{PgArguments, PgQueryResult},
    query_with,
    sqlite::{SqliteArguments, SqliteQueryResult},
};
use std::{borrow::Cow, mem::replace};

/// Where a statement runs.
pub(crate) enum On<'c> {
    Readers(&'c Sqlite),
    /// Alone on a connection: it sees all rows.
    Pool(&'c postgres::Pool),
    /// In a transaction of its own, behind the wall.
    Walled(&'c postgres::Pool, Scope),
    Transaction(&'c mut Transaction),
}

/// Takes a row; false: no more.
pub(crate) type Take<'t> = dyn FnMut(&Row<'_>) -> sqlx::Result<bool> + Send + 't;
/// Takes each row.
pub(crate) type TakeAll<'t> = dyn FnMut(&Row<'_>) -> sqlx::Result<()> + Send + 't;

type Text = Cow<'static, str>;

impl<'c> On<'c> {
    /// To read with, outside any transaction.
    pub(crate) fn engine(engine: &'c Engine, scope: Scope) -> Self {
        match (engine, scope) {
            (Engine::Sqlite(sqlite), _) => Self::Readers(sqlite),
            (Engine::Postgres(pool), Scope::System(why)) => {
                tracing::trace!(why, "a read of all rows");
                Self::Pool(pool)
            }
            (Engine::Postgres(pool), scope) => Self::Walled(pool, scope),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Readers(_) => Dialect::Sqlite,
            Self::Pool(_) | Self::Walled(..) => Dialect::Postgres,
            Self::Transaction(transaction) => transaction.dialect(),
        }
    }

    /// A read is worth a span; a change has spans of its own.
    pub(super) fn step(&self) -> Option<Step> {
        match self {
            Self::Transaction(_) => None,
            Self::Readers(_) | Self::Pool(_) | Self::Walled(..) => Some(Step::begin("store.read", self.dialect().system())),
        }
    }

    /// All rows, and how many were changed.
    pub(super) fn all<'t>(self, text: Text, values: Values, take: &'t mut TakeAll<'t>) -> BoxFuture<'t, Result<u64>>
    where
        'c: 't,
    {
        async move {
            match (self, values) {
                (Self::Readers(sqlite), Values::Sqlite(values)) => {
                    let rows = sqlite.trips.rows(text, values).await?;
                    rows.iter().try_for_each(|row| take(&row.into()))?;
                    Ok(0)
                }
                (on, values) => on.run(text, values, &mut |row| take(row).map(|()| true)).await,
            }
        }
        .boxed()
    }

    /// Row by row, until `take` has enough; and how many were changed.
    pub(super) fn each<'t>(self, text: Text, values: Values, take: &'t mut Take<'t>) -> BoxFuture<'t, Result<u64>>
    where
        'c: 't,
    {
        self.run(text, values, take).boxed()
    }

    async fn run(self, text: Text, values: Values, take: &mut Take<'_>) -> Result<u64> {
        match (self, values) {
            (Self::Readers(sqlite), Values::Sqlite(values)) => {
                let mut reader = sqlite.readers.get().await?;
                let result = on_sqlite(reader.connection()?, text, arguments(values), take).await;
                reader.settle(result)
            }
            (Self::Pool(pool), Values::Postgres(values)) => {
                pool.acquire().await?.run(async |connection| on_postgres(connection, text, values, take).await).await
            }
            (Self::Walled(pool, scope), Values::Postgres(values)) => {
                let mut transaction = postgres::begin(pool, "BEGIN READ ONLY", &scope).await?;
                // Dropped: the ROLLBACK goes out with the pool's own ping, nobody waits for it.
                transaction.run(async |connection| on_postgres(connection, text, values, take).await).await
            }
            (Self::Transaction(transaction), values) => {
                transaction.settle().await?;
                if replace(&mut transaction.spoiled, true) {
                    return Err(Error::Spoiled);
                }
                let result = in_transaction(transaction.open(), text, values, take).await?;
                transaction.spoiled = result.is_err();
                Ok(result?)
            }
            _ => unreachable!("values are made for the engine"),
        }
    }
}

async fn in_transaction(open: &mut Open, text: Text, values: Values, take: &mut Take<'_>) -> Result<sqlx::Result<u64>> {
    match (open, values) {
        (Open::Sqlite(turn), Values::Sqlite(values)) => {
            let mut slot = turn.loan().await?.slot().lock().await;
            Ok(on_sqlite(slot.as_mut().ok_or(Error::Expired)?, text, arguments(values), take).await)
        }
        (Open::Postgres(open), Values::Postgres(values)) => {
            open.run(async |connection| on_postgres(connection, text, values, take).await).await.map(Ok)
        }
        _ => unreachable!("values are made for the engine"),
    }
}

async fn on_sqlite(connection: &mut SqliteConnection, text: Text, values: SqliteArguments, take: &mut Take<'_>) -> sqlx::Result<u64> {
    drain(connection.fetch_many(query_with(sql_str(text), values)), SqliteQueryResult::rows_affected, take).await
}

async fn on_postgres(connection: &mut PgConnection, text: Text, values: PgArguments, take: &mut Take<'_>) -> sqlx::Result<u64> {
    drain(connection.fetch_many(query_with(sql_str(text), values)), PgQueryResult::rows_affected, take).await
}

async fn drain<End, R>(
    mut ends: impl Stream<Item = sqlx::Result<Either<End, R>>> + Unpin,
    changed: impl Fn(&End) -> u64,
    take: &mut Take<'_>,
) -> sqlx::Result<u64>
where
    for<'r> Row<'r>: From<&'r R>,
{
    let mut rows = 0;
    while let Some(end) = ends.try_next().await? {
        match end {
            Either::Left(end) => rows += changed(&end),
            Either::Right(row) if !take(&Row::from(&row))? => break,
            Either::Right(_) => {}
        }
    }
    Ok(rows)
}

/// Literals stay what they are; only a text that was put together is allocated.
pub(super) fn sql_str(text: Text) -> SqlStr {
    match text {
        Cow::Borrowed(text) => text.into_sql_str(),
        Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
    }
}
