//! Who calls a service, in which group and as what; how that travels is in [`signer`].

mod opener;
pub mod signer;
#[doc(hidden)]
pub mod testing;
mod wire;

pub use contract::{identity::v1::ActorKind, internal::v1::CredentialKind};
pub(crate) use opener::Opener;
pub use signer::{HEADER, Signer};

use contract::{
    Reason, Refusal, Role, Scope, Scopes,
    id::{ActorId, GroupId, KeyId},
    identity::v1::Actor as ActorMessage,
};
use std::sync::Arc;
use uuid::Uuid;

/// The caller of one call, as the gateway (or another service) vouches for it.
///
/// Every call clones one; what is the same for many calls of a caller is shared.
///
/// The default is nobody: no actor, no credential, no group, no right. That is the caller of a public call without a credential.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Principal {
    /// Who acts.
    pub actor: Actor,
    /// What proved it.
    pub credential: Credential,
    /// The credential's group.
    pub home: GroupId,
    /// The acting group: the tenant of this call.
    pub group: GroupId,
    /// The acting group's organisation.
    pub root: GroupId,
    /// The role in the acting group.
    pub role: Role,
    /// The role comes from a group above.
    pub inherited: bool,
    /// All grants of the credential, so that the acting group can be decided again.
    pub grants: Arc<[Grant]>,
    /// What it holds in the acting group: the credential's scopes, as far as the role has them.
    pub scopes: Scopes,
    /// The acting group's quotas.
    pub quotas: Quotas,
    /// Where the call came from.
    pub address: Arc<str>,
    /// The client's user agent.
    pub user_agent: Arc<str>,
    /// When the credential was last proven, microseconds since 1970.
    pub proved: i64,
    /// `x-request-id` of the call. Not signed: it stands beside.
    pub call_id: String,
    /// `traceparent` of the call. Not signed: it stands beside.
    pub traceparent: String,
}

/// Who does something, and with what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Its kind; unspecified is nobody.
    pub kind: ActorKind,
    /// Its id; nil for the platform itself and for nobody.
    pub id: ActorId,
    /// The API key that was used.
    pub key_id: Option<KeyId>,
    /// The person for whom it acts.
    pub on_behalf_of: Option<ActorId>,
}

/// What proved who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    /// Its kind; unspecified for a public call and for the platform itself.
    pub kind: CredentialKind,
    /// Its id, nil where there is none.
    pub id: Uuid,
}

/// A role in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The group.
    pub group: GroupId,
    /// The role there, and perhaps below.
    pub role: Role,
}

/// How many there may be; -1 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Groups in the organisation.
    pub groups: i64,
    /// Things in the acting group.
    pub things: i64,
}

impl Principal {
    /// The platform itself, in no group, with every right: who acts when nobody asked.
    #[must_use]
    pub fn system() -> Self {
        Self {
            actor: Actor { kind: ActorKind::System, ..Actor::default() },
            role: Role::PlatformOwner,
            scopes: Scopes::ALL,
            quotas: Quotas { groups: -1, things: -1 },
            ..Self::default()
        }
    }

    /// It is the platform itself.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.actor.kind == ActorKind::System
    }

    /// Refuses who lacks the scope; for what depends on a field of the request. What the rpc always needs was checked before.
    pub fn require(&self, scope: Scope) -> Result<(), Refusal> {
        crate::acting::require(self.scopes, Scopes::of(scope), "this")
    }

    /// Refuses who has a lower role in the acting group.
    pub fn require_role(&self, least: Role) -> Result<(), Refusal> {
        crate::acting::require_role(self.role, least, "this")
    }

    /// The actor as it stands in resources and events.
    #[must_use]
    pub fn actor_message(&self) -> ActorMessage {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        ActorMessage {
            kind: self.actor.kind.into(),
            id: text((!self.actor.id.is_nil()).then_some(*self.actor.id)),
            key_id: text(self.actor.key_id.map(|id| *id)),
            on_behalf_of_id: text(self.actor.on_behalf_of.map(|id| *id)),
        }
    }
}

/// The caller of a request that came through a [`Room`](crate::room::Room).
pub fn of<T>(request: &tonic::Request<T>) -> Result<Arc<Principal>, Refusal> {
    request.extensions().get::<Arc<Principal>>().cloned().ok_or_else(refused)
}

/// The answer to a call without a principal that was signed for it.
#[must_use]
pub fn refused() -> Refusal {
    Refusal::new(Reason::PrincipalRefused, "services answer only their gateway")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_actor_stands_in_resources_with_ids_only_where_it_has_some() {
        let system = Principal::system().actor_message();
        assert_eq!(system, ActorMessage { kind: ActorKind::System.into(), ..Default::default() });
        let key = Principal::test(GroupId::default(), Role::GroupUser, Scopes::ALL);
        let message = key.actor_message();
        assert_eq!((message.id.as_str(), message.on_behalf_of_id.as_str()), (key.actor.id.to_string().as_str(), ""));
        assert_eq!(message.key_id, message.id, "a key without an owner acts for itself");
    }

    #[test]
    fn rights_are_asked_for_by_name() {
        let user = Principal::test(GroupId::default(), Role::GroupUser, Scopes::ALL);
        assert!(user.require(Scope::ThingsWrite).is_ok() && user.require_role(Role::Customer).is_ok());
        assert_eq!(user.require(Scope::ThingsDelete).unwrap_err().reason(), Reason::InsufficientScopes);
        assert_eq!(user.require_role(Role::GroupOwner).unwrap_err().reason(), Reason::InsufficientRole);
        assert!(Principal::default().require(Scope::ThingsRead).is_err(), "nobody");
    }

    #[test]
    fn a_request_has_its_caller_from_the_room_or_is_refused() {
        let mut request = tonic::Request::new(());
        assert_eq!(of(&request).unwrap_err().reason(), Reason::PrincipalRefused);
        request.extensions_mut().insert(Arc::new(Principal::system()));
        assert!(of(&request).unwrap().is_system());
    }
}
