//! W3C trace context: the `traceparent` header.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::header::TRACE_PARENT;

/// Which trace, and which span of it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

impl TraceParent {
    pub(super) fn new(trace: u128, span: u64, flags: u8) -> Self {
        Self { trace, span, flags }
    }

    /// A new root that nobody samples.
    #[must_use]
    pub fn root() -> Self {
        let trace = (u128::from(random()) << 64) | u128::from(random());
        Self::new(trace.max(1), random().max(1), 0)
    }

    /// What the caller sent, if it is valid.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut sent = headers.get_all(TRACE_PARENT).iter();
        let only = sent.next().filter(|_| sent.next().is_none())?;
        only.to_str().ok()?.parse().ok()
    }

    /// The trace's id.
    #[must_use]
    pub fn trace(&self) -> Uuid {
        Uuid::from_u128(self.trace)
    }

    /// The trace's id: 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// Somebody wants its spans.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// Into the headers of what is asked next.
    pub fn inject(&self, headers: &mut HeaderMap) {
        headers.insert(TRACE_PARENT, self.value());
    }

    /// As a header. It is marked as one that HPACK does not index: every call has another, so it never hits, pushes out what does, and each
    /// is compared with all that are still there. That was 0.6 µs of a call (perf, 22 November 2026).
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        let mut value = HeaderValue::from_bytes(&self.text()).expect("hex digits and dashes");
        value.set_sensitive(true);
        value
    }

    /// By hand, not with `format!`: every call writes one.
    fn text(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&self.trace.to_be_bytes(), &mut text[3..35]);
        write_hex(&self.span.to_be_bytes(), &mut text[36..52]);
        write_hex(&[self.flags], &mut text[53..55]);
        text
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(str::from_utf8(&self.text()).expect("hex digits and dashes"))
    }
}

/// Not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is 00-(32 hex digits)-(16 hex digits)-(2 hex digits)")]
pub struct Malformed;

impl FromStr for TraceParent {
    type Err = Malformed;

    /// A later version may have more at its end; `ff` is none, and zeroes are no ids.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.split('-');
        let mut next = |digits: usize| parts.next().and_then(|part| hex(part, digits)).ok_or(Malformed);
        let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let ends = version > 0 || parts.next().is_none();
        if version == 0xff || trace == 0 || span == 0 || !ends {
            return Err(Malformed);
        }
        let (span, flags) = (u64::try_from(span).map_err(|_| Malformed)?, u8::try_from(flags).map_err(|_| Malformed)?);
        Ok(Self::new(trace, span, flags))
    }
}

fn write_hex(bytes: &[u8], into: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, two) in bytes.iter().zip(into.chunks_exact_mut(2)) {
        two.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// Exactly so many digits, lower case only.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == digits && lower).then(|| u128::from_str_radix(text, 16).ok())?
}

/// SplitMix64, seeded for each thread: ids must differ, not be secret, and a system call for each costs more than all the
/// rest.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(seed());
    }
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn seed() -> u64 {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).expect("the operating system gives random bytes");
    u64::from_ne_bytes(seed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_written_again() {
        let parent: TraceParent = VALID.parse().unwrap();
        assert_eq!(parent.to_string(), VALID);
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let later = format!("cc{}-what-the-future-will-be-like", &VALID[2..]);
        assert_eq!(later.parse::<TraceParent>().unwrap(), parent);
    }

    #[test]
    fn anything_else_is_not_a_traceparent() {
        for text in [
            "",
            "00",
            &VALID[..54],
            &VALID.to_uppercase(),
            &format!("{VALID}-more"),
            &format!("ff{}", &VALID[2..]),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn two_headers_are_none_and_a_new_root_is_valid() {
        let mut headers = HeaderMap::new();
        assert_eq!(TraceParent::of(&headers), None);
        let root = TraceParent::root();
        root.inject(&mut headers);
        assert_eq!(TraceParent::of(&headers), Some(root));
        headers.append(TRACE_PARENT, VALID.parse().unwrap());
        assert_eq!(TraceParent::of(&headers), None);
        assert_ne!(root.trace_id(), TraceParent::root().trace_id());
    }
}
