//! A thing as it is kept.

use crate::{
    check::{self, Properties},
    types::{ARCHIVED, Types},
};
use contract::{
    id::{GroupId, ThingId},
    json,
    ontology::v1::Thing,
    time,
};
use serde_json::{Map, Value};
use store::{At, Creator, Json, Record, Row, Weight, etag, sqlx};

/// What a caller says of a thing, and may change (but for the type).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    /// The canonical name.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) properties: Properties,
}

/// A row of `things`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) id: ThingId,
    pub(crate) state: State,
    pub(crate) revision: i64,
    pub(crate) creator: Creator,
    pub(crate) create_time: At,
    pub(crate) update_time: At,
    pub(crate) archive_time: Option<At>,
}

impl Record for Stored {
    fn read(row: &Row<'_>) -> sqlx::Result<Self> {
        let Json(properties) = row.get::<Json<Value>>("properties")?;
        let properties = if let Value::Object(properties) = properties { properties } else { Map::new() };
        Ok(Self {
            id: ThingId(row.get("id")?),
            state: State { kind: row.get("type")?, name: row.get("name")?, status: row.get("status")?, properties },
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
        350 + self.state.name.len() + self.state.properties.iter().map(|(name, value)| name.len() + weight(value)).sum::<usize>()
    }
}

/// About as many bytes as on the wire.
fn weight(value: &Value) -> usize {
    8 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + weight(value)).sum(),
    }
}

impl Stored {
    /// A new one.
    pub(crate) fn new(creator: Creator, now: At, state: State) -> Self {
        let archive_time = (state.status == ARCHIVED).then_some(now);
        Self { id: ThingId::new(now.0), state, revision: 1, creator, create_time: now, update_time: now, archive_time }
    }

    /// The next revision, with another state.
    pub(crate) fn next(&self, now: At, state: State) -> Self {
        let archive_time = (state.status == ARCHIVED).then(|| self.archive_time.unwrap_or(now));
        let (id, creator, create_time) = (self.id, self.creator.clone(), self.create_time);
        Self { id, state, revision: self.revision + 1, creator, create_time, update_time: now, archive_time }
    }

    /// As its callers see it: the same from every rpc, warnings included.
    pub(crate) fn message(self, types: &Types, group: GroupId) -> Thing {
        let warnings = types.get(&self.state.kind).map(|of| check::warnings(of, &self.state.properties));
        Thing {
            id: self.id.to_string(),
            group_id: group.to_string(),
            properties: Some(json::to_struct(&self.state.properties)),
            r#type: self.state.kind,
            name: self.state.name,
            status: self.state.status,
            warnings: warnings.unwrap_or_default(),
            etag: etag::of(self.revision),
            revision: self.revision,
            creator: Some(self.creator.message()),
            create_time: Some(time::timestamp(self.create_time.0)),
            update_time: Some(time::timestamp(self.update_time.0)),
            archive_time: self.archive_time.map(|at| time::timestamp(at.0)),
        }
    }
}
