//! A pack as it stands in its file. Unknown keys are refused: a mistyped `requierd` would silently check nothing.

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// A vocabulary: types that a group's things, connections and events can have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pack {
    /// Which pack it is.
    pub(crate) ontology: Header,
    /// The statuses of things whose type says nothing else.
    #[serde(default)]
    pub(crate) thing_statuses: Vec<String>,
    /// Names for several types: `$people`. A set may hold sets.
    #[serde(default)]
    pub(crate) type_sets: BTreeMap<String, Vec<String>>,
    /// What things there are.
    #[serde(default)]
    pub(crate) thing_types: Vec<ThingType>,
    /// How things may be connected.
    #[serde(default)]
    pub(crate) connection_types: Vec<ConnectionType>,
    /// What may happen.
    #[serde(default)]
    pub(crate) event_types: Vec<EventType>,
    /// What this pack adds to types of its ancestors.
    #[serde(default)]
    pub(crate) refines: Refines,
    // Words of identity and knowledge. They are listed, so that a mistyped key is seen, and read by nobody here.
    #[serde(default, rename = "group_types")]
    _group_types: IgnoredAny,
    #[serde(default, rename = "group_statuses")]
    _group_statuses: IgnoredAny,
    #[serde(default, rename = "group_settings")]
    _group_settings: IgnoredAny,
    #[serde(default, rename = "roles")]
    _roles: IgnoredAny,
    #[serde(default, rename = "actor_kinds")]
    _actor_kinds: IgnoredAny,
    #[serde(default, rename = "scopes")]
    _scopes: IgnoredAny,
    #[serde(default, rename = "knowledge_types")]
    _knowledge_types: IgnoredAny,
    #[serde(default, rename = "knowledge_link_roles")]
    _knowledge_link_roles: IgnoredAny,
    #[serde(default, rename = "label_prefixes")]
    _label_prefixes: IgnoredAny,
    #[serde(default, rename = "protocols")]
    _protocols: IgnoredAny,
}

/// Which pack it is, and on what it stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// Its name.
    pub(crate) name: String,
    /// Packs that must load first.
    #[serde(default)]
    pub(crate) extends: Vec<String>,
    #[serde(rename = "version")]
    _version: IgnoredAny,
    #[serde(rename = "description")]
    _description: IgnoredAny,
}

/// A kind of thing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThingType {
    /// Its canonical name.
    pub(crate) name: String,
    /// What is known of its properties; others are kept as they are.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Property>,
    /// Other names on input.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// Written by the platform only.
    #[serde(default)]
    pub(crate) system: bool,
    /// Accepted with a warning; says what to use instead.
    pub(crate) deprecated: Option<String>,
    /// In place of the pack's `thing_statuses`.
    pub(crate) statuses: Option<Vec<String>>,
    /// It is only another name of that type.
    pub(crate) same_as: Option<String>,
    #[serde(rename = "category")]
    _category: IgnoredAny,
    #[serde(rename = "description")]
    _description: IgnoredAny,
}

/// A rule for a property.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Property {
    /// `string`, `number[]`, `[number, 'string[]']`, ….
    #[serde(rename = "type")]
    pub(crate) kinds: Kinds,
    /// Refused when missing.
    #[serde(default)]
    pub(crate) required: bool,
    /// Accepted when missing, with a warning.
    #[serde(default)]
    pub(crate) expected: bool,
    /// The only values allowed.
    #[serde(rename = "enum")]
    pub(crate) values: Option<Vec<String>>,
    /// The type of the thing it names.
    #[serde(rename = "ref")]
    pub(crate) refers: Option<String>,
}

/// The JSON a property holds: one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(pub(crate) Vec<Kind>);

/// A kind of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Of each value.
    pub(crate) of: Json,
    /// It is a list of them.
    pub(crate) list: bool,
}

/// A kind of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Json {
    String,
    Number,
    Boolean,
    Object,
    Any,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (one, list) = word.strip_suffix("[]").map_or((word, false), |one| (one, true));
        let of = match one {
            "string" => Json::String,
            "number" => Json::Number,
            "boolean" => Json::Boolean,
            "object" => Json::Object,
            "any" => Json::Any,
            _ => return Err(format!("{word} is not string, number, boolean, object or any, with [] for a list")),
        };
        Ok(Self { of, list })
    }
}

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = Kinds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a type, or a list of types")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Kinds, E> {
                word.parse().map(|kind| Kinds(vec![kind])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Kinds, A::Error> {
                let mut kinds = Vec::new();
                while let Some(word) = words.next_element::<String>()? {
                    kinds.push(word.parse().map_err(de::Error::custom)?);
                }
                Ok(Kinds(kinds))
            }
        }

        from.deserialize_any(Words)
    }
}

/// A kind of connection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionType {
    /// Its canonical name.
    pub(crate) name: String,
    /// What it may lead from: types, `$set`, `*`, `$group`, `$knowledge`.
    pub(crate) from: Vec<String>,
    /// What it may lead to.
    pub(crate) to: Vec<String>,
    /// Other names on input.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// What is known of its metadata.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, Property>,
    #[serde(rename = "category")]
    _category: IgnoredAny,
    #[serde(rename = "description")]
    _description: IgnoredAny,
    #[serde(default, rename = "canonical")]
    _canonical: IgnoredAny,
}

/// A kind of event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventType {
    /// Its canonical name.
    pub(crate) name: String,
    /// The things it may be about.
    pub(crate) things: Vec<String>,
    /// Other names on input.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// What is known of its metadata.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, Property>,
    /// It is only another name of that type.
    pub(crate) same_as: Option<String>,
    #[serde(rename = "category")]
    _category: IgnoredAny,
    #[serde(rename = "description")]
    _description: IgnoredAny,
    #[serde(default, rename = "system")]
    _system: IgnoredAny,
    #[serde(default, rename = "canonical")]
    _canonical: IgnoredAny,
}

/// Additions to types of ancestors.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refines {
    /// Their properties merge by key.
    #[serde(default)]
    pub(crate) thing_types: Vec<ThingType>,
}
