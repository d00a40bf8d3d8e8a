//! The body of every answer, until its end.

use crate::{call::Ends, record::Entry};
use bytes::Bytes;
use chassis::telemetry::{Calls, OTHER, Trace};
use contract::{Reason, Refusal};
use futures::FutureExt;
use http::{HeaderMap, HeaderName};
use http_body::{Body as _, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::{Sleep, sleep_until};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;

/// What the call cost beyond its policy; ours alone, so it goes no further.
const COST: HeaderName = HeaderName::from_static("x-cost");
/// So many frames in a row without a look at what may end it: a stream that is always ready must end too.
const BURST: u8 = 32;

/// Passes frames on, ends early when a layer says so, charges what the call cost, and writes it down when it is over or dropped.
pub(crate) struct Tail {
    body: Option<Body>,
    ends: Ends,
    timer: Option<Pin<Box<Sleep>>>,
    ready: u8,
    /// Taken when it is written.
    entry: Option<Entry>,
    trace: Option<Trace>,
    calls: Option<Calls>,
}

impl Tail {
    pub(crate) fn new(body: Body, ends: Ends, entry: Entry, trace: Option<Trace>, calls: Option<Calls>) -> Self {
        Self { body: Some(body), ends, timer: None, ready: 0, entry: Some(entry), trace, calls }
    }

    /// The first of what may end the answer early. Asked when the body waits, so that an answer that is there takes no timer.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Refusal> {
        if let Some(late) = self.ends.late {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(late)));
            if timer.poll_unpin(context).is_ready() {
                return Poll::Ready(too_late());
            }
        }
        let ended = self.ends.until.iter_mut().find_map(|until| match until.poll_unpin(context) {
            Poll::Ready(refusal) => Some(refusal),
            Poll::Pending => None,
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    }

    /// Before each frame, so that none passes once its caller may not be trusted any more; whoever is slow to find out is silent meanwhile.
    fn poll_standing(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.ends.standing.as_mut().map_or(Poll::Ready(Ok(())), |standing| standing.poll_stands(context))
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match &self.trace {
            Some(trace) => trace.within(|| Pin::new(body).poll_frame(context)),
            None => Pin::new(body).poll_frame(context),
        }
    }

    /// Drops the handler's stream first.
    fn end(&mut self, refusal: &Refusal) -> Frame<Bytes> {
        self.body = None;
        if let Some(entry) = &mut self.entry {
            entry.ends(refusal.code(), Some(refusal.reason()));
        }
        let mut trailers = HeaderMap::new();
        // Fails only for a message that is no header value; it is percent-encoded.
        let _ = refusal.status().add_header(&mut trailers);
        Frame::trailers(trailers)
    }

    fn pass(&mut self, frame: &mut Frame<Bytes>) {
        let Some(entry) = &mut self.entry else { return };
        if let Some(data) = frame.data_ref() {
            entry.wrote(data.len());
        }
        let Some(trailers) = frame.trailers_mut() else { return };
        let (code, reason) = outcome(trailers);
        entry.ends(code, reason);
        let cost = trailers.remove(COST).and_then(|cost| cost.to_str().ok()?.parse().ok());
        entry.costs(cost.unwrap_or_default());
        if let (Some(cost), Some((limiter, windows))) = (cost, &self.ends.charge) {
            limiter.charge(windows, cost);
        }
    }
}

/// How an answer ended, by its trailers or, without a body, its headers. The reason is looked for only where something was refused.
pub(crate) fn outcome(trailers: &HeaderMap) -> (Code, Option<Reason>) {
    let code = trailers.get(Status::GRPC_STATUS).map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
    if code == Code::Ok {
        return (code, None);
    }
    let info = Status::from_header_map(trailers).and_then(|status| status.get_details_error_info());
    (code, info.and_then(|info| Reason::parse(&info.reason)))
}

/// The deadline has passed.
pub(crate) fn too_late() -> Refusal {
    Refusal::new(Reason::DeadlineExceeded, "the call took longer than its deadline allows")
}

impl http_body::Body for Tail {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.body.is_none() {
            return Poll::Ready(None);
        }
        if this.ready >= BURST {
            this.ready = 0;
            if let Poll::Ready(refusal) = this.poll_end(context) {
                return Poll::Ready(Some(Ok(this.end(&refusal))));
            }
        }
        match this.poll_standing(context) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(refusal)) => return Poll::Ready(Some(Ok(this.end(&refusal)))),
            Poll::Pending => return this.poll_end(context).map(|refusal| Some(Ok(this.end(&refusal)))),
        }
        match this.poll_body(context) {
            Poll::Ready(frame) => {
                this.ready += 1;
                Poll::Ready(frame.map(|frame| {
                    frame.map(|mut frame| {
                        this.pass(&mut frame);
                        frame
                    })
                }))
            }
            Poll::Pending => this.poll_end(context).map(|refusal| Some(Ok(this.end(&refusal)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.size_hint())
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        let (method, code, took) = entry.finish();
        if let Some(trace) = &self.trace {
            trace.ended(code);
        }
        if let Some(calls) = &self.calls {
            calls.record(method.map_or(OTHER, |method| &method.path[1..]), code, took);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{layer::testing::call, record::Recorder};
    use chassis::clock::Clock;
    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};
    use tokio::time::Instant;

    /// How many frames pass of a body that never waits, and what ends it.
    async fn endless(ends: Ends) -> (u8, (Code, Option<Reason>)) {
        let (recorder, _records) = Recorder::new(Clock::system());
        let body = StreamBody::new(stream::repeat_with(|| Ok::<_, Status>(Frame::data(Bytes::from_static(b"more")))));
        let mut tail = Tail::new(Body::new(body), ends, Entry::new(&call("/x", &[]), &recorder), None, None);
        for passed in 0..=u8::MAX {
            if let Ok(trailers) = tail.frame().await.unwrap().unwrap().into_trailers() {
                assert!(tail.frame().await.is_none());
                return (passed, outcome(&trailers));
            }
        }
        panic!("it goes on for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_waits_is_looked_at_all_the_same() {
        let late = Ends { late: Some(Instant::now()), ..Ends::default() };
        assert_eq!(endless(late).await, (BURST, (Code::DeadlineExceeded, Some(Reason::DeadlineExceeded))));
        let refused = async { Refusal::new(Reason::ShuttingDown, "the server ends this connection") };
        let until = Ends { until: vec![refused.boxed()], ..Ends::default() };
        assert_eq!(endless(until).await, (BURST, (Code::Unavailable, Some(Reason::ShuttingDown))));
    }
}
