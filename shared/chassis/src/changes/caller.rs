//! What is known of a credential, and of the way up from a group.

use crate::{
    acting::GroupState,
    principal::{Actor, ActorKind, Credential, CredentialKind, Grant, Quotas},
};
use contract::{
    Reason, Refusal, Role, Scopes,
    id::{ActorId, GroupId, KeyId},
    internal::v1,
};
use std::sync::Arc;
use uuid::Uuid;

/// A credential whose secret was proven once, and how it stands now.
#[derive(Clone, Debug)]
pub struct Proven {
    /// Its id.
    pub credential: Uuid,
    /// Its group; nil if it is gone.
    pub home: GroupId,
    /// When the secret was proven, microseconds since 1970.
    pub proved: i64,
    /// What it may do, or why it may do nothing any more.
    pub state: Result<Arc<Caller>, Refusal>,
}

/// What a credential may do, before the acting group is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The credential.
    pub credential: Credential,
    /// Who acts.
    pub actor: Actor,
    /// The credential's group.
    pub home: GroupId,
    /// Its organisation.
    pub root: GroupId,
    /// Where it may act, and as what.
    pub grants: Vec<Grant>,
    /// Its scopes, whatever the role.
    pub scopes: Scopes,
    /// Requests of this credential.
    pub rate: Rate,
    /// Requests of its organisation.
    pub root_rate: Rate,
}

/// How many requests; -1 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// In a UTC minute.
    pub per_minute: i64,
    /// In a UTC day.
    pub per_day: i64,
}

impl Rate {
    /// No limit.
    pub const NONE: Rate = Rate { per_minute: -1, per_day: -1 };
}

/// The way from a group up to its organisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The group, its parent, … its organisation.
    pub groups: Vec<GroupState>,
    /// The group's quotas.
    pub quotas: Quotas,
}

impl Caller {
    /// It may do what the other may; how often does not matter.
    #[must_use]
    pub fn has_access_of(&self, other: &Caller) -> bool {
        let Caller { credential, actor, home, root, grants, scopes, rate: _, root_rate: _ } = self;
        (credential, actor, home, root, grants, scopes) == (&other.credential, &other.actor, &other.home, &other.root, &other.grants, &other.scopes)
    }

    /// `None` if identity says what this build does not know: half a caller is none.
    pub(super) fn read(credential: Uuid, standing: &v1::Standing) -> Option<Caller> {
        let kind = CredentialKind::try_from(standing.kind).ok()?;
        Some(Caller {
            credential: Credential { kind, id: credential },
            actor: Actor {
                kind: ActorKind::try_from(standing.actor_kind).ok()?,
                id: ActorId::from_slice(&standing.actor_id)?,
                key_id: (kind == CredentialKind::Key).then_some(KeyId(credential)),
                on_behalf_of: None,
            },
            home: GroupId::from_slice(&standing.home_group_id)?,
            root: GroupId::from_slice(&standing.root_id)?,
            grants: standing.grants.iter().map(grant).collect::<Option<_>>()?,
            scopes: Scopes(standing.scopes),
            rate: rate(standing.rate),
            root_rate: rate(standing.root_rate),
        })
    }
}

fn grant(message: &v1::Grant) -> Option<Grant> {
    Some(Grant { group: GroupId::from_slice(&message.group_id)?, role: Role::try_from(message.role).ok()? })
}

/// One that is missing allows nothing, rather than everything.
fn rate(message: Option<v1::Rate>) -> Rate {
    let v1::Rate { per_minute, per_day } = message.unwrap_or_default();
    Rate { per_minute, per_day }
}

impl Line {
    pub(super) fn read(message: &v1::Line) -> Option<Line> {
        let quotas = message.quotas.unwrap_or_default();
        Some(Line { groups: GroupState::line(message)?, quotas: Quotas { groups: quotas.groups, things: quotas.things } })
    }
}

/// The one answer to a credential that is none: mistyped, unknown and wrong are the same.
#[must_use]
pub fn unproven() -> Refusal {
    Refusal::new(Reason::InvalidApiKey, "the API key is not valid; send one as `authorization: Bearer org_…` or `x-api-key: org_…`")
}

/// Why a proven credential is refused.
pub(super) fn refused(credential: Uuid, reason: Reason) -> Refusal {
    let sentence = match reason {
        Reason::KeyRevoked => "the API key was revoked; create a new one",
        Reason::KeyExpired => "the API key has expired; create a new one",
        _ => return unproven(),
    };
    Refusal::new(reason, sentence).with("key_id", credential.to_string())
}
