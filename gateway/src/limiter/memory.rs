//! Counts in this process; for one gateway alone.

use super::{
    Charges, Limiter, Taken, Windows,
    file::File,
    table::{Known, Table},
};
use chassis::clock::Clock;
use contract::Refusal;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// What is counted in this time, a kill may lose.
const SAVE: Duration = Duration::from_secs(5);

/// The counts, and where they are kept over a restart.
#[derive(Debug)]
pub struct Memory {
    table: Arc<Table>,
    clock: Clock,
    file: Option<File>,
    /// Something was counted since the last save.
    news: AtomicBool,
}

impl Memory {
    /// Nothing is counted yet, and nothing is kept.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { table: Arc::new(Table::new()), clock, file: None, news: AtomicBool::new(false) }
    }

    /// What was counted in an earlier life counts on; [`Limiter::run`] keeps it in this file.
    #[must_use]
    pub fn kept(path: PathBuf, clock: Clock) -> Self {
        let (memory, file) = (Self::new(clock), File::new(path));
        match file.load(&memory.table, memory.clock.wall()) {
            Ok(counts) => tracing::debug!(counts, "limits count on from the last run"),
            Err(error) => tracing::warn!(%error, path = %file.path().display(), "the counts of the last run cannot be read: limits begin anew"),
        }
        Self { file: Some(file), ..memory }
    }

    /// Not on the workers of the runtime: a disk may be slow.
    async fn save(&self) {
        let Some(file) = self.file.clone().filter(|_| self.news.swap(false, Relaxed)) else { return };
        let (table, at) = (self.table.clone(), self.clock.wall());
        let saved = tokio::task::spawn_blocking(move || file.save(&table, at)).await;
        if let Err(error) = saved.unwrap_or_else(|_| Err(std::io::Error::other("it panicked"))) {
            tracing::warn!(%error, "the counts of the limits cannot be kept: a restart would begin anew");
            self.news.store(true, Relaxed);
        }
    }
}

impl Limiter for Memory {
    async fn take(&self, windows: &Windows, cost: u32) -> Result<Taken, Refusal> {
        self.news.store(true, Relaxed);
        Ok(self.table.take(windows, cost, self.clock.wall(), Known::Shared))
    }

    async fn run(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(SAVE)).await.is_some() {
            self.save().await;
        }
        self.save().await;
    }
}

impl Charges for Memory {
    fn charge(&self, windows: &Windows, cost: u32) {
        self.news.store(true, Relaxed);
        self.table.charge(windows, cost, self.clock.wall(), Known::Shared);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::limiter::{Name, table::ADDRESSES};

    fn windows(key: u128, day: i64) -> Windows {
        let mut windows = Windows::new(100, true);
        windows.push(key, Name::Minute, -1);
        windows.push(key, Name::Day, day);
        windows
    }

    fn of_address(address: u128) -> Windows {
        let mut windows = Windows::new(address, false);
        windows.push(address, Name::Minute, 60);
        windows
    }

    fn clock() -> Clock {
        Clock::still(Duration::from_secs(20_000 * 86_400 + 43_200))
    }

    #[tokio::test]
    async fn strangers_do_not_grow_the_table_nor_push_callers_out() {
        let memory = Memory::new(clock());
        memory.take(&windows(1, 3), 2).await.unwrap();
        for address in 0..3 * ADDRESSES as u128 {
            memory.take(&of_address(address), 1).await.unwrap();
        }
        assert!(memory.table.strangers() <= ADDRESSES);
        assert_eq!(memory.take(&windows(1, 3), 1).await.unwrap().left[0], 0);
    }

    async fn one_life(path: &std::path::Path, clock: &Clock, cost: u32) -> (u64, u64) {
        let memory = Memory::kept(path.to_owned(), clock.clone());
        let left = memory.take(&windows(1, 1_000), cost).await.unwrap().left[0];
        let address = memory.take(&of_address(9), 1).await.unwrap().left[0];
        let stopped = CancellationToken::new();
        stopped.cancel();
        memory.run(stopped).await;
        (left, address)
    }

    #[tokio::test]
    async fn counts_live_on_in_the_file_until_their_window_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (path, clock) = (folder.path().join("counts"), clock());
        assert_eq!(one_life(&path, &clock, 400).await, (600, 59));
        assert_eq!(one_life(&path, &clock, 100).await, (500, 58));
        clock.advance(Duration::from_secs(60));
        assert_eq!(one_life(&path, &clock, 100).await, (400, 59), "a new minute of the same day");
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(one_life(&path, &clock, 100).await, (900, 59));
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_as_none_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, clock) = (folder.path().join("counts"), clock());
        for text in ["", "onemesh counts 2\n", "onemesh counts 1\ncaller 7 zz day 1 1\n", "\u{0}\u{1}"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(one_life(&path, &clock, 1).await, (999, 59), "{text:?}");
            assert_eq!(one_life(&path, &clock, 1).await, (998, 58), "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_counted_is_saved_while_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (path, clock) = (folder.path().join("counts"), clock());
        let memory = Arc::new(Memory::kept(path.clone(), clock.clone()));
        let running = tokio::spawn({
            let memory = memory.clone();
            async move { memory.run(CancellationToken::new()).await }
        });
        memory.take(&windows(1, 1_000), 7).await.unwrap();
        while !path.exists() {
            tokio::time::sleep(SAVE).await;
        }
        running.abort(); // a kill
        assert_eq!(Memory::kept(path, clock).take(&windows(1, 1_000), 1).await.unwrap().left[0], 992);
    }
}
