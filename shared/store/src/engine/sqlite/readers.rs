//! The read-only connections.
//!
//! Not a sqlx pool: that one pings before and after each use, two more hops to the connection's thread, and a point read costs twice
//! the CPU.

use crate::engine::Result;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    mem::take,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A set of them; each is opened when it is first needed.
pub(crate) struct Readers {
    options: SqliteConnectOptions,
    idle: Mutex<Vec<SqliteConnection>>,
    turn: Semaphore,
    size: u32,
}

/// One of them, for one statement.
pub(crate) struct Reader<'a> {
    set: &'a Readers,
    connection: Option<SqliteConnection>,
    _turn: SemaphorePermit<'a>,
}

impl Readers {
    pub(super) fn new(options: SqliteConnectOptions, size: u32) -> Self {
        Self { options, idle: Mutex::default(), turn: Semaphore::new(size as usize), size }
    }

    pub(crate) async fn get(&self) -> sqlx::Result<Reader<'_>> {
        let _turn = self.turn.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        Ok(Reader { set: self, connection: Some(connection), _turn })
    }

    pub(super) async fn close(&self) {
        let Ok(_all) = self.turn.acquire_many(self.size).await else { return };
        self.turn.close();
        let idle = take(&mut *self.idle());
        for connection in idle {
            connection.close().await.ok();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    pub(crate) fn connection(&mut self) -> sqlx::Result<&mut SqliteConnection> {
        self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// After an error a connection is thrown away rather than judged.
    pub(crate) fn settle<T>(&mut self, result: sqlx::Result<T>) -> Result<T> {
        if !matches!(result, Ok(_) | Err(sqlx::Error::RowNotFound)) {
            self.connection = None;
        }
        Ok(result?)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take();
        self.set.idle().extend(connection);
    }
}
