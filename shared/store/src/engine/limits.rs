//! How much may wait, and how long.

use std::time::Duration;

/// The bounds of an engine. The defaults are what measured best (STACK.md §4).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Transactions in one COMMIT (SQLite).
    pub members: usize,
    /// How long one COMMIT may gather them (SQLite).
    pub age: Duration,
    /// How long one transaction may keep the others waiting.
    pub loan: Duration,
    /// How many callers may wait for their turn to write (SQLite; on Postgres `patience` bounds how long).
    pub waiting: usize,
    /// Connections: readers (SQLite).
    pub readers: u32,
    /// Connections in the pool (Postgres).
    pub connections: u32,
    /// How long a caller waits for a connection of the pool (Postgres).
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            members: 256,
            age: Duration::from_millis(50),
            loan: Duration::from_secs(2),
            waiting: 1024,
            readers: 4,
            connections: 16,
            patience: Duration::from_secs(5),
        }
    }
}
