//! How the connections to one file are opened.

use sqlx::{
    ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{path::Path, time::Duration};

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
            .pragma("cache_size", "-4096") // KiB for each connection; larger ones gained nothing
            // Postgres' name for the order of bytes, so that one DDL text declares it for both.
            .collation("C", |left, right| left.as_bytes().cmp(right.as_bytes()));
        let write = base
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864");
        Self { write, read: base.read_only(true).pragma("query_only", "on") }
    }

    /// Makes the file, in WAL mode, before a reader opens it.
    pub(super) async fn make(&self) -> sqlx::Result<()> {
        self.write.connect().await?.close().await
    }
}
