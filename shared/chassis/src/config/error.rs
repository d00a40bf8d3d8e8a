//! What can be wrong with settings, as sentences.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Why the settings are not usable. Each is one sentence; the process ends with exit code 64 before a port is open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings file can't be read.
    #[error("the settings file {path}: {1}", path = .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The settings file is not TOML.
    #[error("the settings file {path} is not TOML: line {1}: {2}", path = .0.display())]
    Syntax(PathBuf, usize, String),
    /// No setting has this name.
    #[error("there is no setting `{0}` ({1}){suggestion}", suggestion = suggestion(.2))]
    Unknown(String, String, Option<String>),
    /// The value is not one this setting can have.
    #[error("the setting `{0}` ({1}): {2}")]
    Value(String, String, String),
}

fn suggestion(known: &Option<String>) -> String {
    known.as_ref().map(|known| format!("; did you mean `{known}`?")).unwrap_or_default()
}

/// With the known name that is nearest, when one is near.
pub(super) fn unknown<'a>(name: &str, origin: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let near = known.map(|known| (distance(name, known), known)).min();
    let near = near.filter(|(distance, _)| *distance <= 2).map(|(_, known)| known.clone());
    Error::Unknown(name.to_owned(), origin.to_owned(), near)
}

/// How many letters differ (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, left) in one.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], at + 1);
        for (column, right) in other.bytes().enumerate() {
            let replaced = corner + usize::from(left != right);
            corner = row[column + 1];
            row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
    Error::Syntax(path.to_owned(), line, error.message().to_owned())
}

/// toml tells the path of a refused value only in its printed form: the sentence, then "in `a.b`".
pub(super) fn refused(error: &toml::de::Error, origins: &HashMap<String, String>) -> Error {
    let shown = error.to_string();
    let path = shown.trim_end().rsplit_once("in `").map_or("", |(_, path)| path.trim_end_matches('`'));
    let origin = origins.get(path).map_or("by default", String::as_str);
    Error::Value(path.to_owned(), origin.to_owned(), error.message().to_owned())
}
