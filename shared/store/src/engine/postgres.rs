//! Postgres: a pool, and one schema per service.

mod held;
mod pool;

pub(crate) use held::Held;
pub(crate) use pool::Pool;

use super::{Limits, Result, Scope};
use futures::{FutureExt, future::BoxFuture};
use sqlx::{Postgres, Transaction, postgres::PgConnectOptions};

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

/// A transaction behind the wall of its groups.
pub(crate) fn begin(pool: &Pool, begin: &str, scope: &Scope) -> BoxFuture<'static, Result<Held<Transaction<'static, Postgres>>>> {
    let (pool, text) = (pool.clone(), scope.begin(begin));
    async move { pool.begin(&text).await }.boxed()
}
