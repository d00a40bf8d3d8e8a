//! A folder for files that must reach a disk.

use tempfile::TempDir;

/// Beside the binaries and not in the system's temporary one, which may be memory: there a sync costs nothing.
pub(crate) fn on_disk() -> TempDir {
    let own = std::env::current_exe().expect("a path");
    tempfile::tempdir_in(own.parent().expect("a file has a folder")).expect("a folder")
}
