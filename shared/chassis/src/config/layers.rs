//! The layers, one over the other.

use std::collections::HashMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::environment::{is_service_link, variable};
use super::error::{Error, refused, syntax, unknown};

/// The layers so far; begin with the defaults and add in the order of weight.
#[derive(Debug)]
pub struct Layers {
    values: Table,
    /// Where a setting was last set, by its dotted path.
    origins: HashMap<String, String>,
}

impl Layers {
    /// The defaults compiled in.
    ///
    /// # Panics
    /// When they are not TOML: that is a mistake in our own source.
    #[must_use]
    pub fn new(defaults: &str) -> Self {
        let values = defaults.parse().expect("the defaults compiled in are TOML");
        Self { values, origins: HashMap::new() }
    }

    /// A TOML file over them.
    ///
    /// # Errors
    /// When it can't be read or parsed, or names an unknown setting.
    pub fn file(self, path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::Read(path.to_owned(), error))?;
        let table: Table = text.parse().map_err(|error| syntax(path, &text, &error))?;
        self.table(table, &path.display().to_string())
    }

    fn table(mut self, table: Table, origin: &str) -> Result<Self, Error> {
        merge(&mut self.values, table, "", &mut |path| {
            self.origins.insert(path.to_owned(), origin.to_owned());
        })
        .map_err(|wrong| wrong.at(origin, &self.values))?;
        Ok(self)
    }

    /// The variables that begin with `ONE_` over them; pass [`std::env::vars`]. An empty value counts as one.
    ///
    /// # Errors
    /// When one names no setting, or its text is not of the setting's type.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let paths: HashMap<String, String> = leaves(&self.values).into_iter().map(|path| (variable(&path), path)).collect();
        let ours = variables.into_iter().filter(|(name, _)| name.starts_with("ONE_"));
        for (name, text) in ours {
            match paths.get(&name) {
                Some(path) => self = self.text(path, &text, &format!("from {name}"))?,
                None if is_service_link(&name, &text) => {}
                None => return Err(unknown(&name, "from the environment", paths.keys())),
            }
        }
        Ok(self)
    }

    /// One setting of the command line over them, by its dotted path.
    ///
    /// # Errors
    /// When there is no such setting, or the text is not of its type.
    pub fn set(self, path: &str, text: &str) -> Result<Self, Error> {
        self.text(path, text, "from the command line")
    }

    fn text(mut self, path: &str, text: &str, origin: &str) -> Result<Self, Error> {
        let Some(value) = find(&mut self.values, path) else {
            return Err(unknown(path, origin, leaves(&self.values).iter()));
        };
        let kind = value.type_str();
        *value = read(value, text).ok_or_else(|| Error::Value(path.to_owned(), origin.to_owned(), format!("it needs {}", named(kind))))?;
        self.origins.insert(path.to_owned(), origin.to_owned());
        Ok(self)
    }

    /// The settings as the caller's type, which says the rest: ranges, addresses, durations.
    ///
    /// # Errors
    /// Names the setting whose value the type refused, and where it was set.
    pub fn settings<T: DeserializeOwned>(self) -> Result<T, Error> {
        let origins = self.origins;
        T::deserialize(Value::Table(self.values)).map_err(|error| refused(&error, &origins))
    }
}

/// What is wrong with a key of a file, before it is known of which.
enum Wrong {
    Unknown(String),
    Kind(String, &'static str),
}

impl Wrong {
    fn at(self, origin: &str, known: &Table) -> Error {
        match self {
            Self::Unknown(path) => unknown(&path, &format!("in {origin}"), leaves(known).iter()),
            Self::Kind(path, kind) => Error::Value(path, format!("in {origin}"), format!("it needs {}", named(kind))),
        }
    }
}

/// An empty table among the defaults is a map of the user's own keys; everywhere else a new key is unknown.
fn merge(into: &mut Table, from: Table, prefix: &str, set: &mut impl FnMut(&str)) -> Result<(), Wrong> {
    for (key, value) in from {
        let path = format!("{prefix}{key}");
        match (into.get_mut(&key), value) {
            (None, _) => return Err(Wrong::Unknown(path)),
            (Some(Value::Table(known)), Value::Table(given)) if known.is_empty() => *known = given,
            (Some(Value::Table(known)), Value::Table(given)) => merge(known, given, &format!("{path}."), set)?,
            (Some(known), given) if !known.same_type(&given) => return Err(Wrong::Kind(path, known.type_str())),
            (Some(known), given) => {
                *known = given;
                set(&path);
            }
        }
    }
    Ok(())
}

/// The paths of all settings.
fn leaves(table: &Table) -> Vec<String> {
    let below = |key: &String, value: &Value| match value {
        Value::Table(inner) => leaves(inner).into_iter().map(|path| format!("{key}.{path}")).collect(),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) => {
            vec![key.clone()]
        }
    };
    table.iter().flat_map(|(key, value)| below(key, value)).collect()
}

fn find<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Value> {
    match path.split_once('.') {
        Some((key, rest)) => find(table.get_mut(key)?.as_table_mut()?, rest),
        None => table.get_mut(path).filter(|value| !value.is_table()),
    }
}

/// Text as a value of the type the setting has now.
fn read(now: &Value, text: &str) -> Option<Value> {
    match now {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => Some(Value::Array(list(text))),
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

fn list(text: &str) -> Vec<Value> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| Value::String(item.to_owned())).collect()
}

fn named(kind: &str) -> &str {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "float" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "table" => "a section",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    const DEFAULTS: &str = r#"
        data_dir = "data"
        roles = ["all"]
        tags = {}
        [gateway]
        addr = "127.0.0.1:8080"
        streams = 100
        drain = "25s"
        reflection = true
        body = "4MiB"
    "#;

    #[derive(Debug, Deserialize)]
    struct Settings {
        data_dir: String,
        roles: Vec<String>,
        tags: HashMap<String, String>,
        gateway: Gateway,
    }

    #[derive(Debug, Deserialize)]
    struct Gateway {
        addr: std::net::SocketAddr,
        streams: u32,
        #[serde(with = "super::super::duration")]
        drain: Duration,
        reflection: bool,
        #[serde(with = "super::super::size")]
        body: u32,
    }

    fn defaults() -> Layers {
        Layers::new(DEFAULTS)
    }

    fn environment(name: &str, value: &str) -> Result<Layers, Error> {
        defaults().environment([(name.to_owned(), value.to_owned())])
    }

    fn file(text: &str) -> Result<Layers, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        defaults().file(file.path())
    }

    #[test]
    fn the_defaults_alone_are_settings() {
        let settings: Settings = defaults().settings().unwrap();
        assert_eq!(settings.data_dir, "data");
        assert_eq!(settings.roles, ["all"]);
        assert!(settings.tags.is_empty() && settings.gateway.reflection);
        assert_eq!((settings.gateway.drain, settings.gateway.body), (Duration::from_secs(25), 4 << 20));
    }

    #[test]
    fn each_layer_goes_over_the_one_before() {
        let layers = file("data_dir = 'f'\nroles = ['f']\ntags = { zone = 'a' }\n[gateway]\nstreams = 7\nreflection = false").unwrap();
        let variables = [("ONE_ROLES", "gateway, events"), ("ONE_GATEWAY_STREAMS", "8"), ("PATH", "/bin"), ("ONE_DATA_DIR", "e")];
        let layers = layers.environment(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        let settings: Settings = layers.set("data_dir", "c").unwrap().settings().unwrap();
        assert_eq!(settings.data_dir, "c");
        assert_eq!(settings.roles, ["gateway", "events"]);
        assert_eq!(settings.tags["zone"], "a");
        assert_eq!((settings.gateway.streams, settings.gateway.reflection), (8, false));
        assert_eq!(settings.gateway.addr.port(), 8080);
    }

    #[test]
    fn an_unknown_name_is_refused_in_every_layer() {
        for (error, sentence) in [
            (environment("ONE_GATEWAY_ADR", "x"), "there is no setting `ONE_GATEWAY_ADR` (from the environment); did you mean `ONE_GATEWAY_ADDR`?"),
            (defaults().set("gateway.nothing", "x"), "there is no setting `gateway.nothing` (from the command line)"),
            (defaults().set("gateway", "x"), "there is no setting `gateway` (from the command line)"),
        ] {
            assert_eq!(error.unwrap_err().to_string(), sentence);
        }
        let sentence = file("[gateway]\nstream = 1").unwrap_err().to_string();
        assert!(sentence.starts_with("there is no setting `gateway.stream` (in /"), "{sentence}");
        assert!(sentence.ends_with("; did you mean `gateway.streams`?"), "{sentence}");
    }

    #[test]
    fn a_bad_value_is_named_with_its_setting_and_origin() {
        for (layers, sentence) in [
            (environment("ONE_GATEWAY_STREAMS", "many"), "the setting `gateway.streams` (from ONE_GATEWAY_STREAMS): it needs a whole number"),
            (defaults().set("gateway.reflection", "no"), "the setting `gateway.reflection` (from the command line): it needs true or false"),
            (
                environment("ONE_GATEWAY_DRAIN", "soon"),
                "the setting `gateway.drain` (from ONE_GATEWAY_DRAIN): \"soon\" is not a duration such as \"20ms\", \"30s\" or \"1h30m\"",
            ),
            (environment("ONE_GATEWAY_ADDR", "nowhere"), "the setting `gateway.addr` (from ONE_GATEWAY_ADDR): invalid socket address syntax"),
        ] {
            let error = layers.and_then(Layers::settings::<Settings>).unwrap_err().to_string();
            assert_eq!(error, sentence);
        }
    }

    #[test]
    fn a_bad_file_is_named_with_its_line() {
        let sentence = file("data_dir = 'x'\nroles = [").unwrap_err().to_string();
        assert!(sentence.contains("is not TOML: line 2") && !sentence.contains('\n'), "{sentence}");
        let sentence = file("roles = 'gateway'").unwrap_err().to_string();
        assert!(sentence.ends_with("it needs a list"), "{sentence}");
        let missing = defaults().file(Path::new("/nowhere/one.toml")).unwrap_err().to_string();
        assert!(missing.starts_with("the settings file /nowhere/one.toml: "), "{missing}");
    }
}
