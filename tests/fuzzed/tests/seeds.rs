//! Each seed through its target, as the fuzzer does.

use std::{fs, path::PathBuf};

#[test]
fn every_seed_holds() {
    let seeds = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    for (name, target) in fuzzed::TARGETS {
        let folder = fs::read_dir(seeds.join(name)).unwrap_or_else(|error| panic!("the seeds of {name}: {error}"));
        let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("it can be listed").path()).collect();
        files.sort();
        assert!(files.len() >= 3, "{name} has seeds");
        for file in files {
            println!("{}", file.display()); // shown if it fails
            target(&fs::read(&file).expect("it can be read"));
        }
    }
}

#[test]
fn every_target_has_a_binary_and_no_other_has() {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/Cargo.toml");
    let text = fs::read_to_string(manifest).expect("it is in the repository");
    let named: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("path = \"targets/")?.strip_suffix(".rs\"")).collect();
    assert_eq!(named, fuzzed::TARGETS.map(|(name, _)| name));
}
