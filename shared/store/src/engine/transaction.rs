//! An open transaction of either engine, and what spoils it. Its futures are boxed, as in [`on`](super::on).

use super::{Dialect, Error, Result, postgres::Held, sqlite::Turn};
use futures::{FutureExt, future::BoxFuture};
use sqlx::Postgres;
use std::mem::replace;

/// A transaction as its engine holds it.
pub(crate) enum Open {
    Sqlite(Turn),
    Postgres(Held<sqlx::Transaction<'static, Postgres>>),
}

/// An [`Open`] whose destructor is compiled here, and with it sqlx's, not again in each crate that lets go of a transaction.
trait Keep: Send {
    fn open(&mut self) -> &mut Open;
    fn take(self: Box<Self>) -> Open;
}

impl Keep for Open {
    fn open(&mut self) -> &mut Open {
        self
    }

    fn take(self: Box<Self>) -> Open {
        *self
    }
}

/// An open transaction. Dropped: it never was.
pub(crate) struct Transaction {
    kept: Box<dyn Keep>,
    dialect: Dialect,
    /// A statement counts as failed until it has succeeded, so one that is cut off spoils it too.
    pub(super) spoiled: bool,
}

impl Transaction {
    pub(crate) fn new(open: Open) -> Self {
        let dialect = match open {
            Open::Sqlite(_) => Dialect::Sqlite,
            Open::Postgres(_) => Dialect::Postgres,
        };
        Self { kept: Box::new(open), dialect, spoiled: false }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(super) fn open(&mut self) -> &mut Open {
        self.kept.open()
    }

    pub(crate) fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    /// Waits for its turn.
    pub(crate) async fn start(&mut self) -> Result<()> {
        match self.open() {
            Open::Sqlite(turn) => turn.loan().await.map(drop),
            Open::Postgres(_) => Ok(()),
        }
    }

    /// Runs what was put off; what it refuses spoils nothing.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        if self.dialect == Dialect::Postgres {
            return Ok(());
        }
        if replace(&mut self.spoiled, true) {
            return Err(Error::Spoiled);
        }
        let Open::Sqlite(turn) = self.open() else { return Ok(()) };
        let settled = turn.settle().await;
        self.spoiled = !matches!(settled, Ok(()) | Err(Error::Refused(_) | Error::Repeated));
        settled
    }

    /// Ok: synced. Err: nothing was kept (but for [`Error::Unknown`]). Cut off half-way: one or the other.
    pub(crate) fn commit(self) -> BoxFuture<'static, Result<()>> {
        async move {
            // Also because Postgres answers the COMMIT of a failed transaction with success, having rolled it back.
            if self.spoiled {
                return Err(Error::Spoiled);
            }
            match self.kept.take() {
                Open::Sqlite(turn) => turn.keep().await,
                Open::Postgres(transaction) => transaction.commit().await,
            }
        }
        .boxed()
    }

    /// Rolls back; Ok: and what was read in it is true, for whoever wrote that has committed.
    pub(crate) fn undo(self) -> BoxFuture<'static, Result<()>> {
        async move {
            match self.kept.take() {
                Open::Sqlite(turn) => turn.undo().await,
                // Read committed: it saw nothing else.
                Open::Postgres(transaction) => transaction.rollback().await,
            }
        }
        .boxed()
    }
}
