#![allow(clippy::unwrap_used)]

use super::*;
use crate::pack::{Json, Kind};
use std::time::Instant;

fn pack(name: &str, extends: &str, rest: &str) -> String {
    format!("ontology: {{name: {name}, version: 1.0.0, description: d, extends: [{extends}]}}\n{rest}\n")
}

fn loaded(packs: &[String]) -> Result<Types, String> {
    let texts: Vec<(String, &str)> = packs.iter().enumerate().map(|(n, text)| (format!("{n}.yaml"), text.as_str())).collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(file, text)| (file.as_str(), *text)).collect();
    load(&texts).map_err(|e| e.to_string())
}

const BASE: &str = "thing_statuses: [draft, active, archived]
thing_types:
- {name: user, category: c, description: d, properties: {email: {type: string, required: true}, age: {type: number}}}";

#[test]
fn the_core_pack_is_whole() {
    let started = Instant::now();
    let types = core();
    println!("core pack: {:?}", started.elapsed());
    let creator = types.get("creator").unwrap();
    let rule = |name: &str| &creator.properties.iter().find(|(known, _)| known == name).unwrap().1;
    assert!(rule("email").required && rule("username").expected);
    assert_eq!(rule("niche").kinds, [Kind { of: Json::String, list: true }]);
    assert_eq!(rule("role").values.as_ref().unwrap().len(), 4);
    assert!(types.get("webhook").unwrap().system && !creator.system);
    assert_eq!(types.get("api_key").unwrap().statuses, ["active", "rotating", "revoked", "expired"]);
    assert_eq!(creator.statuses, ["draft", "active", "inactive", "published", "archived"]);
    assert_eq!(types.get("organization").unwrap().deprecated.as_deref(), Some("use a group of type organization"));
}

#[test]
fn ancestors_load_first_whatever_the_order() {
    let child = pack(
        "a_child",
        "core",
        "refines: {thing_types: [{name: user, category: c, description: d, properties: {email: {type: string}, nick: {type: string}}}]}",
    );
    for packs in [[pack("core", "", BASE), child.clone()], [child, pack("core", "", BASE)]] {
        let types = loaded(&packs).unwrap();
        let user = types.get("user").unwrap();
        let names: Vec<&str> = user.properties.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["age", "email", "nick"]);
        assert!(!user.properties[1].1.required, "a refinement replaces the rule of the same key");
        assert_eq!(user.statuses, ["draft", "active", "archived"], "statuses come from the ancestor");
    }
}

#[test]
fn aliases_and_same_as_lead_to_the_canonical_type() {
    let rest = "thing_types:
- {name: cart, category: c, description: d, aliases: [basket, trolley]}
- {name: old_cart, category: c, description: d, aliases: [wagon], same_as: cart}";
    let types = loaded(&[pack("core", "", rest)]).unwrap();
    for name in ["cart", "basket", "trolley", "old_cart", "wagon"] {
        assert_eq!((types.canonical(name), types.get(name).unwrap().name.as_str()), ("cart", "cart"), "{name}");
    }
    assert_eq!(types.canonical("never_was"), "never_was");
    assert_eq!(types.find("never_was").unwrap_err().reason(), contract::Reason::UnknownType);
}

#[test]
fn what_is_wrong_is_named_with_pack_and_path() {
    let core = pack("core", "", BASE);
    let one = |rest: &str| vec![core.clone(), pack("shop", "core", rest)];
    let thing = |rest: &str| one(&format!("thing_types: [{{name: x, category: c, description: d, {rest}}}]"));
    for (packs, error) in [
        (vec![core.clone(), core.clone()], "the pack core is there twice"),
        (vec![pack("shop", "core", "")], "shop: ontology.extends: there is no pack core"),
        (vec![pack("a", "b", ""), pack("b", "c", ""), pack("c", "a", "")], "the packs a, b, c extend one another in a circle"),
        (vec![pack("a", "a", "")], "the packs a extend one another in a circle"),
        (one("thing_types: [{name: user, category: c, description: d}]"), "shop: thing_types.user: user is defined in core already"),
        (thing("aliases: [user]"), "shop: thing_types.x.aliases: user is defined in core already"),
        (thing("same_as: y"), "shop: thing_types.x.same_as: there is no y"),
        (thing("properties: {p: {type: string, ref: y}}"), "shop: thing_types.x.properties.p.ref: there is no y"),
        (one("type_sets: {all: [user, $none]}"), "shop: type_sets.all: there is no none"),
        (one("type_sets: {all: [nobody]}"), "shop: type_sets.all: there is no nobody"),
        (
            one("connection_types: [{name: owns, category: c, description: d, from: [$group, $people], to: ['*']}]"),
            "shop: connection_types.owns.from: there is no people",
        ),
        (
            one("connection_types: [{name: owns, category: c, description: d, from: ['*'], to: [car]}]"),
            "shop: connection_types.owns.to: there is no car",
        ),
        (one("event_types: [{name: e, category: c, description: d, things: [car]}]"), "shop: event_types.e.things: there is no car"),
        (
            one("event_types: [{name: e, category: c, description: d, things: ['*'], metadata: {m: {type: string, ref: car}}}]"),
            "shop: event_types.e.metadata.m.ref: there is no car",
        ),
        (one("refines: {thing_types: [{name: car, category: c, description: d}]}"), "shop: refines.thing_types.car: there is no car"),
    ] {
        assert_eq!(loaded(&packs).unwrap_err(), error);
    }
}

#[test]
fn event_types_have_other_names_too() {
    let aliases = &core().event_aliases;
    for (other, own) in [("thing_created", "entity_created"), ("organization_updated", "group_updated"), ("api_key_created", "api_key_generated")] {
        assert_eq!(aliases.get(other).map(String::as_str), Some(own), "{other}");
    }
    assert!(!aliases.contains_key("entity_created"));
}

#[test]
fn a_text_that_is_no_pack_is_named_with_its_file() {
    for (text, part) in [
        ("thing_types: []".to_owned(), "ontology"),
        (pack("a", "", "thing_typos: []"), "thing_typos"),
        (pack("a", "", "thing_types: [{name: x, category: c, description: d, properties: {p: {type: strin}}}]"), "strin is not string"),
        (pack("a", "", "thing_types: [{name: x, category: c, description: d, properties: {p: {type: string, requierd: true}}}]"), "requierd"),
        (": [".to_owned(), ""),
    ] {
        let error = loaded(&[text]).unwrap_err();
        assert!(error.starts_with("0.yaml: ") && error.contains(part), "{error}");
    }
}
