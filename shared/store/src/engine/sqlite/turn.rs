//! A transaction's turn on the writer's connection.
//!
//! It waits for the connection when it first reads, or not at all: statements that were only put off travel to the writer as they are.

use super::{
    due::{Due, No},
    loan::Loan,
    waiting::Asked,
};
use crate::engine::{Error, Result, bind::Held};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Those who wait for the writer, first come first served. Clones are the same line.
#[derive(Clone)]
pub(super) struct Line {
    places: Arc<Semaphore>,
    queue: mpsc::Sender<Asked>,
}

impl Line {
    pub(super) fn new(queue: mpsc::Sender<Asked>, places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), queue }
    }

    /// Asks the writer to finish.
    pub(super) async fn close(&self) {
        self.queue.send(Asked::Close).await.ok();
    }

    async fn stand<T>(&self, ask: impl FnOnce(oneshot::Sender<Result<T>>) -> Asked) -> Result<T> {
        let _place = self.places.try_acquire().map_err(|_| Error::Busy)?; // given back when the turn is over
        let (answer, answered) = oneshot::channel();
        self.queue.reserve().await.map_err(|_| closed())?.send(ask(answer));
        answered.await.map_err(|_| closed())?
    }
}

fn closed() -> Error {
    Error::not_kept(sqlx::Error::PoolClosed)
}

/// An open transaction. Dropped: it never was.
pub(crate) struct Turn {
    line: Line,
    loan: Option<Loan>,
    due: Due,
}

impl Turn {
    pub(super) fn new(line: Line) -> Self {
        Self { line, loan: None, due: Due::default() }
    }

    /// The connection; waits for it the first time.
    pub(crate) async fn loan(&mut self) -> Result<&Loan> {
        let loan = match self.loan.take() {
            Some(loan) => loan,
            None => self.line.stand(Asked::Loan).await?,
        };
        Ok(self.loan.insert(loan))
    }

    /// Another statement to run with the next one.
    pub(crate) fn put_off(&mut self, text: &str, values: Vec<Held>, no: Option<No>) {
        self.due.add(text, values, no);
    }

    /// Runs what was put off.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        let due = std::mem::take(&mut self.due);
        if due.is_empty() {
            return Ok(());
        }
        let mut slot = self.loan().await?.slot().lock().await;
        due.run(slot.as_mut().ok_or(Error::Expired)?).await
    }

    pub(crate) async fn keep(mut self) -> Result<()> {
        if self.loan.is_none() && !self.due.is_empty() {
            return self.line.stand(|ack| Asked::Job(self.due, ack)).await;
        }
        let settled = self.settle().await;
        match (settled, self.loan) {
            (Ok(()), Some(loan)) => loan.keep().await,
            (Err(refused @ (Error::Refused(_) | Error::Repeated)), Some(loan)) => loan.undo().await.and(Err(refused)),
            (settled, _) => settled, // dropped: rolled back
        }
    }

    /// Who never had the connection has read nothing.
    pub(crate) async fn undo(self) -> Result<()> {
        match self.loan {
            Some(loan) => loan.undo().await,
            None => Ok(()),
        }
    }
}
