//! Update masks (AIP-161, AIP-134).

use crate::{Reason, Refusal};
use prost_types::FieldMask;

/// Which fields an update is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// No mask was sent: the fields that are populated.
    Populated,
    /// `*`.
    All,
    /// These paths, each known.
    Paths(Vec<String>),
}

impl Mask {
    /// Reads a mask. `known` are the paths that can be updated; `properties.*` stands for any path below `properties`.
    pub fn read(mask: Option<&FieldMask>, known: &[&str]) -> Result<Mask, Refusal> {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return Ok(Mask::Populated) };
        if mask.paths.iter().any(|path| path == "*") {
            return if mask.paths.len() == 1 { Ok(Mask::All) } else { Err(unknown("*", "stands alone")) };
        }
        let is_known = |path: &str| {
            known.iter().any(|known| match known.strip_suffix('*') {
                Some(above) => path.strip_prefix(above).is_some_and(|below| below.split('.').all(|step| !step.is_empty())),
                None => *known == path,
            })
        };
        match mask.paths.iter().find(|path| !is_known(path)) {
            Some(path) => Err(unknown(path, &format!("is not one of {}", known.join(", ")))),
            None => Ok(Mask::Paths(mask.paths.clone())),
        }
    }

    /// The update is about `path`, itself or as part of a path above it. `populated` says whether the request holds a value for it.
    pub fn has(&self, path: &str, populated: bool) -> bool {
        match self {
            Mask::Populated => populated,
            Mask::All => true,
            Mask::Paths(paths) => {
                paths.iter().any(|named| path.strip_prefix(named.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
            }
        }
    }

    /// The paths that were named below `above`, without it: `properties.a.b` is `a.b` below `properties`.
    pub fn below<'a>(&'a self, above: &'a str) -> impl Iterator<Item = &'a str> {
        let paths = if let Mask::Paths(paths) = self { paths.as_slice() } else { &[] };
        paths.iter().filter_map(move |path| path.strip_prefix(above)?.strip_prefix('.'))
    }
}

fn unknown(path: &str, why: &str) -> Refusal {
    Refusal::new(Reason::InvalidUpdateMask, format!("the path {path} in update_mask {why}"))
        .field("update_mask", format!("{path} {why}"))
        .with("path", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["name", "settings", "settings.visibility", "properties", "properties.*"];

    fn read(paths: &[&str]) -> Result<Mask, Refusal> {
        Mask::read(Some(&FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }), KNOWN)
    }

    #[test]
    fn without_a_mask_the_populated_fields_count() {
        for mask in [Mask::read(None, KNOWN), read(&[])] {
            let mask = mask.expect("valid");
            assert!(mask.has("name", true) && !mask.has("name", false));
        }
    }

    #[test]
    fn a_path_covers_what_is_below_it() {
        let mask = read(&["settings", "properties.a.b"]).expect("valid");
        assert!(mask.has("settings.visibility", false) && !mask.has("settingsx", true) && !mask.has("name", true));
        assert!(!mask.has("properties", true));
        assert_eq!(mask.below("properties").collect::<Vec<_>>(), ["a.b"]);
        assert!(read(&["*"]).expect("valid").has("name", false));
    }

    #[test]
    fn unknown_paths_are_refused_by_name() {
        for path in ["nam", "name.x", "id", "properties.", "properties.a..b", "", "revision"] {
            let refused = read(&[path]).expect_err(path);
            assert_eq!(refused.reason(), Reason::InvalidUpdateMask);
        }
        assert!(read(&["*", "name"]).is_err());
    }
}
