//! What a credential may do, before the acting group is known: one statement for all that is asked.

use crate::{
    groups::row::read_limits,
    hash::Proof,
    keys::row::Stored,
    tiers::{self, Limits, Tier},
};
use contract::{
    Reason, Refusal,
    identity::v1::{ActorKind, GroupLimits, KeyState},
    internal::v1::{Credential, CredentialKind, Grant, Rate, Standing, credential::State},
};
use serde_json::Value;
use store::{At, Db, Json, Record, Row, sqlx};
use uuid::Uuid;

/// A key with what its group and its organisation say of it.
pub(crate) struct Known {
    pub(crate) key: Stored,
    pub(crate) proof: Proof,
    tier: Tier,
    root_limits: GroupLimits,
    own_limits: GroupLimits,
}

impl Record for Known {
    fn read(row: &Row<'_>) -> sqlx::Result<Self> {
        let tier: String = row.get("root_tier")?;
        let (Json(root), Json(own)) = (row.get::<Json<Value>>("root_limits")?, row.get::<Json<Value>>("own_limits")?);
        Ok(Self {
            key: Stored::read(row)?,
            proof: Proof { tag: row.get("tag")?, hash: row.get("hash")? },
            tier: Tier::parse(&tier).unwrap_or_default(),
            root_limits: read_limits(&root),
            own_limits: read_limits(&own),
        })
    }
}

const WHY: &str = "whose a credential is, is asked before the tenant is known";

/// The key of a handle, whoever's it is.
pub(crate) async fn by_handle(db: &Db, handle: &str) -> Result<Option<Known>, Refusal> {
    let select = db.system(WHY).sql(
        "select k.*, g.limits as own_limits, r.tier as root_tier, r.limits as root_limits
         from api_key k
         join groups g on g.group_id = k.group_id
         join groups r on r.group_id = k.root_id
         where k.handle = $1",
    );
    Ok(select.bind(handle).opt().await?)
}

/// The keys of these ids, in no order; those that are none are left out.
///
/// Subselects instead of joins: of many ids a planner may think that reading all groups is quicker, and it knows little of small tables.
pub(crate) async fn by_id(db: &Db, ids: &[Uuid]) -> Result<Vec<Known>, Refusal> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let select = db.system(WHY).sql(
        "select k.*,
             (select g.limits from groups g where g.group_id = k.group_id) as own_limits,
             (select r.tier from groups r where r.group_id = k.root_id) as root_tier,
             (select r.limits from groups r where r.group_id = k.root_id) as root_limits
         from api_key k
         where k.id in (",
    );
    Ok(select.rows(&super::padded(ids), 1, |sql, id| sql.bind(*id)).push(")").all().await?)
}

impl Known {
    /// The limits of its group.
    pub(crate) fn limits(&self) -> Limits {
        Limits::of(self.tier, &self.root_limits, &self.own_limits)
    }

    /// As those who cache it see it.
    pub(crate) fn credential(&self, now: At) -> Credential {
        let state = match self.key.times.state(now) {
            KeyState::Active | KeyState::Rotating => State::Standing(self.standing()),
            KeyState::Revoked => State::Refused(Reason::KeyRevoked.into()),
            KeyState::Expired | KeyState::Unspecified => State::Refused(Reason::KeyExpired.into()),
        };
        // Its group and organisation say how often it may be used.
        let depends_on = [*self.key.id, *self.key.group_id, *self.key.root_id].iter().map(super::raw).collect();
        Credential { id: super::raw(&self.key.id), depends_on, state: Some(state), group_id: super::raw(&self.key.group_id) }
    }

    fn standing(&self) -> Standing {
        let (key, limits) = (&self.key, self.limits());
        let rate = |rate: tiers::Rate| Some(Rate { per_minute: rate.minute, per_day: rate.day });
        Standing {
            kind: CredentialKind::Key.into(),
            // A key without an owner acts as itself.
            actor_kind: ActorKind::Key.into(),
            actor_id: super::raw(&key.id),
            home_group_id: super::raw(&key.group_id),
            root_id: super::raw(&key.root_id),
            grants: vec![Grant { group_id: super::raw(&key.group_id), role: key.role.into() }],
            scopes: key.held().0,
            expire_micros: key.times.end().map_or(0, |at| at.0),
            rate: rate(limits.key),
            root_rate: rate(limits.organisation),
        }
    }
}
