//! Where a batch of transactions stands, and what keeps the next one apart from those before it.

/// What stands before a transaction, and of how many statements it is.
#[derive(Clone, Copy)]
pub(super) struct Fence(pub(super) &'static str, pub(super) usize);

impl Fence {
    pub(super) const NONE: Self = Self("", 0);
}

/// What the next transaction of a batch finds.
#[derive(Clone, Copy)]
pub(super) enum Stand {
    /// Nothing.
    Outside,
    /// A first one, to be kept, without a fence: a lone transaction costs BEGIN and COMMIT only.
    Alone,
    /// Others behind a fence, to be kept.
    Kept,
    /// A fence with nothing behind it.
    Clean,
}

impl Stand {
    /// What keeps the next one apart from those before it. The RELEASE also proves that the transaction is still the one we began (SQLite
    /// ends it by itself on some errors).
    pub(super) fn fence(self) -> Fence {
        match self {
            Self::Outside => Fence("BEGIN IMMEDIATE", 1),
            Self::Alone => Fence("SAVEPOINT member", 1),
            Self::Kept => Fence("RELEASE member; SAVEPOINT member", 2),
            Self::Clean => Fence::NONE,
        }
    }

    /// The same where what comes next must be able to fall alone.
    pub(super) fn firm_fence(self) -> Fence {
        match self {
            Self::Outside => Fence("BEGIN IMMEDIATE; SAVEPOINT member", 2),
            other => other.fence(),
        }
    }
}
