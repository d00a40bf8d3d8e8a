//! Packs, as YAML.

use crate::text;

/// A text that somebody calls a pack.
pub fn pack(data: &[u8]) {
    if let Err(sentence) = ontology::fuzzing::pack(text(data)) {
        assert!(sentence.len() < 64 << 10, "a mistake is told in {} bytes", sentence.len());
    }
}
