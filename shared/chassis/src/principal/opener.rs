//! Opens what a gateway signed, and remembers what it opened a moment ago.

use super::{HEADER, Principal, Signer};
use crate::header::{REQUEST_ID, TRACE_PARENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};
use subtle::ConstantTimeEq;

const PLACES: usize = 1_024;
/// Its last characters hold all of a value's signature.
const MAC: usize = 44;

/// Verifies the calls of one audience.
///
/// A gateway sends the same value again for a few seconds, and to compare it costs less than to open it: 0.1 instead of 0.9 µs (perf, 22 November 2026).
/// What is kept was opened whole, counts for the same bytes and path only, and ages like any other.
pub(crate) struct Opener {
    signer: Signer,
    audience: &'static str,
    places: Vec<Mutex<Option<Box<Place>>>>,
}

struct Place {
    value: HeaderValue,
    path: String,
    issued: i64,
    principal: Principal,
}

impl Place {
    fn is(&self, value: &HeaderValue, path: &str) -> bool {
        self.path == path && equal(self.value.as_bytes(), value.as_bytes())
    }
}

impl Opener {
    pub(crate) fn new(signer: Signer, audience: &'static str) -> Self {
        Self { signer, audience, places: (0..PLACES).map(|_| Mutex::default()).collect() }
    }

    /// The caller that a request's headers name: exactly one [`HEADER`], with the call's own id and trace beside it.
    pub(crate) fn verify(&self, headers: &HeaderMap, path: &str) -> Option<Principal> {
        let mut sent = headers.get_all(HEADER).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else { return None };
        let mut principal = self.open(value, path)?;
        principal.call_id = text(headers, REQUEST_ID);
        principal.traceparent = text(headers, TRACE_PARENT);
        Some(principal)
    }

    fn open(&self, value: &HeaderValue, path: &str) -> Option<Principal> {
        let last = u64::from_le_bytes(*value.as_bytes().last_chunk().filter(|_| value.len() >= MAC)?);
        if let Some(known) = self.place(last).as_ref().filter(|known| known.is(value, path)) {
            return self.signer.lives(known.issued).then(|| known.principal.clone());
        }
        let (principal, issued) = self.signer.proven(value, self.audience, path)?;
        let opened = Place { value: value.clone(), path: path.to_owned(), issued, principal: principal.clone() };
        *self.place(last) = Some(Box::new(opened));
        self.signer.lives(issued).then_some(principal)
    }

    fn place(&self, last: u64) -> MutexGuard<'_, Option<Box<Place>>> {
        let mixed = last.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.places[mixed as usize % PLACES].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The signature in constant time: who sees how far a guess is right could guess the rest. In one process the gateway's own bytes come back.
fn equal(known: &[u8], sent: &[u8]) -> bool {
    if ptr::eq(known, sent) {
        return true;
    }
    let end = known.len() - MAC;
    known.len() == sent.len() && known[..end] == sent[..end] && bool::from(known[end..].ct_eq(&sent[end..]))
}

fn text(headers: &HeaderMap, name: HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::Clock;
    use contract::{Role, Scopes, id::GroupId};
    use std::time::Duration;

    const PATH: &str = "/one.ontology.v1.ThingService/GetThing";

    /// Who signs, who opens, and their clock.
    fn house() -> (Signer, Opener, Clock) {
        let clock = Clock::still(Duration::from_secs(1_700_000_000));
        let signer = Signer::new(&[1; 32], clock.clone());
        (signer.clone(), Opener::new(signer, "ontology"), clock)
    }

    fn caller() -> Principal {
        Principal { call_id: String::new(), ..Principal::test(GroupId::new(0), Role::GroupOwner, Scopes::ALL) }
    }

    #[test]
    fn headers_name_exactly_one_caller_and_the_call() {
        let (signer, opener, _) = house();
        let mut headers = HeaderMap::new();
        assert!(opener.verify(&headers, PATH).is_none());
        headers.insert(HEADER, signer.sign(&caller(), "ontology", PATH));
        for id in ["call-7", "call-8"] {
            headers.insert("x-request-id", HeaderValue::from_static(id));
            headers.insert("traceparent", HeaderValue::from_static("00-1-2-01"));
            let principal = opener.verify(&headers, PATH).unwrap();
            assert_eq!((principal.call_id.as_str(), principal.traceparent.as_str()), (id, "00-1-2-01"));
        }
        headers.append(HEADER, signer.sign(&caller(), "ontology", PATH));
        assert!(opener.verify(&headers, PATH).is_none(), "two");
    }

    #[test]
    fn adv_cve_2026_46668_what_was_opened_before_is_opened_again_but_for_nothing_else() {
        let ((signer, opener, _), caller) = (house(), caller());
        let value = signer.sign(&caller, "ontology", PATH);
        for _ in 0..2 {
            assert_eq!(opener.open(&value, PATH).as_ref(), Some(&caller));
        }
        assert_eq!(opener.open(&value, "/one.ontology.v1.ThingService/DeleteThing"), None);
        assert_eq!(opener.open(&signer.sign(&caller, "events", PATH), PATH), None);
        for at in 0..value.len() {
            let mut changed = value.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(opener.open(&HeaderValue::from_bytes(&changed).unwrap(), PATH), None, "{at}");
            assert_eq!(opener.open(&HeaderValue::from_bytes(&changed[..at]).unwrap(), PATH), None, "{at}");
        }
        assert_eq!(opener.open(&value, PATH), Some(caller), "what is wrong takes nobody's place");
    }

    #[test]
    fn what_was_opened_before_ages_all_the_same() {
        let (signer, opener, clock) = house();
        let value = signer.sign(&caller(), "ontology", PATH);
        assert!(opener.open(&value, PATH).is_some());
        clock.advance(Duration::from_secs(60));
        assert!(opener.open(&value, PATH).is_some());
        clock.advance(Duration::from_micros(1));
        assert!(opener.open(&value, PATH).is_none());
    }
}
