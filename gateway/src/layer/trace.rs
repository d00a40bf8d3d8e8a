//! Request id, trace, address: what every answer and every log line names. Sees everything, refusals too.

use crate::{
    address::{Address, Network},
    call::Call,
    ids::Ids,
    layer::Router,
    stack::{Answer, Layer, Next},
};
use chassis::{
    header::{REQUEST_ID, TRACE_PARENT, TRACE_STATE},
    telemetry::{OTHER, Trace, exports},
};
use http::{HeaderMap, HeaderValue};
use std::pin::pin;

/// A longer id of a request is not taken over.
const LONGEST_ID: usize = 64;

/// The layer.
pub struct Tracing {
    ids: Ids,
    proxies: Vec<Network>,
}

impl Tracing {
    /// `proxies` are those whose `x-forwarded-for` is believed.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub fn new(proxies: Vec<Network>) -> Result<Self, getrandom::Error> {
        Ok(Self { ids: Ids::new()?, proxies })
    }

    fn id(&self, headers: &HeaderMap) -> HeaderValue {
        let sent = headers.get(REQUEST_ID).filter(|id| (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
        let mut id = sent.cloned().unwrap_or_else(|| self.ids.request());
        id.set_sensitive(true); // see `TraceParent::value`
        id
    }

    fn address(&self, call: &Call) -> Address {
        let peer = call.connection.as_ref().map(|connection| connection.peer().ip());
        peer.map_or_else(Address::default, |peer| Address::behind(peer, call.headers(), &self.proxies))
    }
}

/// For the span, where there is one: `pkg.Service/Method`, never a path that a stranger made up.
fn name(path: &str) -> &str {
    if exports() && Router::knows(path) { &path[1..] } else { OTHER }
}

/// What goes on to the service is one trace, ours: what the client sent, or a new root.
fn begin(call: &mut Call) -> (Trace, HeaderValue) {
    let trace = Trace::server(name(call.path()), call.headers());
    let (headers, parent) = (call.request.headers_mut(), trace.parent().value());
    if headers.contains_key(TRACE_STATE) && chassis::telemetry::TraceParent::of(headers).is_none() {
        headers.remove(TRACE_STATE); // it belongs to a trace that is not valid
    }
    headers.insert(TRACE_PARENT, parent.clone());
    (trace, parent)
}

impl Layer for Tracing {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        call.address = self.address(call);
        call.id = self.id(call.headers());
        let (trace, parent) = begin(call);
        call.request.headers_mut().insert(REQUEST_ID, call.id.clone());
        call.trace = Some(trace.clone());
        let mut answer = trace.run(pin!(next.call(call))).await?;
        answer.headers_mut().insert(REQUEST_ID, call.id.clone());
        answer.headers_mut().insert(TRACE_PARENT, parent);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::{call, ok};
    use std::sync::Mutex;

    async fn through(headers: &[(&'static str, &str)]) -> (HeaderMap, HeaderMap) {
        let (layer, seen) = (Tracing::new(vec![]).unwrap(), Mutex::new(HeaderMap::new()));
        let mut call = call("/one.ontology.v1.ThingService/GetThing", headers);
        let below = |call: &mut Call| {
            *seen.lock().unwrap() = call.headers().clone();
            ok()
        };
        let answer = layer.call(&mut call, &below).await.unwrap();
        let passed = seen.lock().unwrap().clone();
        (answer.headers().clone(), passed)
    }

    #[tokio::test]
    async fn a_sent_request_id_is_echoed_and_a_bad_one_replaced() {
        let long = "x".repeat(65);
        for (sent, kept) in [("my-id-1", true), ("", false), ("with space", false), (long.as_str(), false)] {
            let (answered, passed) = through(&[("x-request-id", sent)]).await;
            assert_eq!(answered["x-request-id"] == sent, kept, "{sent}");
            assert_eq!(answered["x-request-id"], passed["x-request-id"]);
            assert!(!answered["x-request-id"].is_empty());
        }
    }

    #[tokio::test]
    async fn a_valid_trace_goes_on_and_an_invalid_one_starts_anew_without_its_state() {
        let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (answered, passed) = through(&[("traceparent", sent), ("tracestate", "a=1")]).await;
        assert!(passed["traceparent"].to_str().unwrap().contains("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!((&passed["tracestate"], &answered["traceparent"]), (&HeaderValue::from_static("a=1"), &passed["traceparent"]));
        for bad in ["nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            let (answered, passed) = through(&[("traceparent", bad), ("tracestate", "a=1")]).await;
            assert!(chassis::telemetry::TraceParent::of(&passed).is_some() && passed.get("tracestate").is_none());
            assert_eq!(answered["traceparent"], passed["traceparent"]);
        }
    }
}
