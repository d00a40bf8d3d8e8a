//! What the log is told of things.
//!
//! `changes` holds new values, `previousValues` old ones. Properties are compared by their first level: one that stands in
//! `previousValues` only was removed. An event that makes a row appear (created, restored) has the whole state in `changes`, so that a
//! watcher of a list need not ask for it.

use super::row::{State, Stored};
use crate::types::ARCHIVED;
use contract::{id::GroupId, json};
use serde_json::{Map, Value};
use store::{NewEvent, Target};

/// A thing came into being.
pub(super) fn created(group: GroupId, thing: &Stored) -> NewEvent<'static> {
    event(group, thing, "entity_created", vec![("changes", whole(&thing.state))])
}

/// A thing became its next revision.
pub(super) fn changed(group: GroupId, before: &State, thing: &Stored) -> NewEvent<'static> {
    let after = &thing.state;
    let restored = before.status == ARCHIVED && after.status != ARCHIVED;
    let kind = match after.status.as_str() {
        status if status == before.status => "entity_updated",
        "published" => "entity_published",
        ARCHIVED => "entity_archived",
        _ => "entity_updated",
    };
    let changes = if restored { whole(after) } else { difference(before, after) };
    event(group, thing, kind, vec![("changes", changes), ("previousValues", difference(after, before))])
}

fn event(group: GroupId, thing: &Stored, kind: &'static str, values: Vec<(&str, Map<String, Value>)>) -> NewEvent<'static> {
    let mut metadata: Map<String, Value> = values.into_iter().map(|(key, value)| (key.to_owned(), Value::Object(value))).collect();
    metadata.insert("entityType".to_owned(), thing.state.kind.as_str().into());
    let target = Target { kind: "thing", id: *thing.id, revision: thing.revision };
    NewEvent { group, kind, target, metadata: Some(json::to_struct(&metadata)) }
}

fn whole(state: &State) -> Map<String, Value> {
    [
        ("type".to_owned(), state.kind.as_str().into()),
        ("name".to_owned(), state.name.as_str().into()),
        ("status".to_owned(), state.status.as_str().into()),
        ("properties".to_owned(), Value::Object(state.properties.clone())),
    ]
    .into_iter()
    .collect()
}

/// What `to` has otherwise than `from`.
fn difference(from: &State, to: &State) -> Map<String, Value> {
    let mut values = Map::new();
    for (key, from, to) in [("name", &from.name, &to.name), ("status", &from.status, &to.status)] {
        if from != to {
            values.insert(key.to_owned(), to.as_str().into());
        }
    }
    if from.properties != to.properties {
        let own = to.properties.iter().filter(|(name, value)| from.properties.get(*name) != Some(*value));
        let own: Map<String, Value> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        values.insert("properties".to_owned(), Value::Object(own));
    }
    values
}
