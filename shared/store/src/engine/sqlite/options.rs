//! How the connections to one file are opened.

use futures::TryFutureExt;
use sqlx::{
    ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// How long a start waits for other processes that open or close the same file.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(20);

/// For the one writer, and for the readers.
pub(super) struct Options {
    pub(super) write: SqliteConnectOptions,
    pub(super) read: SqliteConnectOptions,
}

impl Options {
    pub(super) fn of(file: &Path) -> Self {
        let base = SqliteConnectOptions::new()
            .filename(file)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(512)
            .pragma("cache_size", "-4096") // KiB for each connection; for readers larger ones gained nothing
            // Postgres' name for the order of bytes, so that one DDL text declares it for both.
            .collation("C", |left, right| left.as_bytes().cmp(right.as_bytes()));
        let write = base
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What a transaction of many has changed stays here: beyond it SQLite writes pages before the commit, and reads them again.
            .pragma("cache_size", "-32768")
            .pragma("wal_autocheckpoint", "8000")
            .pragma("journal_size_limit", "67108864");
        Self { write, read: base.read_only(true).pragma("query_only", "on") }
    }

    /// Makes the file, in WAL mode, before a reader opens it. Neither the change of mode nor the moment in which another process closes the
    /// file as its last one asks SQLite's busy handler in each case, so who is refused comes again.
    pub(super) async fn make(&self) -> sqlx::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.write.connect().and_then(Connection::close).await {
                Err(cause) if is_busy(&cause) && Instant::now() < until => sleep(AGAIN).await,
                made => return made,
            }
        }
    }
}

/// SQLITE_BUSY, and those of its extended codes that tell why (the low byte is the code).
fn is_busy(cause: &sqlx::Error) -> bool {
    let code = cause.as_database_error().and_then(|cause| cause.code()).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}
