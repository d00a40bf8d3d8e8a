//! A thing against its type: what must hold, and what should.

use crate::{
    pack::{Json, Kind},
    types::{Rule, ThingType},
};
use contract::{Reason, Refusal, ontology::v1::Warning};
use serde_json::{Map, Value};

/// A thing's properties.
pub(crate) type Properties = Map<String, Value>;

/// Refuses a status that the type does not have.
pub(crate) fn status(of: &ThingType, status: &str) -> Result<(), Refusal> {
    if of.has_status(status) {
        return Ok(());
    }
    let known = of.statuses.join(", ");
    Err(Refusal::new(Reason::InvalidStatus, format!("a {} has no status {status:?}; it can be {known}", of.name))
        .field("thing.status", format!("must be one of {known}"))
        .with("status", status))
}

/// Refuses properties that break the type's rules, naming each of them. What the type does not know is kept as it is.
pub(crate) fn properties(of: &ThingType, properties: &Properties) -> Result<(), Refusal> {
    let mut broken = of.properties.iter().filter_map(|(name, rule)| violation(name, rule, properties.get(name))).peekable();
    let Some((path, what)) = broken.peek() else { return Ok(()) };
    let refusal = Refusal::new(Reason::InvalidProperties, format!("{path} of a {} {what}", of.name));
    Err(broken.fold(refusal, |refusal, (path, what)| refusal.field(format!("thing.{path}"), what)))
}

/// What is accepted, but not as it should be.
pub(crate) fn warnings(of: &ThingType, properties: &Properties) -> Vec<Warning> {
    let missing = of.properties.iter().filter(|(name, rule)| rule.expected && !rule.required && value(properties.get(name)).is_none());
    let missing = missing.map(|(name, _)| Warning {
        reason: "EXPECTED_PROPERTY_MISSING".to_owned(),
        field: format!("properties.{name}"),
        message: format!("a {} should have {name}", of.name),
        replacement: String::new(),
    });
    let deprecated = of.deprecated.iter().map(|instead| Warning {
        reason: "DEPRECATED".to_owned(),
        field: "type".to_owned(),
        message: format!("the type {} is deprecated: {instead}", of.name),
        replacement: instead.clone(),
    });
    deprecated.chain(missing).collect()
}

/// `null` says that there is no value.
fn value(of: Option<&Value>) -> Option<&Value> {
    of.filter(|value| !value.is_null())
}

fn violation(name: &str, rule: &Rule, given: Option<&Value>) -> Option<(String, String)> {
    let path = format!("properties.{name}");
    let Some(given) = value(given) else {
        return rule.required.then(|| (path, "is required".to_owned()));
    };
    let (at, what) =
        if rule.kinds.iter().any(|kind| misfit(*kind, given).is_none()) { outside(rule.values.as_ref()?, given)? } else { wrong(&rule.kinds, given) };
    Some((at.map_or(path.clone(), |at| format!("{path}[{at}]")), what))
}

/// Where a value does not fit.
enum Misfit {
    Whole,
    Item(usize),
}

fn misfit(kind: Kind, value: &Value) -> Option<Misfit> {
    let fits = |value: &Value| match kind.of {
        Json::String => value.is_string(),
        Json::Number => value.is_number(),
        Json::Boolean => value.is_boolean(),
        Json::Object => value.is_object(),
        Json::Any => true,
    };
    match value {
        Value::Array(items) if kind.list => items.iter().position(|item| !fits(item)).map(Misfit::Item),
        _ => (kind.list || !fits(value)).then_some(Misfit::Whole),
    }
}

/// What a value would have to be, of which none of these fits.
fn wrong(kinds: &[Kind], value: &Value) -> (Option<usize>, String) {
    if let [kind] = kinds
        && let Some(Misfit::Item(at)) = misfit(*kind, value)
    {
        return (Some(at), format!("must be a {}", word(Kind { list: false, ..*kind })));
    }
    let words: Vec<String> = kinds.iter().map(|kind| format!("a {}", word(*kind))).collect();
    (None, format!("must be {}", words.join(" or ")))
}

/// The first value that is not among those allowed.
fn outside(allowed: &[String], value: &Value) -> Option<(Option<usize>, String)> {
    let is_allowed = |value: &Value| value.as_str().is_some_and(|value| allowed.iter().any(|one| one == value));
    let at = match value {
        Value::Array(items) => Some(items.iter().position(|item| !is_allowed(item))?),
        _ if is_allowed(value) => return None,
        _ => None,
    };
    Some((at, format!("must be one of {}", allowed.join(", "))))
}

fn word(kind: Kind) -> &'static str {
    match (kind.of, kind.list) {
        (Json::String, false) => "string",
        (Json::Number, false) => "number",
        (Json::Boolean, false) => "boolean",
        (Json::Object, false) => "JSON object",
        (Json::Any, false) => "value",
        (Json::String, true) => "list of strings",
        (Json::Number, true) => "list of numbers",
        (Json::Boolean, true) => "list of booleans",
        (Json::Object, true) => "list of JSON objects",
        (Json::Any, true) => "list",
    }
}

#[cfg(test)]
mod tests;
