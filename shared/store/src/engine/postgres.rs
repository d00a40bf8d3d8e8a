//! Postgres: a pool, and one schema per service.

use super::{Error, Limits, Result, Scope};
use futures::{FutureExt, future::BoxFuture};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::time::Duration;
use tokio::time::timeout;

/// An idle connection is tried before use; one that worked a moment ago is not.
const FRESH: Duration = Duration::from_secs(1);

/// What each connection begins with. `one.group_ids` is the second wall: `*` until a transaction names its groups.
pub(crate) fn options(url: &str, schema: &str, limits: Limits) -> sqlx::Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.statement_cache_capacity(512).application_name("onemesh").options([
        ("search_path", schema.to_owned()),
        ("one.group_ids", "*".to_owned()),
        ("synchronous_commit", "on".to_owned()),
        ("timezone", "UTC".to_owned()),
        ("idle_in_transaction_session_timeout", limits.loan.as_millis().to_string()),
        ("lock_timeout", (limits.loan * 2).as_millis().to_string()),
    ]))
}

/// A pool to a server that answers: a pool's own first attempt would say no more than that it took too long.
pub(crate) async fn pool(options: PgConnectOptions, limits: Limits) -> Result<PgPool> {
    let first = timeout(limits.patience, options.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    first.map_err(Error::not_kept)?.close().await.map_err(Error::not_kept)?;
    PgPoolOptions::new()
        .max_connections(limits.connections)
        .acquire_timeout(limits.patience)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await
        .map_err(Error::not_kept)
}

/// A transaction behind the wall of its groups.
pub(crate) fn begin(pool: &PgPool, begin: &str, scope: &Scope) -> BoxFuture<'static, Result<Transaction<'static, Postgres>>> {
    let (pool, text) = (pool.clone(), AssertSqlSafe(scope.begin(begin)));
    async move { pool.begin_with(text).await.map_err(Error::not_kept) }.boxed()
}

/// Ends a transaction, and tells what is known of it.
pub(crate) async fn commit(transaction: Transaction<'static, Postgres>) -> Result<()> {
    transaction.commit().await.map_err(|cause| match &cause {
        // The server refused it; but 57: it was cut off or shut down, and nobody knows.
        sqlx::Error::Database(database) if !database.code().is_some_and(|code| code.starts_with("57")) => Error::not_kept(cause),
        _ => Error::Unknown(std::sync::Arc::new(cause)),
    })
}
