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
//! together with its fence, and with other jobs of the same text, in one hop. When one of those is refused they are rolled back and run one
//! by one.

use super::{
    due::{Due, Ran},
    loan::{Ack, Loan, Outcome},
    stand::{Fence, Stand},
    waiting::{Asked, Waiting},
};
use crate::engine::{Error, Limits, Result};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{sync::Arc, time::Instant};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

/// Who waits for the COMMIT, and what to say when it succeeds.
type Acks = Vec<(Ack, Result<()>)>;

pub(super) struct Writer {
    options: SqliteConnectOptions,
    limits: Limits,
    waiting: Waiting,
    connection: Option<SqliteConnection>,
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions, limits: Limits, queue: mpsc::Receiver<Asked>) -> Self {
        Self { options, limits, waiting: Waiting::new(queue), connection: None }
    }

    pub(super) async fn run(mut self) {
        while self.waiting.anybody().await {
            self.serve().await;
        }
        self.reset().await;
    }

    /// One COMMIT's worth of transactions, and the answers.
    async fn serve(&mut self) {
        let mut acks = Vec::new();
        let kept = self.batch(&mut acks).await.map_err(Error::not_kept);
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
    async fn batch(&mut self, acks: &mut Acks) -> sqlx::Result<()> {
        let Some(first) = self.waiting.next() else { return Ok(()) };
        if let Err(cause) = self.connect().await {
            first.refuse(Error::not_kept(cause));
            return Ok(()); // nobody else was served
        }
        let (began, mut stand, mut next) = (Instant::now(), Stand::Outside, Some(first));
        while let Some(asked) = next {
            stand = match asked {
                Asked::Job(due, ack) => self.jobs(due, ack, stand, acks).await?,
                Asked::Loan(waiter) => self.loan(waiter, stand, acks).await?,
                Asked::Close => stand, // not given out
            };
            if acks.len() >= self.limits.members || began.elapsed() >= self.limits.age {
                break;
            }
            self.waiting.look();
            next = self.waiting.next();
        }
        match stand {
            Stand::Outside => Ok(()),
            _ => self.run_text("COMMIT").await,
        }
    }

    /// A job, and all that wait with the same text: most of what a small one costs is the trip.
    async fn jobs(&mut self, first: Due, ack: Ack, stand: Stand, acks: &mut Acks) -> sqlx::Result<Stand> {
        let (mut dues, mut waiters) = (vec![first], vec![ack]);
        self.waiting.alike(&mut dues, &mut waiters);
        if dues.len() == 1 {
            return self.one_by_one(dues, waiters, stand, acks).await;
        }
        let connection = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
        let ended = Due::run_all(&dues, stand.firm_fence(), connection).await;
        if matches!(ended, Ok(true)) {
            acks.extend(waiters.into_iter().map(|ack| (ack, Ok(()))));
            return Ok(Stand::Kept);
        }
        if let Err(error) = ended {
            acks.extend(waiters.into_iter().map(|ack| (ack, Ok(()))));
            return Err(error);
        }
        self.run_text("ROLLBACK TO member").await?;
        self.one_by_one(dues, waiters, Stand::Clean, acks).await
    }

    /// Runs jobs. What one is told, also when it is refused or failed, may rest on its neighbours: it waits for their COMMIT.
    async fn one_by_one(&mut self, dues: Vec<Due>, waiters: Vec<Ack>, mut stand: Stand, acks: &mut Acks) -> sqlx::Result<Stand> {
        let mut broken = Ok(());
        for (due, ack) in dues.into_iter().zip(waiters) {
            if broken.is_err() {
                acks.push((ack, Ok(()))); // to be told with the others
                continue;
            }
            let connection = self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)?;
            let (outcome, kept) = match due.run_after(stand.fence(), connection).await {
                Ran::After(outcome) => (outcome.clone(), self.ended(stand, outcome.is_ok()).await),
                Ran::Before(error) => (Ok(()), Err(error)),
            };
            acks.push((ack, outcome));
            match kept {
                Ok(next) => stand = next,
                Err(error) => broken = Err(error),
            }
        }
        broken.map(|()| stand)
    }

    async fn loan(&mut self, waiter: oneshot::Sender<Result<Loan>>, stand: Stand, acks: &mut Acks) -> sqlx::Result<Stand> {
        let Fence(text, size) = stand.fence();
        if size > 0 {
            self.run_text(text).await?;
        }
        let kept = self.lend(waiter, acks).await;
        self.ended(stand, kept).await
    }

    /// Where the batch stands after a transaction that began at `stand`.
    async fn ended(&mut self, stand: Stand, kept: bool) -> sqlx::Result<Stand> {
        match (kept, stand) {
            (true, Stand::Outside) => Ok(Stand::Alone),
            (true, _) => Ok(Stand::Kept),
            (false, Stand::Outside) => self.run_text("ROLLBACK").await.map(|()| Stand::Outside), // it was alone
            (false, _) => self.run_text("ROLLBACK TO member").await.map(|()| Stand::Clean),
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
