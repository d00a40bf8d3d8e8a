//! What fuzz targets feed and nobody else sees: packs, and properties against the types of the core pack.

use crate::{check, load};
use serde_json::{Map, Value};

/// Loads a text as the only pack.
///
/// # Errors
/// A sentence for whoever wrote the pack.
pub fn pack(text: &str) -> Result<(), String> {
    load::load(&[("fuzzed.yaml", text)]).map(drop).map_err(|error| error.to_string())
}

/// Holds properties against some types of the core pack; how many would take them.
#[must_use]
pub fn properties(properties: &Map<String, Value>) -> usize {
    let types = ["person", "product", "event", "policy"].into_iter().filter_map(|name| load::core().get(name));
    types
        .filter(|of| check::properties(of, properties).is_ok() && !check::warnings(of, properties).iter().any(|warning| warning.message.is_empty()))
        .count()
}
