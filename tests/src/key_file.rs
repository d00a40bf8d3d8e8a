//! The first keys, which the first start leaves in files.

use std::{fs, path::Path};

/// The key in a file: its only line that is no comment.
///
/// # Panics
/// If there is none.
pub fn read_key(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let key = text.lines().map(str::trim).find(|line| line.starts_with("org_"));
    key.unwrap_or_else(|| panic!("{} holds no key", path.display())).to_owned()
}
