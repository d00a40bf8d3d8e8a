//! Where things are: the repository, the binary, what `tests/install` made.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")) // tests/..
}

/// The binary under test: `ONE_TEST_BINARY`, or the one that cargo built beside this test.
///
/// # Panics
/// If there is none.
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os("ONE_TEST_BINARY") {
        return path.into();
    }
    let test = env::current_exe().expect("a running program has a path"); // target/debug/deps/mesh-…
    let path = test.ancestors().nth(2).expect("two folders up").join("onemesh");
    assert!(path.exists(), "{} is not there: run `cargo build`, or `make test`", path.display());
    path
}

/// What `tests/install` put below `target/`, or below `tests/`.
///
/// # Panics
/// If it is not there.
pub fn installed(path: &str) -> PathBuf {
    let path = repository().join(path);
    assert!(path.exists(), "{} is not there: run tests/install, or `make test`", path.display());
    path
}
