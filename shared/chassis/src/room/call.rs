//! What telemetry keeps of one call.

use crate::telemetry::{Calls, OTHER, Trace, exports};
use contract::Method;
use http::HeaderMap;
use std::time::Instant;
use tonic::{Code, Status};

/// Tells telemetry of the call's end when it is dropped: a stream's body keeps it.
pub(super) struct Call {
    /// `None` in the process of the gateway, whose trace this task is in already; but a span of its own is wanted where spans are exported.
    pub(super) trace: Option<Trace>,
    timed: Option<Timed>,
    code: Code,
}

struct Timed {
    calls: Calls,
    method: &'static str,
    began: Instant,
}

impl Call {
    pub(super) fn begin(method: Option<&'static Method>, headers: &HeaderMap, calls: Option<&Calls>) -> Self {
        let method = method.map_or(OTHER, |method| &method.path[1..]);
        let own = exports() || !Trace::is_current();
        Self {
            trace: own.then(|| Trace::server(method, headers)),
            timed: calls.map(|calls| Timed { calls: calls.clone(), method, began: Instant::now() }),
            // Until an answer says otherwise: whoever goes away before leaves no other trace.
            code: Code::Cancelled,
        }
    }

    /// The head or the trailers of the answer, whichever ends it. No status is a good one.
    pub(super) fn ended(&mut self, headers: &HeaderMap) {
        self.code = headers.get(Status::GRPC_STATUS).map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    }

    pub(super) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.trace {
            Some(trace) => trace.within(work),
            None => work(),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(trace) = &self.trace {
            trace.ended(self.code);
        }
        if let Some(timed) = &self.timed {
            timed.calls.record(timed.method, self.code, timed.began.elapsed());
        }
    }
}
