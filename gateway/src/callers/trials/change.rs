//! A change that takes rights away.

use uuid::Uuid;

/// What takes rights away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    Revoked,
    Archived,
    ClosedToParents,
    RoleLowered,
    ScopesNarrowed,
}

pub(super) const CHANGES: [Change; 5] = [Change::Revoked, Change::Archived, Change::ClosedToParents, Change::RoleLowered, Change::ScopesNarrowed];

impl Change {
    /// Whose change it is: the key's, its group's, or that of the group it acts in.
    pub(super) fn subject(self) -> Uuid {
        Uuid::from_u128(match self {
            Change::Revoked | Change::RoleLowered | Change::ScopesNarrowed => 100,
            Change::Archived => 1,
            Change::ClosedToParents => 2,
        })
    }
}
