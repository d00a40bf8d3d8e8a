//! What a pack names that must be defined somewhere: in itself or in an ancestor.

use super::{CONNECTIONS, EVENTS, SETS, THINGS};
use crate::pack::{Pack, Property};
use std::collections::BTreeMap;

/// (what it is, its name, where it is named)
type Reference<'a> = (&'static str, &'a str, String);

/// All of them.
pub(super) fn of(pack: &Pack) -> impl Iterator<Item = Reference<'_>> {
    sets(pack).chain(things(pack)).chain(connections(pack)).chain(events(pack))
}

fn sets(pack: &Pack) -> impl Iterator<Item = Reference<'_>> {
    pack.type_sets.iter().flat_map(|(name, members)| ends(members, format!("{SETS}.{name}")))
}

fn things(pack: &Pack) -> impl Iterator<Item = Reference<'_>> {
    let own = pack.thing_types.iter().flat_map(|of| {
        let path = format!("{THINGS}.{}", of.name);
        same(THINGS, of.same_as.as_deref(), &path).chain(refs(&of.properties, format!("{path}.properties")))
    });
    let refined = pack.refines.thing_types.iter().flat_map(|of| {
        let path = format!("refines.{THINGS}.{}", of.name);
        [(THINGS, of.name.as_str(), path.clone())].into_iter().chain(refs(&of.properties, format!("{path}.properties")))
    });
    own.chain(refined)
}

fn connections(pack: &Pack) -> impl Iterator<Item = Reference<'_>> {
    pack.connection_types.iter().flat_map(|of| {
        let path = format!("{CONNECTIONS}.{}", of.name);
        let ends = ends(&of.from, format!("{path}.from")).chain(ends(&of.to, format!("{path}.to")));
        ends.chain(refs(&of.metadata, format!("{path}.metadata")))
    })
}

fn events(pack: &Pack) -> impl Iterator<Item = Reference<'_>> {
    pack.event_types.iter().flat_map(|of| {
        let path = format!("{EVENTS}.{}", of.name);
        let about = same(EVENTS, of.same_as.as_deref(), &path).chain(ends(&of.things, format!("{path}.things")));
        about.chain(refs(&of.metadata, format!("{path}.metadata")))
    })
}

fn same<'a>(what: &'static str, name: Option<&'a str>, path: &str) -> impl Iterator<Item = Reference<'a>> + use<'a> {
    let path = format!("{path}.same_as");
    name.map(|name| (what, name, path)).into_iter()
}

fn refs(properties: &BTreeMap<String, Property>, path: String) -> impl Iterator<Item = Reference<'_>> {
    properties.iter().filter_map(move |(key, property)| reference(property.refers.as_deref()?, format!("{path}.{key}.ref")))
}

fn ends(names: &[String], path: String) -> impl Iterator<Item = Reference<'_>> {
    names.iter().filter_map(move |name| reference(name, path.clone()))
}

/// A type or a `$set`; any thing, groups and knowledge are always there.
fn reference(name: &str, path: String) -> Option<Reference<'_>> {
    match name {
        "*" | "$group" | "$knowledge" => None,
        _ => Some(name.strip_prefix('$').map_or((THINGS, name, path.clone()), |set| (SETS, set, path))),
    }
}
