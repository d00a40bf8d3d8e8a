//! Numbers as clients hold them: sealed, good for one group, without expiry.

use super::{Error, Log};
use contract::{Reason, Refusal, id::GroupId};

impl Log {
    /// Resumes after that number.
    pub(crate) fn cursor(&self, group: GroupId, after: i64) -> String {
        self.db.cursor(group, after)
    }

    /// The number in a cursor of this group.
    ///
    /// # Errors
    /// `INVALID_CURSOR`: forged, cut, or another group's.
    pub(crate) fn after_of(&self, group: GroupId, cursor: &str) -> Result<i64, Refusal> {
        self.db.opened(group, cursor)
    }

    /// What a client is told when it cannot go on: above all, from where it can.
    pub(crate) fn refused(&self, group: GroupId, error: Error) -> Refusal {
        match error {
            Error::OutOfRange { after } => out_of_range(self.cursor(group, after)),
            other => other.into(),
        }
    }
}

pub(super) fn out_of_range(oldest: String) -> Refusal {
    let sentence = "the log does not reach to this cursor: what stands there is gone, or the log was restored from a backup; \
                    list the state anew, then go on from oldest_cursor or from now";
    Refusal::new(Reason::CursorOutOfRange, sentence).with("oldest_cursor", oldest)
}
