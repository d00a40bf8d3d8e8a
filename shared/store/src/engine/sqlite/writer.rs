//! The task that owns the writer connection and lends it to one transaction after the other.
//!
//! All of them stand inside one open transaction, each fenced by a savepoint; when nobody waits any more (or a limit is reached) the task
//! runs COMMIT and answers all of them. Every BEGIN, SAVEPOINT, RELEASE, ROLLBACK and COMMIT is run here, by a task that nobody cancels; a
//! handler only ever runs its own statements. So a vanished client can break nothing: whatever its handler left behind, the task sees the
//! loan end and rolls it back. (sqlx sends commands to the connection's thread in order, so a statement cut off half-way is over before
//! that ROLLBACK runs.)
//!
//! Each text is a hop to sqlx's thread and back: a wake-up of one thread, then of another, and most of what a write costs. A transaction
//! that reads makes one for each of its texts and one for its fence; one that only writes leaves its statements here as a job, which runs
//! together with its fence in one hop.

use super::due::{Due, Ran};
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
/// What the writer is asked for.
pub(super) enum Asked {
    /// The connection, until the loan ends.
    Loan(oneshot::Sender<Result<Loan>>),
    /// To run these statements as a transaction, and to say when they are kept.
    Job(Due, Ack),
    /// To finish.
    Close,
}

impl Asked {
    /// Nobody waits for it any more.
    fn is_gone(&self) -> bool {
        match self {
            Self::Loan(waiter) => waiter.is_closed(),
            Self::Job(_, ack) => ack.is_closed(),
            Self::Close => false,
        }
    }

    fn refuse(self, error: Error) {
        match self {
            Self::Loan(waiter) => drop(waiter.send(Err(error))),
            Self::Job(_, ack) => drop(ack.send(Err(error))),
            Self::Close => {}
        }
    }
}

/// Who waits for the COMMIT, and what to say when it succeeds.
type Acks = Vec<(Ack, Result<()>)>;

/// What stands before a transaction, and of how many statements it is.
#[derive(Clone, Copy)]
pub(super) struct Fence(pub(super) &'static str, pub(super) usize);

/// What opens the first transaction of a batch.
const BEGIN: Fence = Fence("BEGIN IMMEDIATE", 1);

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
    queue: mpsc::Receiver<Asked>,
    connection: Option<SqliteConnection>,
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions, limits: Limits, queue: mpsc::Receiver<Asked>) -> Self {
        Self { options, limits, queue, connection: None }
    }

    pub(super) async fn run(mut self) {
        while let Some(asked) = self.queue.recv().await {
            match asked {
                Asked::Close => self.queue.close(),
                gone if gone.is_gone() => {}
                first => self.serve(first).await,
            }
        }
        self.reset().await;
    }

    /// One COMMIT's worth of transactions, and the answers.
    async fn serve(&mut self, first: Asked) {
        let mut acks = Vec::new();
        let kept = self.batch(first, &mut acks).await.map_err(Error::not_kept);
        // BEGIN, SAVEPOINT, RELEASE, ROLLBACK or COMMIT failed: disk full, I/O error, or an error on which SQLite rolled back everything.
        // What state the connection is in is anybody's guess; closing it rolls back, and a fresh one costs a millisecond.
        if kept.is_err() {
            self.reset().await;
        }
        for (ack, outcome) in acks {
            ack.send(kept.clone().and(outcome)).ok();
        }
    }

    /// `Err`: nothing of any of them was kept.
    async fn batch(&mut self, first: Asked, acks: &mut Acks) -> sqlx::Result<()> {
        if let Err(cause) = self.connect().await {
            first.refuse(Error::not_kept(cause));
            return Ok(()); // nobody else was served
        }
        let (began, mut next, mut fence, mut fenced) = (Instant::now(), first, BEGIN, false);
        loop {
            let kept = self.member(next, fence, acks).await?;
            match (kept, fenced) {
                (true, _) => {}
                (false, true) => self.run_text("ROLLBACK TO member").await?, // the savepoint stays, clean, for the next one
                (false, false) => return self.run_text("ROLLBACK").await,    // it was alone
            }
            if acks.len() >= self.limits.members || began.elapsed() >= self.limits.age {
                break;
            }
            let Some(waiter) = self.waiting() else { break };
            (next, fence, fenced) = (waiter, fence_after(fenced, kept), true);
        }
        self.run_text("COMMIT").await
    }

    /// One transaction, behind its fence. True: it is to be kept.
    async fn member(&mut self, asked: Asked, fence: Fence, acks: &mut Acks) -> sqlx::Result<bool> {
        match asked {
            Asked::Job(due, ack) => self.work(due, ack, fence, acks).await,
            Asked::Loan(waiter) => {
                if fence.1 > 0 {
                    self.run_text(fence.0).await?;
                }
                Ok(self.lend(waiter, acks).await)
            }
            Asked::Close => Ok(true),
        }
    }

    /// Runs a job. What it is told, also when it is refused or failed, may rest on its neighbours: it waits for their COMMIT.
    async fn work(&mut self, due: Due, ack: Ack, fence: Fence, acks: &mut Acks) -> sqlx::Result<bool> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        let (outcome, broken) = match due.run_after(fence, connection).await {
            Ran::After(outcome) => (outcome, None),
            Ran::Before(error) => (Ok(()), Some(error)),
        };
        let kept = outcome.is_ok();
        acks.push((ack, outcome));
        broken.map_or(Ok(kept), Err)
    }

    /// The next in line who is still there.
    fn waiting(&mut self) -> Option<Asked> {
        loop {
            match self.queue.try_recv() {
                Ok(Asked::Close) => self.queue.close(),
                Ok(gone) if gone.is_gone() => {}
                Ok(asked) => return Some(asked),
                Err(_) => return None,
            }
        }
    }

    async fn connect(&mut self) -> sqlx::Result<()> {
        if self.connection.is_none() {
            self.connection = Some(self.options.connect().await?);
        }
        Ok(())
    }

    /// Lends the connection until the borrower ends the loan, goes away or runs out of time. True: it is to be kept.
    async fn lend(&mut self, waiter: oneshot::Sender<Result<Loan>>, acks: &mut Acks) -> bool {
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
                acks.push((ack, Ok(())));
                true
            }
            Some(Outcome::Undo(ack)) => {
                acks.push((ack, Ok(())));
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

/// Fences the next one off from those before it. The first of a batch needs no fence: a lone transaction costs BEGIN and COMMIT only.
/// The RELEASE also proves that the transaction is still the one we began (SQLite ends it by itself on some errors).
fn fence_after(fenced: bool, kept: bool) -> Fence {
    match (fenced, kept) {
        (false, _) => Fence("SAVEPOINT member", 1),
        (true, true) => Fence("RELEASE member; SAVEPOINT member", 2),
        (true, false) => Fence("", 0),
    }
}
