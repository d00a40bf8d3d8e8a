//! From the texts of packs to [`Types`]: ancestors first, and nothing that points nowhere.

mod references;

use crate::{
    pack::{Pack, ThingType as Written},
    types::{ThingType, Types},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

/// The pack that is always on.
const CORE: &str = include_str!("../packs/core.yaml");

/// The types of the core pack, read at the first use.
///
/// # Panics
/// Never: a test loads the same bytes.
pub(crate) fn core() -> &'static Types {
    static TYPES: LazyLock<Types> = LazyLock::new(|| load(&[("core.yaml", CORE)]).unwrap_or_else(|e| panic!("{e}")));
    &TYPES
}

/// Why packs cannot be loaded: in which, where, what.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The text is no pack.
    #[error("{file}: {what}")]
    Text {
        /// Where it was read from.
        file: String,
        /// What is wrong, with line and column.
        what: String,
    },
    /// Two packs have one name.
    #[error("the pack {0} is there twice")]
    PackTwice(String),
    /// It extends a pack that is not there.
    #[error("{pack}: ontology.extends: there is no pack {name}")]
    NoPack {
        /// The pack that extends.
        pack: String,
        /// The one that is missing.
        name: String,
    },
    /// Packs that extend one another.
    #[error("the packs {0} extend one another in a circle")]
    Cycle(String),
    /// A name that is taken.
    #[error("{pack}: {path}: {name} is defined in {first} already")]
    Twice {
        /// The pack that defines it again.
        pack: String,
        /// Where.
        path: String,
        /// The name.
        name: String,
        /// The pack that defines it.
        first: String,
    },
    /// A type or set that is nowhere.
    #[error("{pack}: {path}: there is no {name}")]
    Unknown {
        /// The pack that names it.
        pack: String,
        /// Where.
        path: String,
        /// What it names.
        name: String,
    },
}

/// Loads packs, given as (file, text), in any order.
pub(crate) fn load(texts: &[(&str, &str)]) -> Result<Types, Error> {
    let mut loaded = Loaded::default();
    for pack in order(parse(texts)?)? {
        loaded.add(pack)?;
    }
    Ok(loaded.types())
}

fn parse(texts: &[(&str, &str)]) -> Result<BTreeMap<String, Pack>, Error> {
    let mut packs = BTreeMap::new();
    for (file, text) in texts {
        let wrong = |what: serde_saphyr::Error| Error::Text { file: (*file).to_owned(), what: what.without_snippet().to_string() };
        let pack: Pack = serde_saphyr::from_str(text).map_err(wrong)?;
        let name = pack.ontology.name.clone();
        if packs.insert(name.clone(), pack).is_some() {
            return Err(Error::PackTwice(name));
        }
    }
    Ok(packs)
}

/// Ancestors first, else by name.
fn order(mut waiting: BTreeMap<String, Pack>) -> Result<Vec<Pack>, Error> {
    for (name, pack) in &waiting {
        if let Some(missing) = pack.ontology.extends.iter().find(|parent| !waiting.contains_key(*parent)) {
            return Err(Error::NoPack { pack: name.clone(), name: missing.clone() });
        }
    }
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().find(|(_, pack)| !pack.ontology.extends.iter().any(|parent| waiting.contains_key(parent)));
        let Some(name) = ready.map(|(name, _)| name.clone()) else {
            return Err(Error::Cycle(waiting.into_keys().collect::<Vec<_>>().join(", ")));
        };
        ordered.extend(waiting.remove(&name));
    }
    Ok(ordered)
}

/// What the packs so far have brought. Names of things, connections, events and sets are apart from one another.
#[derive(Default)]
struct Loaded {
    /// (what it is, name or alias) to the pack that defines it.
    names: HashMap<(&'static str, String), String>,
    statuses: Vec<String>,
    things: BTreeMap<String, Written>,
    event_aliases: HashMap<String, String>,
}

const THINGS: &str = "thing_types";
const CONNECTIONS: &str = "connection_types";
const EVENTS: &str = "event_types";
const SETS: &str = "type_sets";

impl Loaded {
    fn add(&mut self, pack: Pack) -> Result<(), Error> {
        let name = pack.ontology.name.as_str();
        self.define(name, &pack)?;
        self.refer(name, &pack)?;
        if !pack.thing_statuses.is_empty() {
            self.statuses = pack.thing_statuses;
        }
        for refined in pack.refines.thing_types {
            self.refine(refined);
        }
        for of in pack.event_types {
            let own = of.same_as.as_ref().unwrap_or(&of.name).clone();
            let others = of.aliases.into_iter().chain(of.same_as.is_some().then_some(of.name));
            self.event_aliases.extend(others.map(|name| (name, own.clone())));
        }
        self.things.extend(pack.thing_types.into_iter().map(|of| (of.name.clone(), of)));
        Ok(())
    }

    /// Each name once over all packs.
    fn define(&mut self, pack: &str, of: &Pack) -> Result<(), Error> {
        let things = of.thing_types.iter().map(|of| (THINGS, &of.name, of.aliases.as_slice()));
        let connections = of.connection_types.iter().map(|of| (CONNECTIONS, &of.name, of.aliases.as_slice()));
        let events = of.event_types.iter().map(|of| (EVENTS, &of.name, of.aliases.as_slice()));
        let sets = of.type_sets.keys().map(|name| (SETS, name, [].as_slice()));
        for (what, name, aliases) in things.chain(connections).chain(events).chain(sets) {
            self.claim(pack, what, name, format!("{what}.{name}"))?;
            for alias in aliases {
                self.claim(pack, what, alias, format!("{what}.{name}.aliases"))?;
            }
        }
        Ok(())
    }

    fn claim(&mut self, pack: &str, what: &'static str, name: &str, path: String) -> Result<(), Error> {
        match self.names.insert((what, name.to_owned()), pack.to_owned()) {
            Some(first) => Err(Error::Twice { pack: pack.to_owned(), path, name: name.to_owned(), first }),
            None => Ok(()),
        }
    }

    /// Each name that is used is there.
    fn refer(&self, pack: &str, of: &Pack) -> Result<(), Error> {
        let known = |what, path: String, name: &str| {
            let there = self.names.contains_key(&(what, name.to_owned()));
            if there { Ok(()) } else { Err(Error::Unknown { pack: pack.to_owned(), path, name: name.to_owned() }) }
        };
        references::of(of).try_for_each(|(what, name, path)| known(what, path, name))
    }

    /// Properties merge by key; what is refined exists, [`Loaded::refer`] has seen to it.
    fn refine(&mut self, refined: Written) {
        if let Some(of) = self.things.get_mut(&refined.name) {
            of.properties.extend(refined.properties);
        }
    }

    fn types(self) -> Types {
        let mut by_name = HashMap::new();
        let mut same = Vec::new();
        for (name, written) in self.things {
            if let Some(other) = written.same_as {
                same.push((name, written.aliases, other));
                continue;
            }
            let of = Arc::new(ThingType {
                name: name.clone(),
                system: written.system,
                deprecated: written.deprecated,
                statuses: written.statuses.unwrap_or_else(|| self.statuses.clone()),
                properties: written.properties.into_iter().map(|(name, property)| (name, property.into())).collect(),
            });
            by_name.extend(written.aliases.into_iter().chain([name]).map(|name| (name, of.clone())));
        }
        for (name, aliases, other) in same {
            let Some(of) = by_name.get(&other).cloned() else { continue };
            by_name.extend(aliases.into_iter().chain([name]).map(|name| (name, of.clone())));
        }
        Types::new(by_name, self.event_aliases)
    }
}

#[cfg(test)]
mod tests;
