//! Principals for tests.

use super::{Actor, ActorKind, Credential, CredentialKind, Grant, Principal, Quotas};
use contract::{
    Role, Scopes,
    id::{ActorId, GroupId, KeyId},
};

impl Principal {
    /// A key without an owner, in its own group, an organisation, without limits.
    #[doc(hidden)]
    #[must_use]
    pub fn test(group: GroupId, role: Role, scopes: Scopes) -> Self {
        let key = KeyId::new(1_700_000_000_000_000);
        Self {
            actor: Actor { kind: ActorKind::Key, id: ActorId(*key), key_id: Some(key), on_behalf_of: None },
            credential: Credential { kind: CredentialKind::Key, id: *key },
            home: group,
            group,
            root: group,
            role,
            grants: [Grant { group, role }].into(),
            scopes: scopes & Scopes::of_role(role),
            quotas: Quotas { groups: -1, things: -1 },
            address: "192.0.2.7".into(),
            user_agent: "test/1".into(),
            proved: 1_700_000_000_000_000,
            call_id: "call-1".to_owned(),
            ..Self::default()
        }
    }
}
