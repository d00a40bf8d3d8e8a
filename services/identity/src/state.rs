//! Where a key stands. It is computed from times each time it is asked, never stored.

use contract::identity::v1::KeyState;
use store::At;

/// The times that decide about a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When it was revoked.
    pub revoke: Option<At>,
    /// From when on it is refused.
    pub expire: Option<At>,
    /// When its grace ends, once it was replaced.
    pub grace: Option<At>,
}

impl Times {
    /// Revoked is final; then expiry, then the end of a grace.
    #[must_use]
    pub fn state(self, now: At) -> KeyState {
        let over = |end: At| end <= now;
        if self.revoke.is_some() {
            KeyState::Revoked
        } else if self.expire.is_some_and(over) || self.grace.is_some_and(over) {
            KeyState::Expired
        } else if self.grace.is_some() {
            KeyState::Rotating
        } else {
            KeyState::Active
        }
    }

    /// When it will be refused without anybody doing anything.
    #[must_use]
    pub fn end(self) -> Option<At> {
        self.expire.into_iter().chain(self.grace).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_that_decides_wins() {
        let (past, now, future) = (Some(At(1)), At(2), Some(At(3)));
        let at = Some(now);
        for (revoke, expire, grace, state, end) in [
            (None, None, None, KeyState::Active, None),
            (None, future, None, KeyState::Active, future),
            (None, at, None, KeyState::Expired, at),
            (None, past, None, KeyState::Expired, past),
            (None, None, future, KeyState::Rotating, future),
            (None, None, at, KeyState::Expired, at),
            (None, Some(At(9)), future, KeyState::Rotating, future),
            (None, past, future, KeyState::Expired, past),
            (past, None, None, KeyState::Revoked, None),
            (past, past, past, KeyState::Revoked, past),
            (future, future, future, KeyState::Revoked, future),
        ] {
            let times = Times { revoke, expire, grace };
            assert_eq!((times.state(now), times.end()), (state, end), "{times:?}");
        }
    }
}
