//! The task that owns the writer connection and lends it to one transaction after the other.
//!
//! All of them stand inside one open transaction, each fenced by a savepoint; when nobody waits any more (or a limit is reached) the task
//! runs COMMIT and answers all of them. Every BEGIN, SAVEPOINT, RELEASE, ROLLBACK and COMMIT is run here, by a task that nobody cancels; a
//! handler only ever runs its own statements. So a vanished client can break nothing: whatever its handler left behind, the task sees the
//! loan end and rolls it back. (sqlx sends commands to the connection's thread in order, so a statement cut off half-way is over before
//! that ROLLBACK runs.)
//!
//! Each statement is a hop to sqlx's thread and back; a transaction of n statements makes n + 2 hops alone and n + 1 in a batch.

use crate::engine::{Error, Limits, Result};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{sync::Arc, time::Instant};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

/// The connection while it is lent. Empty means: your time is over.
type Slot = Arc<Mutex<Option<SqliteConnection>>>;
/// Where the outcome of the COMMIT goes.
type Ack = oneshot::Sender<Result<()>>;
/// Who waits for the connection.
pub(super) type Waiter = oneshot::Sender<Result<Loan>>;
/// `None` asks the writer to finish.
type Queue = mpsc::Receiver<Option<Waiter>>;

/// What a transaction holds. Dropped: rolled back.
pub(crate) struct Loan {
    slot: Slot,
    done: oneshot::Sender<Outcome>,
}

/// How a loan ends, when it does not just go away.
enum Outcome {
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

pub(super) struct Writer {
    options: SqliteConnectOptions,
    limits: Limits,
    queue: Queue,
    connection: Option<SqliteConnection>,
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions, limits: Limits, queue: Queue) -> Self {
        Self { options, limits, queue, connection: None }
    }

    pub(super) async fn run(mut self) {
        while let Some(asked) = self.queue.recv().await {
            match asked {
                None => self.queue.close(),
                Some(gone) if gone.is_closed() => {}
                Some(first) => self.serve(first).await,
            }
        }
        self.reset().await;
    }

    /// One COMMIT's worth of transactions, and the answers.
    async fn serve(&mut self, first: Waiter) {
        let mut acks = Vec::new();
        let kept = self.batch(first, &mut acks).await.map_err(Error::not_kept);
        // BEGIN, SAVEPOINT, RELEASE, ROLLBACK or COMMIT failed: disk full, I/O error, or an error on which SQLite rolled back everything.
        // What state the connection is in is anybody's guess; closing it rolls back, and a fresh one costs a millisecond.
        if kept.is_err() {
            self.reset().await;
        }
        for ack in acks {
            ack.send(kept.clone()).ok();
        }
    }

    /// `Err`: nothing of any of them was kept.
    async fn batch(&mut self, first: Waiter, acks: &mut Vec<Ack>) -> sqlx::Result<()> {
        if let Err(cause) = self.begin().await {
            first.send(Err(Error::not_kept(cause))).ok();
            return Err(sqlx::Error::PoolClosed); // reaches nobody: there are no acks yet
        }
        let (began, mut next, mut fenced) = (Instant::now(), first, false);
        loop {
            let kept = self.lend(next, acks).await;
            match (kept, fenced) {
                (true, _) => {}
                (false, true) => self.run_text("ROLLBACK TO member").await?, // the savepoint stays, clean, for the next one
                (false, false) => return self.run_text("ROLLBACK").await,    // it was alone
            }
            if acks.len() >= self.limits.members || began.elapsed() >= self.limits.age {
                break;
            }
            let Some(waiter) = self.waiting() else { break };
            next = waiter;
            self.fence(fenced, kept).await?;
            fenced = true;
        }
        self.run_text("COMMIT").await
    }

    /// Fences the next one off from those before it. The first of a batch needs no fence: a lone transaction costs BEGIN and COMMIT only.
    /// The RELEASE also proves that the transaction is still the one we began (SQLite ends it by itself on some errors).
    async fn fence(&mut self, fenced: bool, kept: bool) -> sqlx::Result<()> {
        match (fenced, kept) {
            (false, _) => self.run_text("SAVEPOINT member").await,
            (true, true) => self.run_text("RELEASE member; SAVEPOINT member").await, // one round trip
            (true, false) => Ok(()),
        }
    }

    /// The next in line who is still there.
    fn waiting(&mut self) -> Option<Waiter> {
        loop {
            match self.queue.try_recv() {
                Ok(Some(waiter)) if !waiter.is_closed() => return Some(waiter),
                Ok(Some(_)) => {}
                Ok(None) => self.queue.close(),
                Err(_) => return None,
            }
        }
    }

    async fn begin(&mut self) -> sqlx::Result<()> {
        if self.connection.is_none() {
            self.connection = Some(self.options.connect().await?);
        }
        self.run_text("BEGIN IMMEDIATE").await
    }

    /// Lends the connection until the borrower ends the loan, goes away or runs out of time. True: it is to be kept.
    async fn lend(&mut self, waiter: Waiter, acks: &mut Vec<Ack>) -> bool {
        let slot = Arc::new(Mutex::new(self.connection.take()));
        let (done, outcome) = oneshot::channel();
        let ended = match waiter.send(Ok(Loan { slot: slot.clone(), done })) {
            Ok(()) => timeout(self.limits.loan, outcome).await.ok().and_then(Result::ok),
            Err(_) => None, // gave up while the connection was on its way
        };
        // Waits for a statement under way; afterwards a borrower who is late finds nothing.
        self.connection = slot.lock().await.take();
        match ended {
            Some(Outcome::Keep(ack)) => {
                acks.push(ack);
                true
            }
            Some(Outcome::Undo(ack)) => {
                acks.push(ack);
                false
            }
            None => false,
        }
    }

    async fn run_text(&mut self, text: &'static str) -> sqlx::Result<()> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        sqlx::query(text).execute(connection).await.map(drop) // query(), not raw_sql(): it stays prepared
    }

    async fn reset(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await.ok();
        }
    }
}
