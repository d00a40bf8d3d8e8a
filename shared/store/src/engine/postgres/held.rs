//! What was taken out of the pool, and tells it what it meets.

use super::Pool;
use crate::engine::{Error, Result};
use sqlx::{PgConnection, Postgres, Transaction};
use std::{ops::DerefMut, pin::pin, sync::Arc};

/// A connection or a transaction of the pool with that number.
pub(crate) struct Held<T> {
    taken: T,
    pool: Pool,
    number: u64,
}

impl<T> Held<T> {
    pub(super) fn new(taken: T, pool: Pool, number: u64) -> Self {
        Self { taken, pool, number }
    }
}

impl<T: DerefMut<Target = PgConnection>> Held<T> {
    /// Runs a statement, or fails when the server is away.
    pub(crate) async fn run<A>(&mut self, statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<A>) -> Result<A> {
        let ran = tokio::select! { biased;
            ran = pin!(statement(&mut self.taken)) => ran,
            error = self.pool.gone() => return Err(error),
        };
        ran.map_err(|cause| {
            self.pool.saw(&cause, self.number);
            cause.into()
        })
    }
}

impl Held<Transaction<'static, Postgres>> {
    /// Ends it, and tells what is known of it.
    pub(crate) async fn commit(self) -> Result<()> {
        let Self { taken, pool, number } = self;
        let ended = tokio::select! { biased;
            ended = taken.commit() => ended,
            error = pool.gone() => return Err(match error {
                Error::NotKept(cause) => Error::Unknown(cause),
                other => other,
            }),
        };
        ended.map_err(|cause| {
            pool.saw(&cause, number);
            match &cause {
                // The server refused it; but 57: it was cut off or shut down, and nobody knows.
                sqlx::Error::Database(database) if !database.code().is_some_and(|code| code.starts_with("57")) => Error::not_kept(cause),
                _ => Error::Unknown(Arc::new(cause)),
            }
        })
    }

    pub(crate) async fn rollback(self) -> Result<()> {
        let Self { taken, pool, number } = self;
        let ended = tokio::select! { biased;
            ended = taken.rollback() => ended,
            error = pool.gone() => return Err(error),
        };
        ended.map_err(|cause| {
            pool.saw(&cause, number);
            Error::not_kept(cause)
        })
    }
}
