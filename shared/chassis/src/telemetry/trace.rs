//! One call as telemetry sees it: its trace, its group, and its span when spans are exported.

use std::future::Future;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};

use contract::id::GroupId;
use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::calls::word;
use super::{EXPORTS, TraceParent};

tokio::task_local! {
    static CURRENT: Trace;
}

/// Which end of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The call is answered here.
    Server,
    /// The call is made from here.
    Client,
    /// Neither: it is done for a call.
    Internal,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Internal => "internal",
        }
    }
}

/// The call that this task works on. Clones are the same; the span ends with the last of them, so a stream's body keeps
/// one.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parent: TraceParent,
    group: OnceLock<GroupId>,
    span: Span,
}

impl Trace {
    /// A call that came with these headers. Continues the caller's trace; an invalid one starts a new root. `method` is
    /// `pkg.Service/Method`.
    #[must_use]
    pub fn server(method: &str, headers: &HeaderMap) -> Self {
        if !EXPORTS.load(Relaxed) {
            return Self::of(TraceParent::of(headers).unwrap_or_else(TraceParent::root), Span::none());
        }
        Self::exported(Kind::Server, method, headers)
    }

    /// A call that is made from here, as part of the current one.
    #[must_use]
    pub fn client(method: &str) -> Self {
        let current = Self::current();
        let parent = current.as_ref().map_or_else(TraceParent::root, Self::parent);
        let trace = Self::called_from(parent, method);
        if let Some(group) = current.and_then(|current| current.group()) {
            trace.in_group(group);
        }
        trace
    }

    /// A call that is made from here for a call that some other task works on.
    pub(crate) fn called_from(parent: TraceParent, method: &str) -> Self {
        if !EXPORTS.load(Relaxed) {
            return Self::of(parent, Span::none());
        }
        let mut headers = HeaderMap::new();
        parent.inject(&mut headers);
        Self::exported(Kind::Client, method, &headers)
    }

    /// What is done later because of a call, when that may be over: a span below the call's own. `None` where nothing is exported, and for
    /// a call that is not sampled.
    #[must_use]
    pub fn later(name: &'static str, call: &str, group: GroupId) -> Option<Self> {
        let parent = EXPORTS.load(Relaxed).then(|| call.parse::<TraceParent>().ok()).flatten()?;
        if !parent.is_sampled() {
            return None;
        }
        let span = tracing::info_span!(parent: None, "later", otel.name = name, otel.kind = Kind::Internal.word(), group.id = %*group);
        let mut headers = HeaderMap::new();
        parent.inject(&mut headers);
        Some(Self::below(span, &headers))
    }

    fn exported(kind: Kind, method: &str, headers: &HeaderMap) -> Self {
        let span = tracing::info_span!(
            "rpc",
            otel.name = method,
            otel.kind = kind.word(),
            otel.status_code = Empty,
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.response.status_code = Empty,
            group.id = Empty
        );
        Self::below(span, headers)
    }

    fn below(span: Span, headers: &HeaderMap) -> Self {
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Headers(headers))); // before the span is entered
        let context = span.context();
        let context = context.span().span_context().clone();
        let (trace, id) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
        let parent = TraceParent::new(u128::from_be_bytes(trace), u64::from_be_bytes(id), context.trace_flags().to_u8());
        Self::of(if context.is_valid() { parent } else { TraceParent::root() }, span)
    }

    fn of(parent: TraceParent, span: Span) -> Self {
        Self(Arc::new(Inner { parent, group: OnceLock::new(), span }))
    }

    /// The call this task works on, if it works on one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// What goes into the headers of calls made for this one, and beside the rows it writes.
    #[must_use]
    pub fn parent(&self) -> TraceParent {
        self.0.parent
    }

    /// The acting group, once it is known: it then stands in the span and in each log line.
    pub fn in_group(&self, id: GroupId) {
        let id = self.0.group.get_or_init(|| id);
        self.0.span.record("group.id", display(id));
    }

    /// The acting group, if it is known.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        self.0.group.get().copied()
    }

    /// What became of it. What the server could not help counts as an error, as the conventions say.
    pub fn ended(&self, code: Code) {
        let span = &self.0.span;
        span.record("rpc.response.status_code", word(code));
        let failed = [Code::Unknown, Code::DeadlineExceeded, Code::Unimplemented, Code::Internal, Code::Unavailable, Code::DataLoss];
        if failed.contains(&code) {
            span.record("otel.status_code", "ERROR");
        }
    }

    /// Works on `future` as this call.
    pub fn run<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        let span = self.0.span.clone();
        CURRENT.scope(self, future.instrument(span))
    }

    /// Does `work` as this call: one poll of a body.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.0.span.enter();
        CURRENT.sync_scope(self.clone(), work)
    }

    /// This task works on a call.
    pub(crate) fn is_current() -> bool {
        Self::with_current(|_| ()).is_some()
    }

    /// Looks at the current call without a clone.
    pub(super) fn with_current<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(look).ok()
    }
}

/// Headers as OpenTelemetry reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GROUP: GroupId = GroupId(uuid::Uuid::from_u128(7));
    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(traceparent: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), traceparent.parse().unwrap())])
    }

    #[tokio::test]
    async fn without_an_exporter_the_callers_trace_goes_on_and_no_span_is_made() {
        let trace = Trace::server("one.a.v1.A/Get", &headers(SENT));
        assert_eq!(trace.parent().to_string(), SENT);
        assert!(trace.0.span.is_none());
        trace.in_group(GROUP);
        let client = trace.run(async { Trace::client("one.b.v1.B/Get") }).await;
        assert_eq!(client.parent().to_string(), SENT);
        assert_eq!(client.group(), Some(GROUP));
        assert!(Trace::current().is_none(), "outside of a call there is none");
    }

    #[test]
    fn an_invalid_traceparent_starts_a_new_root() {
        let trace = Trace::server("one.a.v1.A/Get", &headers("00-0-0-0"));
        assert_ne!(trace.parent().trace_id(), "0".repeat(32));
        let inside = trace.within(|| Trace::current().unwrap().parent());
        assert_eq!(inside, trace.parent());
    }
}
