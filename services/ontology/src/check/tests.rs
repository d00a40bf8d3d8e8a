#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    load,
    types::{ARCHIVED, Types},
};
use serde_json::json;
use tonic_types::StatusExt;

const PACK: &str = r#"
ontology: {name: core, version: 1.0.0, description: d, extends: []}
thing_statuses: [draft, active, archived]
thing_types:
- name: shape
  category: c
  description: d
  properties:
    text: {type: string}
    size: {type: number, required: true}
    flag: {type: boolean}
    body: {type: object}
    free: {type: any}
    tags: {type: 'string[]'}
    sizes: {type: 'number[]'}
    flags: {type: 'boolean[]'}
    parts: {type: 'object[]'}
    things: {type: 'any[]'}
    colour: {type: string, enum: [red, blue], expected: true}
    lessons: {type: [number, 'string[]']}
    colours: {type: 'string[]', enum: [red, blue]}
- name: old
  category: c
  description: d
  deprecated: use shape
"#;

fn types() -> Types {
    load::load(&[("core.yaml", PACK)]).unwrap()
}

fn object(value: Value) -> Properties {
    value.as_object().unwrap().clone()
}

/// The violations of properties beside a good `size`.
fn broken(value: Value) -> Vec<(String, String)> {
    let mut properties = object(json!({"size": 1}));
    properties.extend(object(value));
    let Err(refusal) = super::properties(types().get("shape").unwrap(), &properties) else { return Vec::new() };
    assert_eq!(refusal.reason(), Reason::InvalidProperties);
    let details = refusal.status().get_details_bad_request().unwrap();
    details.field_violations.into_iter().map(|violation| (violation.field, violation.description)).collect()
}

#[test]
fn what_fits_is_accepted() {
    for good in [
        json!({}),
        json!({"text": "", "size": -1.5, "flag": false, "body": {}, "free": [1], "tags": [], "sizes": [1, 2.5], "flags": [true]}),
        json!({"parts": [{"a": 1}], "things": [1, "a", null, {}], "colour": "red", "colours": ["blue", "red"]}),
        json!({"lessons": 3}),
        json!({"lessons": ["a"]}),
        json!({"unknown": {"deep": [1, {"a": null}]}}),
        // null says that there is no value
        json!({"text": null, "tags": null, "colour": null}),
    ] {
        assert_eq!(broken(good), []);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    for (bad, path, what) in [
        (json!({"size": null}), "size", "is required"),
        (json!({"size": "1"}), "size", "must be a number"),
        (json!({"text": 1}), "text", "must be a string"),
        (json!({"flag": "true"}), "flag", "must be a boolean"),
        (json!({"body": []}), "body", "must be a JSON object"),
        (json!({"tags": "a"}), "tags", "must be a list of strings"),
        (json!({"tags": ["a", 1]}), "tags[1]", "must be a string"),
        (json!({"tags": [null]}), "tags[0]", "must be a string"),
        (json!({"sizes": ["1"]}), "sizes[0]", "must be a number"),
        (json!({"parts": [{}, []]}), "parts[1]", "must be a JSON object"),
        (json!({"things": {}}), "things", "must be a list"),
        (json!({"lessons": "3"}), "lessons", "must be a number or a list of strings"),
        (json!({"lessons": ["a", 1]}), "lessons", "must be a number or a list of strings"),
        (json!({"colour": "green"}), "colour", "must be one of red, blue"),
        (json!({"colour": "Red"}), "colour", "must be one of red, blue"),
        (json!({"colours": ["red", "green"]}), "colours[1]", "must be one of red, blue"),
    ] {
        assert_eq!(broken(bad), [(format!("thing.properties.{path}"), what.to_owned())]);
    }
}

#[test]
fn every_violation_is_named() {
    let paths: Vec<String> = broken(json!({"size": true, "text": 1, "colour": 2})).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["thing.properties.colour", "thing.properties.size", "thing.properties.text"]);
}

#[test]
fn what_should_be_there_is_a_warning() {
    let types = types();
    let shape = |properties| warnings(types.get("shape").unwrap(), &object(properties));
    assert_eq!(shape(json!({"colour": "red"})), []);
    let warning = shape(json!({"colour": null})).remove(0);
    assert_eq!((warning.reason.as_str(), warning.field.as_str()), ("EXPECTED_PROPERTY_MISSING", "properties.colour"));
    let old = warnings(types.get("old").unwrap(), &Properties::new()).remove(0);
    assert_eq!((old.reason.as_str(), old.field.as_str(), old.replacement.as_str()), ("DEPRECATED", "type", "use shape"));
}

#[test]
fn a_status_is_one_of_the_types() {
    let types = load::core();
    let (key, product) = (types.get("api_key").unwrap(), types.get("product").unwrap());
    for (of, word, good) in
        [(product, "published", true), (product, "revoked", false), (product, "", false), (key, "revoked", true), (key, "draft", false)]
    {
        assert_eq!(status(of, word).is_ok(), good, "{} {word}", of.name);
    }
    // what Delete sets is a status of every type
    assert!(status(key, ARCHIVED).is_ok());
    assert_eq!(status(product, "gone").unwrap_err().reason(), Reason::InvalidStatus);
    assert_eq!((product.default_status(), key.default_status()), ("active", "active"));
}
