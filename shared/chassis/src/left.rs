//! What is left of the caller's windows of requests: the gateway tells it to the services whose answer shows it.
//!
//! In a header of its own and not in the principal, which is signed once and sent for seconds. Not signed: it stands beside, as the trace
//! does, for a service takes calls from its gateway only, and it is shown to the caller and decides nothing.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it; the gateway removes one that a client sends.
pub const HEADER: HeaderName = HeaderName::from_static("one-left");

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left<'a> {
    /// As the RateLimit headers name it: `minute`, `organisation-day`.
    pub name: &'a str,
    /// Requests that still pass, this one counted.
    pub requests: u64,
    /// When it begins anew, seconds since 1970, by the clock of who counts.
    pub resets: u64,
}

/// `minute=59@1700000040,day=9999@1700006400`.
///
/// # Panics
/// If a name is no visible ASCII.
pub fn write<'a>(windows: impl Iterator<Item = Left<'a>>) -> HeaderValue {
    let all: Vec<String> = windows.map(|of| format!("{}={}@{}", of.name, of.requests, of.resets)).collect();
    let mut value = HeaderValue::try_from(all.join(",")).expect("names and digits");
    value.set_sensitive(true); // another for every call: HPACK should not spend its table on it
    value
}

/// What the gateway told; nothing where there is no limit.
#[must_use]
pub fn of(headers: &HeaderMap) -> Vec<Left<'_>> {
    let text = headers.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(',').filter_map(read).collect()
}

fn read(text: &str) -> Option<Left<'_>> {
    let (name, rest) = text.split_once('=')?;
    let (requests, resets) = rest.split_once('@')?;
    Some(Left { name, requests: requests.parse().ok()?, resets: resets.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let all =
            [Left { name: "minute", requests: 59, resets: 1_700_000_040 }, Left { name: "organisation-day", requests: 0, resets: 1_700_006_400 }];
        let headers = HeaderMap::from_iter([(HEADER, write(all.into_iter()))]);
        assert_eq!(headers[HEADER], "minute=59@1700000040,organisation-day=0@1700006400");
        assert_eq!(of(&headers), all);
        assert_eq!(of(&HeaderMap::new()), []);
        for text in ["", "minute", "minute=5", "minute=x@5", "minute=5@x"] {
            assert_eq!(of(&HeaderMap::from_iter([(HEADER, HeaderValue::from_static(text))])), [], "{text}");
        }
    }
}
