//! What things there can be: the thing types of the packs that are on, resolved.

use crate::pack::{Kind, Kinds, Property};
use contract::{Reason, Refusal};
use std::{collections::HashMap, sync::Arc};

/// A kind of thing, with all that the packs say of it.
#[derive(Debug)]
pub(crate) struct ThingType {
    /// The name that is stored.
    pub(crate) name: String,
    /// Written by the platform only.
    pub(crate) system: bool,
    /// Accepted with a warning; says what to use instead.
    pub(crate) deprecated: Option<String>,
    /// What `status` may be. `archived` always may, since that is what Delete sets.
    pub(crate) statuses: Vec<String>,
    /// Rules by name of the property, in its order.
    pub(crate) properties: Vec<(String, Rule)>,
}

/// What must hold for a property.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The JSON it holds: one of these.
    pub(crate) kinds: Vec<Kind>,
    /// Refused when missing.
    pub(crate) required: bool,
    /// Accepted when missing, with a warning.
    pub(crate) expected: bool,
    /// The only values allowed.
    pub(crate) values: Option<Vec<String>>,
}

impl From<Property> for Rule {
    fn from(property: Property) -> Self {
        let Kinds(kinds) = property.kinds;
        Self { kinds, required: property.required, expected: property.expected, values: property.values }
    }
}

/// The status of a thing that was deleted, whatever its type.
pub(crate) const ARCHIVED: &str = "archived";
/// The status of a thing that says nothing, if its type has it.
pub(crate) const ACTIVE: &str = "active";

impl ThingType {
    /// The status of a thing that says nothing.
    pub(crate) fn default_status(&self) -> &str {
        let first = self.statuses.first().map_or(ACTIVE, String::as_str);
        if self.has_status(ACTIVE) { ACTIVE } else { first }
    }

    /// `status` may be this.
    pub(crate) fn has_status(&self, status: &str) -> bool {
        status == ARCHIVED || self.statuses.iter().any(|known| known == status)
    }
}

/// What the packs that are on say, by name.
#[derive(Debug, Default)]
pub(crate) struct Types {
    /// Thing types by each of their names.
    things: HashMap<String, Arc<ThingType>>,
    /// Other names of event types, to their own.
    pub(crate) event_aliases: HashMap<String, String>,
}

impl Types {
    pub(crate) fn new(things: HashMap<String, Arc<ThingType>>, event_aliases: HashMap<String, String>) -> Self {
        Self { things, event_aliases }
    }

    /// The type of that name or alias.
    pub(crate) fn get(&self, name: &str) -> Option<&ThingType> {
        self.things.get(name).map(AsRef::as_ref)
    }

    /// The type of that name or alias, or why there is none.
    pub(crate) fn find(&self, name: &str) -> Result<&ThingType, Refusal> {
        self.get(name).ok_or_else(|| {
            Refusal::new(Reason::UnknownType, format!("there is no thing type {name:?} in the group's ontology"))
                .field("thing.type", "must be a type of the packs that are on")
                .with("type", name)
        })
    }

    /// The name under which rows hold it. One that no pack knows stays as it is: rows of a pack that was removed can still be found.
    pub(crate) fn canonical<'a>(&'a self, name: &'a str) -> &'a str {
        self.get(name).map_or(name, |of| of.name.as_str())
    }
}
