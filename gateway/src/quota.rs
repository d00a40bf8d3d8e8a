//! The RateLimit headers, and the refusal of who has used up a window.

use crate::{
    limiter::{MOST, Name, Taken, Window, Windows},
    spread::Seed,
};
use contract::{Reason, Refusal};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    collections::HashMap,
    fmt::Write,
    sync::{PoisonError, RwLock},
    time::Duration,
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// Policies that are remembered; there are as many as tiers, and as exceptions from them.
const POLICIES: usize = 1_024;

/// Values of the policy header: which windows with which limits, in the order of the windows.
#[derive(Debug, Default)]
pub(crate) struct Policies(RwLock<HashMap<Policy, HeaderValue, Seed>>);

type Policy = [Option<(Name, u64)>; MOST];

impl Policies {
    fn value(&self, windows: &Windows) -> HeaderValue {
        let key = std::array::from_fn(|at| windows.get(at).map(|window| (window.name, window.limit)));
        if let Some(value) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return value.clone();
        }
        let value = policy(windows);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < POLICIES {
            known.insert(key, value.clone());
        }
        value
    }

    /// Of the window that is nearest to its end; nothing where there is no limit.
    pub(crate) fn show(&self, headers: &mut HeaderMap, windows: &Windows, taken: &Taken) {
        let Some(at) = taken.refused.or_else(|| taken.tightest(windows)) else { return };
        headers.insert(POLICY, self.value(windows));
        headers.insert(STATE, state(windows[at].name, taken.left[at], windows[at].resets(taken.at)));
    }
}

/// `"minute";q=60;w=60, "day";q=10000;w=86400`.
fn policy(windows: &Windows) -> HeaderValue {
    let mut text = String::new();
    for window in windows.iter() {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}\"{}\";q={};w={}", window.name.word(), window.limit, window.name.seconds());
    }
    HeaderValue::try_from(text).expect("names and digits")
}

/// `"minute";r=12;t=33`.
fn state(name: Name, left: u64, resets: Duration) -> HeaderValue {
    let mut text = Vec::with_capacity(48);
    let mut number = itoa::Buffer::new();
    for part in ["\"", name.word(), "\";r="] {
        text.extend_from_slice(part.as_bytes());
    }
    text.extend_from_slice(number.format(left).as_bytes());
    text.extend_from_slice(b";t=");
    text.extend_from_slice(number.format(seconds(resets)).as_bytes());
    let mut value = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("a name and digits");
    value.set_sensitive(true); // another for every answer: HPACK should not spend its table on it
    value
}

fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// RATE_LIMITED, by the window that has not enough left. `subject` says whose it is.
pub(crate) fn used_up(window: &Window, subject: String, at: Duration) -> Refusal {
    let (word, limit, resets) = (window.name.word(), window.limit, window.resets(at));
    let sentence = format!("the {word} quota of {limit} requests is used up; it resets in {} s", seconds(resets));
    Refusal::new(Reason::RateLimited, sentence.clone()).with("window", word).with("limit", limit.to_string()).quota(subject, sentence).retry(resets)
}
