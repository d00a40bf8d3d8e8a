//! An open transaction of either engine, and what spoils it.

use super::{Dialect, Error, Result, postgres, sqlite::Turn};
use sqlx::Postgres;
use std::mem::replace;

/// A transaction as its engine holds it.
pub(crate) enum Open {
    Sqlite(Turn),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// An open transaction. Dropped: it never was.
pub(crate) struct Transaction {
    pub(super) open: Open,
    /// A statement counts as failed until it has succeeded, so one that is cut off spoils it too.
    pub(super) spoiled: bool,
}

impl Transaction {
    pub(crate) fn new(open: Open) -> Self {
        Self { open, spoiled: false }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.open {
            Open::Sqlite(_) => Dialect::Sqlite,
            Open::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(crate) fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    /// Waits for its turn.
    pub(crate) async fn start(&mut self) -> Result<()> {
        match &mut self.open {
            Open::Sqlite(turn) => turn.loan().await.map(drop),
            Open::Postgres(_) => Ok(()),
        }
    }

    /// Runs what was put off; what it refuses spoils nothing.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        let Open::Sqlite(turn) = &mut self.open else { return Ok(()) };
        if replace(&mut self.spoiled, true) {
            return Err(Error::Spoiled);
        }
        let settled = turn.settle().await;
        self.spoiled = !matches!(settled, Ok(()) | Err(Error::Refused(_) | Error::Repeated));
        settled
    }

    /// Ok: synced. Err: nothing was kept (but for [`Error::Unknown`]). Cut off half-way: one or the other.
    pub(crate) async fn commit(self) -> Result<()> {
        // Also because Postgres answers the COMMIT of a failed transaction with success, having rolled it back.
        if self.spoiled {
            return Err(Error::Spoiled);
        }
        match self.open {
            Open::Sqlite(turn) => turn.keep().await,
            Open::Postgres(transaction) => postgres::commit(transaction).await,
        }
    }

    /// Rolls back; Ok: and what was read in it is true, for whoever wrote that has committed.
    pub(crate) async fn undo(self) -> Result<()> {
        match self.open {
            Open::Sqlite(turn) => turn.undo().await,
            // Read committed: it saw nothing else.
            Open::Postgres(transaction) => transaction.rollback().await.map_err(Error::not_kept),
        }
    }
}
