//! Ids of requests that came without one.

use http::HeaderValue;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Numbers that look random and do not repeat in a process's life; two processes begin far apart. They are names, no secrets.
#[derive(Debug)]
pub(crate) struct Ids(AtomicU64);

impl Ids {
    /// From a random start.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(|start| Self(start.into()))
    }

    /// Splitmix64: one addition, and a mix that no two inputs share.
    fn next(&self) -> u64 {
        let mut mixed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// An id for a request.
    pub(crate) fn request(&self) -> HeaderValue {
        let mut text = [0; 16];
        let number = self.next();
        for (at, digit) in text.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(number >> (60 - 4 * at) & 15) as usize];
        }
        HeaderValue::from_bytes(&text).expect("hex digits")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_do_not_repeat() {
        let ids = Ids::new().unwrap();
        let made: HashSet<HeaderValue> = (0..10_000).map(|_| ids.request()).collect();
        assert_eq!(made.len(), 10_000);
        assert!(made.iter().all(|id| id.len() == 16 && id.as_bytes().iter().all(u8::is_ascii_hexdigit)));
    }
}
