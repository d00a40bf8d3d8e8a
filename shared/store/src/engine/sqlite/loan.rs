//! The writer's connection while it is lent to a transaction.

use crate::engine::{Error, Result};
use sqlx::SqliteConnection;
use std::sync::Arc;
use tokio::sync::{Mutex, oneshot};

/// The connection while it is lent. Empty means: your time is over.
pub(super) type Slot = Arc<Mutex<Option<SqliteConnection>>>;
/// Where the outcome of the COMMIT goes.
pub(super) type Ack = oneshot::Sender<Result<()>>;

/// What a transaction holds. Dropped: rolled back.
pub(crate) struct Loan {
    pub(super) slot: Slot,
    pub(super) done: oneshot::Sender<Outcome>,
}

/// How a loan ends, when it does not just go away.
pub(super) enum Outcome {
    /// Keep what was written, and say when it is.
    Keep(Ack),
    /// Roll it back, and say when what was *read* is true: a neighbour's row is visible before its COMMIT.
    Undo(Ack),
}

impl Loan {
    pub(crate) fn slot(&self) -> &Mutex<Option<SqliteConnection>> {
        &self.slot
    }

    pub(crate) async fn keep(self) -> Result<()> {
        self.end(Outcome::Keep).await
    }

    pub(crate) async fn undo(self) -> Result<()> {
        self.end(Outcome::Undo).await
    }

    async fn end(self, how: fn(Ack) -> Outcome) -> Result<()> {
        let (ack, outcome) = oneshot::channel();
        self.done.send(how(ack)).map_err(|_| Error::Expired)?;
        outcome.await.map_err(|_| Error::Expired)?
    }
}
