//! Who made a row, in the four columns that each table of resources has for it.

use crate::{Sql, record};
use chassis::principal::{self, Principal};
use contract::identity::v1::{Actor, ActorKind};
use uuid::Uuid;

/// The maker of a row: `creator_kind`, `creator_id`, `creator_key_id`, `creator_on_behalf_of_id`.
#[derive(Clone, Debug, PartialEq)]
pub struct Creator {
    kind: i64,
    id: Option<Uuid>,
    key_id: Option<Uuid>,
    on_behalf_of_id: Option<Uuid>,
}
record!(Creator { kind: "creator_kind", id: "creator_id", key_id: "creator_key_id", on_behalf_of_id: "creator_on_behalf_of_id" });

impl Creator {
    /// Who calls.
    #[must_use]
    pub fn of(principal: &Principal) -> Self {
        let principal::Actor { kind, id, key_id, on_behalf_of } = principal.actor;
        Self {
            kind: i64::from(kind as i32),
            id: Some(*id).filter(|id| !id.is_nil()),
            key_id: key_id.map(|id| *id),
            on_behalf_of_id: on_behalf_of.map(|id| *id),
        }
    }

    /// The caller made it: by kind and id, whatever the key.
    #[must_use]
    pub fn is(&self, principal: &Principal) -> bool {
        let caller = Self::of(principal);
        (self.kind, self.id) == (caller.kind, caller.id)
    }

    /// As it stands in resources.
    #[must_use]
    pub fn message(&self) -> Actor {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        let kind = i32::try_from(self.kind).unwrap_or(ActorKind::Unspecified as i32);
        Actor { kind, id: text(self.id), key_id: text(self.key_id), on_behalf_of_id: text(self.on_behalf_of_id) }
    }

    /// The next four values.
    pub fn bind<'c>(&self, sql: Sql<'c>) -> Sql<'c> {
        sql.bind(self.kind).bind(self.id).bind(self.key_id).bind(self.on_behalf_of_id)
    }
}
