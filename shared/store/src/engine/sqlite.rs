//! SQLite: one file, one writer connection that is lent, a few read-only ones.

mod due;
mod joined;
mod loan;
mod options;
mod readers;
mod stand;
mod trips;
mod turn;
mod waiting;
mod writer;

pub(crate) use due::No;
pub(crate) use turn::Turn;

use super::{Error, Limits, Result};
use options::Options;
use readers::Readers;
use std::path::Path;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use trips::Trips;
use turn::Line;
use writer::Writer;

/// An open file.
pub(crate) struct Sqlite {
    line: Line,
    writer: Mutex<Option<JoinHandle<()>>>,
    pub(crate) readers: Readers,
    pub(crate) trips: Trips,
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
            line: Line::new(queue, limits.waiting),
            writer: Mutex::new(Some(tokio::spawn(writer.run()))),
            trips: Trips::start(&options.read, limits.readers),
            readers: Readers::new(options.read, limits.readers),
        })
    }

    /// A transaction that waits for the connection when it first needs it.
    pub(crate) fn turn(&self) -> Turn {
        Turn::new(self.line.clone())
    }

    /// Serves who is already waiting, then closes the file. Dropping alone closes it at some later moment, and deletes the WAL then.
    pub(crate) async fn close(&self) {
        self.trips.close().await;
        self.readers.close().await; // first, so that the writer is the last one out and folds the WAL into the file
        self.line.close().await;
        if let Some(writer) = self.writer.lock().await.take() {
            writer.await.ok();
        }
    }
}
