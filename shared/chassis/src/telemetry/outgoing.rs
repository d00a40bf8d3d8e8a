//! A call that is made from here, as telemetry sees it.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::{Calls, Trace, exports};

/// `rpc.client.call.duration`, where metrics are exported.
static DURATION: OnceLock<Calls> = OnceLock::new();

/// From now on calls that are made are timed.
pub(super) fn time(calls: Calls) {
    let _ = DURATION.set(calls); // telemetry starts once
}

/// Its CLIENT span and its duration, until its last byte or until nobody wants it. Dropped before, it was cancelled.
pub struct Outgoing {
    trace: Trace,
    method: &'static str,
    began: Instant,
    code: Code,
}

impl Outgoing {
    /// A call to `pkg.Service/Method`, as part of the current one. `None` where nothing is exported: a call then costs these two looks.
    #[must_use]
    pub fn begin(method: &'static str) -> Option<Self> {
        Self::wanted().then(|| Self::of(Trace::client(method), method))
    }

    /// The same for a call of that trace, for who works on it outside of its task.
    pub(crate) fn below(trace: &Trace, method: &'static str) -> Option<Self> {
        Self::wanted().then(|| Self::of(trace.clone(), method))
    }

    fn wanted() -> bool {
        exports() || DURATION.get().is_some()
    }

    fn of(trace: Trace, method: &'static str) -> Self {
        Self { trace, method, began: Instant::now(), code: Code::Cancelled }
    }

    /// Its trace, for the headers of the request.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// It has no answer but this.
    pub fn refused(mut self, code: Code) {
        self.code = code;
    }

    /// The answer, followed to its end.
    pub fn follow(mut self, answer: Response<Body>) -> Response<Body> {
        if answer.headers().contains_key(Status::GRPC_STATUS) {
            self.ended(answer.headers());
            return answer;
        }
        answer.map(|body| Body::new(Followed { body, call: Some(self) }))
    }

    fn ended(&mut self, headers: &HeaderMap) {
        self.code = headers.get(Status::GRPC_STATUS).map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.trace.ended(self.code);
        if let Some(duration) = DURATION.get() {
            duration.record(self.method, self.code, self.began.elapsed());
        }
    }
}

/// The body of an answer; its call ends with its trailers, not when somebody has read them.
struct Followed {
    body: Body,
    call: Option<Outgoing>,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(mut call) = self.call.take()
                {
                    call.ended(trailers);
                }
            }
            Poll::Ready(Some(Err(status))) => {
                if let Some(call) = self.call.take() {
                    call.refused(status.code());
                }
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
