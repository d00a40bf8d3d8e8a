//! Why the log does not answer.

use contract::{Reason, Refusal};

/// A result of the log.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a reader cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The store's own.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Older than what is kept, or ahead of the log. What is kept stands after this number.
    #[error("what is kept stands after {after}")]
    OutOfRange { after: i64 },
    /// A number is missing where there can be no gap.
    #[error("the log of group {group} has a gap after {after}")]
    Gap { group: contract::id::GroupId, after: i64 },
    /// The hub is gone: the process ends.
    #[error("nobody tells of news any more")]
    Ended,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::OutOfRange { after } => super::cursor::out_of_range(after.to_string()),
            Error::Gap { .. } => Self::internal(error),
            Error::Ended => shutting_down(),
        }
    }
}

/// The stream ends with the process; another replica goes on.
pub(crate) fn shutting_down() -> Refusal {
    let sentence = "this server is shutting down; connect again and resume with the last cursor";
    Refusal::new(Reason::ShuttingDown, sentence).retry(std::time::Duration::from_secs(1))
}
