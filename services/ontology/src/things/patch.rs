//! What an update asks for, read from its mask once, and applied to whatever state the thing has.

use super::{invalid, named, read_properties, row::State, wrong_properties};
use crate::{
    check::{self, Properties},
    types::{ThingType, Types},
};
use contract::{Refusal, json, mask::Mask, ontology::v1::Thing};
use prost_types::FieldMask;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What can be updated.
const PATHS: &[&str] = &["name", "status", "properties", "properties.*"];

/// A change of some fields.
#[derive(Debug, Default)]
pub(super) struct Patch {
    /// The type that was sent along with the populated fields; it must be the thing's own.
    kind: Option<String>,
    name: Option<String>,
    /// Empty: what the type says.
    status: Option<String>,
    /// All of them.
    properties: Option<Properties>,
    /// One at a time, each once however often it was named; an absent value removes it.
    paths: BTreeMap<String, Option<Value>>,
}

impl Patch {
    /// The fields of `thing` that the mask names.
    pub(super) fn read(mask: Option<&FieldMask>, thing: Thing) -> Result<Self, Refusal> {
        let mask = Mask::read(mask, PATHS)?;
        let implied = !matches!(mask, Mask::Paths(_));
        let replaces = mask.has("properties", thing.properties.is_some());
        let given = read_properties(thing.properties)?;
        let paths: BTreeSet<&str> = mask.below("properties").collect();
        let patch = Self {
            kind: (implied && !thing.r#type.is_empty()).then_some(thing.r#type),
            name: mask.has("name", !thing.name.is_empty()).then_some(thing.name),
            status: mask.has("status", !thing.status.is_empty()).then_some(thing.status),
            paths: paths.into_iter().map(|path| (path.to_owned(), at(&given, path).cloned())).collect(),
            properties: replaces.then_some(given),
        };
        if let Some(name) = &patch.name {
            named(name)?;
        }
        Ok(patch)
    }

    /// The state after it, checked as far as it differs: what is kept as it was may be older than the type's rules.
    pub(super) fn apply(&self, types: &Types, before: &State) -> Result<State, Refusal> {
        let of = types.find(&before.kind)?;
        if let Some(kind) = &self.kind
            && types.canonical(kind) != before.kind
        {
            return Err(invalid("thing.type", "never changes"));
        }
        let mut after = before.clone();
        after.name.clone_from(self.name.as_ref().unwrap_or(&before.name));
        if let Some(status) = &self.status {
            status_or_default(of, status).clone_into(&mut after.status);
        }
        after.properties = self.properties(&before.properties)?;
        if after.status != before.status {
            check::status(of, &after.status)?;
        }
        if after.properties != before.properties {
            check::properties(of, &after.properties)?;
        }
        Ok(after)
    }

    fn properties(&self, before: &Properties) -> Result<Properties, Refusal> {
        let mut after = self.properties.as_ref().unwrap_or(before).clone();
        for (path, value) in &self.paths {
            set(&mut after, path, value.as_ref())?;
        }
        // Parts that were small and flat enough may add up to more than fits.
        if self.paths.is_empty() { Ok(after) } else { read_properties(Some(json::to_struct(&after))) }
    }
}

/// A status, where empty means what the type says.
pub(super) fn status_or_default<'a>(of: &'a ThingType, status: &'a str) -> &'a str {
    if status.is_empty() { of.default_status() } else { status }
}

/// The value at `a.b.c`.
fn at<'a>(properties: &'a Properties, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (properties.get(first)?, rest) {
        (value, None) => Some(value),
        (Value::Object(inner), Some(rest)) => at(inner, rest),
        _ => None,
    }
}

/// What stands there; an object if that was nothing.
fn object_at<'a>(properties: &'a mut Properties, name: &str) -> &'a mut Value {
    let value = properties.entry(name).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value
}

/// Sets or removes the value at `a.b.c`; objects on the way are made. What is there and no object is not overwritten: nobody named it.
fn set(properties: &mut Properties, path: &str, value: Option<&Value>) -> Result<(), Refusal> {
    let Some((first, rest)) = path.split_once('.') else {
        match value {
            Some(value) => properties.insert(path.to_owned(), value.clone()),
            None => properties.remove(path),
        };
        return Ok(());
    };
    if value.is_none() && !properties.get(first).is_some_and(Value::is_object) {
        return Ok(()); // nothing there to remove
    }
    match object_at(properties, first) {
        Value::Object(inner) => set(inner, rest, value),
        _ => Err(wrong_properties(first, "is no object, so nothing can be set in it; replace it whole")),
    }
}
