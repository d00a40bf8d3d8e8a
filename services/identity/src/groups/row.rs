//! A group as it is kept.

use super::kind::Kind;
use chassis::principal::Principal;
use contract::{
    id::GroupId,
    identity::v1::{Group, GroupLimits, GroupSettings},
    time,
};
use serde_json::{Map, Value, json};
use store::{At, Creator, Json, Record, Row, Weight, etag, sqlx};

/// A row of `groups`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) id: GroupId,
    pub(crate) parent_id: Option<GroupId>,
    pub(crate) root_id: GroupId,
    pub(crate) short_id: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) visibility: String,
    pub(crate) join_policy: String,
    pub(crate) allow_parent_access: bool,
    /// Empty below an organisation.
    pub(crate) tier: String,
    pub(crate) limits: GroupLimits,
    pub(crate) revision: i64,
    pub(crate) creator: Creator,
    pub(crate) create_time: At,
    pub(crate) update_time: At,
    pub(crate) archive_time: Option<At>,
}

impl Record for Stored {
    fn read(row: &Row<'_>) -> sqlx::Result<Self> {
        let Json(limits) = row.get::<Json<Value>>("limits")?;
        Ok(Self {
            id: row.get("group_id")?,
            parent_id: Some(row.get::<GroupId>("parent_id")?).filter(|id| !id.is_nil()),
            root_id: row.get("root_id")?,
            short_id: row.get("short_id")?,
            kind: row.get("type")?,
            name: row.get("name")?,
            description: row.get("description")?,
            visibility: row.get("visibility")?,
            join_policy: row.get("join_policy")?,
            allow_parent_access: row.get("allow_parent_access")?,
            tier: row.get("tier")?,
            limits: read_limits(&limits),
            revision: row.get("revision")?,
            creator: Creator::read(row)?,
            create_time: row.get("create_time")?,
            update_time: row.get("update_time")?,
            archive_time: row.get("archive_time")?,
        })
    }
}

impl Weight for Stored {
    fn weight(&self) -> usize {
        600 + self.name.len() + self.description.len()
    }
}

impl Stored {
    /// An organisation of the general type that the platform itself makes; who it is comes on top.
    pub(crate) fn first(now: At) -> Self {
        let kind = Kind::default();
        Self {
            id: GroupId::default(),
            parent_id: None,
            root_id: GroupId::default(),
            short_id: String::new(),
            kind: kind.name.to_owned(),
            name: String::new(),
            description: String::new(),
            visibility: kind.visibility.to_owned(),
            join_policy: kind.join_policy.to_owned(),
            allow_parent_access: false,
            tier: String::new(),
            limits: GroupLimits::default(),
            revision: 1,
            creator: Creator::of(&Principal::system()),
            create_time: now,
            update_time: now,
            archive_time: None,
        }
    }

    /// active or archived.
    pub(crate) fn status(&self) -> &'static str {
        if self.archive_time.is_some() { "archived" } else { "active" }
    }

    /// As its callers see it.
    pub(crate) fn message(&self) -> Group {
        Group {
            id: self.id.to_string(),
            group_id: self.id.to_string(),
            parent_id: self.parent_id.map(|id| id.to_string()).unwrap_or_default(),
            root_id: self.root_id.to_string(),
            short_id: self.short_id.clone(),
            r#type: self.kind.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            status: self.status().to_owned(),
            settings: Some(GroupSettings {
                visibility: self.visibility.clone(),
                join_policy: self.join_policy.clone(),
                allow_parent_access: Some(self.allow_parent_access),
            }),
            tier: self.tier.clone(),
            limits: Some(self.limits),
            etag: etag::of(self.revision),
            revision: self.revision,
            creator: Some(self.creator.message()),
            create_time: Some(time::timestamp(self.create_time.0)),
            update_time: Some(time::timestamp(self.update_time.0)),
            archive_time: self.archive_time.map(|at| time::timestamp(at.0)),
        }
    }

    /// The whole state as events tell it, in the keys of the packs.
    pub(crate) fn state(&self) -> Map<String, Value> {
        let state = json!({
            "type": self.kind,
            "name": self.name,
            "description": self.description,
            "status": self.status(),
            "parentId": self.parent_id.map(|id| id.to_string()),
            "rootId": self.root_id.to_string(),
            "shortId": self.short_id,
            "visibility": self.visibility,
            "joinPolicy": self.join_policy,
            "allowParentAccess": self.allow_parent_access,
            "plan": self.tier,
            "limits": write_limits(&self.limits),
        });
        if let Value::Object(state) = state { state } else { Map::new() }
    }
}

/// The numbers that a platform owner has set, and no others.
pub(crate) fn write_limits(limits: &GroupLimits) -> Value {
    let numbers = [
        ("keyRequestsPerMinute", limits.key_requests_per_minute),
        ("keyRequestsPerDay", limits.key_requests_per_day),
        ("requestsPerMinute", limits.requests_per_minute),
        ("requestsPerDay", limits.requests_per_day),
        ("groups", limits.groups),
        ("things", limits.things),
    ];
    Value::Object(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?.into()))).collect())
}

/// What [`write_limits`] wrote.
pub(crate) fn read_limits(limits: &Value) -> GroupLimits {
    let number = |name: &str| limits.get(name).and_then(Value::as_i64);
    GroupLimits {
        key_requests_per_minute: number("keyRequestsPerMinute"),
        key_requests_per_day: number("keyRequestsPerDay"),
        requests_per_minute: number("requestsPerMinute"),
        requests_per_day: number("requestsPerDay"),
        groups: number("groups"),
        things: number("things"),
    }
}
