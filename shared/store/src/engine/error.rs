//! What can go wrong between a statement and its being kept, told apart by what the caller may do next.

use contract::{Reason, Refusal};
use std::{sync::Arc, time::Duration};

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a statement or a transaction did not work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was done; try again.
    #[error("too many callers are waiting for the store")]
    Busy,
    /// Rolled back; try again.
    #[error("the transaction was open for too long and has been rolled back")]
    Expired,
    /// A bug in the handler: it went on after an error.
    #[error("an earlier statement of this transaction failed: it can only be dropped")]
    Spoiled,
    /// BEGIN or COMMIT failed, perhaps through a neighbour, or the engine is away; try again.
    #[error("the store does not answer, and nothing was kept: {0}")]
    NotKept(#[source] Arc<sqlx::Error>),
    /// Postgres only. Try again with the same request_id: the remembered answer tells.
    #[error("the connection broke in COMMIT, the transaction may have been kept: {0}")]
    Unknown(#[source] Arc<sqlx::Error>),
    /// A statement that was put off until COMMIT changed no row, which refuses the change.
    #[error("refused: {0}")]
    Refused(Box<Refusal>),
    /// A request that was made before; its answer is remembered.
    #[error("this request has been answered before")]
    Repeated,
    /// The statement's own error.
    #[error(transparent)]
    Sql(Arc<sqlx::Error>),
}

/// What a retry should wait for.
const PAUSE: Duration = Duration::from_millis(200);

impl Error {
    pub(crate) fn not_kept(cause: sqlx::Error) -> Self {
        match Self::from(cause) {
            Self::Sql(cause) => Self::NotKept(cause),
            other => other,
        }
    }

    /// A unique or foreign key said no. Expected conflicts are better written as `ON CONFLICT`.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        let Self::Sql(cause) = self else { return false };
        cause.as_database_error().is_some_and(|database| database.is_unique_violation() || database.is_foreign_key_violation())
    }
}

/// What the code of a database's error says about the transaction.
fn of_code(code: &str) -> Option<fn(Arc<sqlx::Error>) -> Error> {
    match code {
        // idle_in_transaction_session_timeout: the loan is over.
        "25P03" => Some(|_| Error::Expired),
        // Postgres: serialization, deadlock, lock timeout; shut down; a replica after a failover; out of disk, memory, connections; its disk
        // does not work.
        "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "53100" | "53200" | "53300" | "58030" => Some(Error::NotKept),
        // The connection is lost.
        postgres if postgres.len() == 5 => postgres.starts_with("08").then_some(Error::NotKept),
        sqlite => of_sqlite(sqlite.parse().ok()?),
    }
}

/// The low byte of a code says what, the rest where.
fn of_sqlite(code: u32) -> Option<fn(Arc<sqlx::Error>) -> Error> {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const READ_ONLY: u32 = 8;
    const IO: u32 = 10;
    const FULL: u32 = 13;
    const CANNOT_OPEN: u32 = 14;
    matches!(code & 0xff, BUSY | LOCKED | READ_ONLY | IO | FULL | CANNOT_OPEN).then_some(Error::NotKept)
}

impl From<sqlx::Error> for Error {
    fn from(cause: sqlx::Error) -> Self {
        let told = match &cause {
            sqlx::Error::PoolTimedOut => return Self::Busy,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => {
                Some(Error::NotKept as _)
            }
            sqlx::Error::Database(database) => database.code().and_then(|code| of_code(&code)),
            _ => None,
        };
        told.unwrap_or(Self::Sql)(Arc::new(cause))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match &error {
            Error::Refused(refusal) => Self::clone(refusal),
            Error::Busy => Self::new(Reason::Overloaded, "too many changes are waiting; try again").retry(PAUSE),
            Error::Expired => Self::new(Reason::TransactionExpired, "the change took too long and was rolled back; try again").retry(PAUSE),
            Error::NotKept(_) | Error::Unknown(_) | Error::Repeated => {
                tracing::warn!(%error, "store unavailable");
                Self::new(Reason::StoreUnavailable, "the store is not available; try again with the same request_id").retry(PAUSE * 5)
            }
            Error::Spoiled | Error::Sql(_) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_is_a_bug() {
        for (code, passes) in [
            ("5", true),      // busy
            ("517", true),    // busy, snapshot
            ("778", true),    // I/O error, write
            ("1034", true),   // I/O error, fsync
            ("13", true),     // full
            ("776", true),    // read only, rollback
            ("1", false),     // SQL error
            ("2067", false),  // unique
            ("11", false),    // corrupt
            ("57P01", true),  // shut down
            ("25006", true),  // read only
            ("08006", true),  // connection failure
            ("53100", true),  // disk full
            ("22021", false), // a character: its low byte would be SQLite's busy
            ("23505", false), // unique
            ("42601", false), // syntax
        ] {
            assert_eq!(of_code(code).is_some(), passes, "{code}");
        }
    }
}
