//! What strangers send, as bytes of any kind: each function feeds them to one of our readers and asserts what must hold whatever they are.
//!
//! `fuzz/` runs each under libFuzzer (`make fuzz`), the test beside this runs each on its seeds, so that no target rots. What a fuzzer
//! finds becomes a seed, and a unit test where the mistake was.

mod credential;
mod filter;
mod json;
mod metadata;
mod pack;
mod principal;
mod token;

pub use credential::credential;
pub use filter::filter;
pub use json::json_properties;
pub use metadata::metadata;
pub use pack::pack;
pub use principal::principal;
pub use token::token;

/// A target, under the name of its binary and its seeds.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("credential", credential),
    ("filter", filter),
    ("json_properties", json_properties),
    ("metadata", metadata),
    ("pack", pack),
    ("principal", principal),
    ("token", token),
];

/// Text, as far as the bytes are some.
fn text(data: &[u8]) -> &str {
    match std::str::from_utf8(data) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&data[..error.valid_up_to()]).unwrap_or_default(),
    }
}
