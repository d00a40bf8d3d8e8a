//! A key as it is kept.

use crate::{hash::Proof, state::Times};
use contract::{
    Role, Scopes,
    id::{GroupId, KeyId},
    identity::v1::{Key, KeyState},
    time,
};
use serde_json::{Map, Value, json};
use store::{At, Creator, Record, Row, Weight, etag, sqlx};

/// A row of `api_key`, without what proves it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) group_id: GroupId,
    pub(crate) id: KeyId,
    /// The group's organisation: neither ever changes.
    pub(crate) root_id: GroupId,
    pub(crate) prefix: String,
    pub(crate) name: String,
    /// Canonical words, as they were granted.
    pub(crate) scopes: Vec<String>,
    pub(crate) role: Role,
    pub(crate) times: Times,
    pub(crate) revoke_reason: String,
    pub(crate) revision: i64,
    pub(crate) creator: Creator,
    pub(crate) create_time: At,
    pub(crate) update_time: At,
}

impl Record for Stored {
    fn read(row: &Row<'_>) -> sqlx::Result<Self> {
        let scopes: String = row.get("scopes")?;
        let role: String = row.get("role")?;
        Ok(Self {
            group_id: row.get("group_id")?,
            id: row.get("id")?,
            root_id: row.get("root_id")?,
            prefix: row.get("prefix")?,
            name: row.get("name")?,
            scopes: scopes.split(' ').map(str::to_owned).collect(),
            role: Role::parse(&role).unwrap_or_default(),
            times: Times { revoke: row.get("revoke_time")?, expire: row.get("expire_time")?, grace: row.get("grace_time")? },
            revoke_reason: row.get("revoke_reason")?,
            revision: row.get("revision")?,
            creator: Creator::read(row)?,
            create_time: row.get("create_time")?,
            update_time: row.get("update_time")?,
        })
    }
}

impl Weight for Stored {
    fn weight(&self) -> usize {
        500 + self.name.len() + self.revoke_reason.len() + self.scopes.iter().map(|word| word.len() + 2).sum::<usize>()
    }
}

impl Stored {
    /// As its callers see it.
    pub(crate) fn message(&self, now: At) -> Key {
        let timestamp = |at: Option<At>| at.map(|at| time::timestamp(at.0));
        Key {
            id: self.id.to_string(),
            group_id: self.group_id.to_string(),
            name: self.name.clone(),
            prefix: self.prefix.clone(),
            scopes: self.scopes.clone(),
            role: self.role.word().to_owned(),
            state: self.times.state(now).into(),
            expire_time: timestamp(self.times.expire),
            revoke_time: timestamp(self.times.revoke),
            revoke_reason: self.revoke_reason.clone(),
            etag: etag::of(self.revision),
            revision: self.revision,
            creator: Some(self.creator.message()),
            create_time: timestamp(Some(self.create_time)),
            update_time: timestamp(Some(self.update_time)),
            archive_time: timestamp(self.times.revoke),
        }
    }

    /// What it may do, whatever the role.
    pub(crate) fn held(&self) -> Scopes {
        self.scopes.iter().filter_map(|word| Scopes::parse(word)).sum()
    }

    /// The whole state as events tell it, in the keys of the packs: times are milliseconds since 1970.
    pub(crate) fn state(&self, now: At) -> Map<String, Value> {
        let state = json!({
            "name": self.name,
            "prefix": self.prefix,
            "scopes": self.scopes,
            "role": self.role.word(),
            "status": word(self.times.state(now)),
            "expiresAt": self.times.expire.map(At::millis),
        });
        if let Value::Object(state) = state { state } else { Map::new() }
    }
}

/// A state in the words of the core pack.
pub(crate) fn word(state: KeyState) -> &'static str {
    match state {
        KeyState::Unspecified => "",
        KeyState::Active => "active",
        KeyState::Rotating => "rotating",
        KeyState::Expired => "expired",
        KeyState::Revoked => "revoked",
    }
}

/// What proves a key; its salt is the key's id.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) handle: String,
    pub(crate) proof: Proof,
}
