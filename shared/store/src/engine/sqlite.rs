//! SQLite: one file, one writer connection that is lent, a few read-only ones.

mod options;
mod readers;
mod writer;

pub(crate) use readers::Readers;
pub(crate) use writer::Loan;

use super::{Error, Limits, Result};
use options::Options;
use std::path::Path;
use tokio::{
    sync::{Mutex, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};
use writer::{Waiter, Writer};

/// An open file.
pub(crate) struct Sqlite {
    /// Places for those who wait for the writer.
    places: Semaphore,
    queue: mpsc::Sender<Option<Waiter>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    pub(crate) readers: Readers,
}

impl Sqlite {
    /// Opens the file, or makes it, and starts the writer's task.
    pub(crate) async fn open(file: &Path, limits: Limits) -> Result<Self> {
        let options = Options::of(file);
        options.make().await.map_err(Error::not_kept)?;
        // A short channel: callers stand in `reserve()`, which is fair and which a caller who gives up leaves at once.
        let (queue, waiters) = mpsc::channel(16);
        let writer = Writer::new(options.write, limits, waiters);
        Ok(Self {
            places: Semaphore::new(limits.waiting),
            queue,
            writer: Mutex::new(Some(tokio::spawn(writer.run()))),
            readers: Readers::new(options.read, limits.readers),
        })
    }

    /// Waits for the connection, first come first served.
    pub(crate) async fn borrow(&self) -> Result<Loan> {
        let _place = self.places.try_acquire().map_err(|_| Error::Busy)?; // given back when the turn comes
        let (waiter, loan) = oneshot::channel();
        self.queue.reserve().await.map_err(|_| closed())?.send(Some(waiter));
        loan.await.map_err(|_| closed())?
    }

    /// Serves who is already waiting, then closes the file. Dropping alone closes it at some later moment, and deletes the WAL then.
    pub(crate) async fn close(&self) {
        self.readers.close().await; // first, so that the writer is the last one out and folds the WAL into the file
        self.queue.send(None).await.ok();
        if let Some(writer) = self.writer.lock().await.take() {
            writer.await.ok();
        }
    }
}

fn closed() -> Error {
    Error::not_kept(sqlx::Error::PoolClosed)
}
