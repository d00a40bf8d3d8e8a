//! The body of a streamed answer.

use super::{call::Call, mend, panics};
use crate::serve::{Deadline, Writer};
use bytes::Bytes;
use contract::Refusal;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{Status, body::Body};

/// Ends in time, survives a panic of what it streams, says why it ended, and tells telemetry. Polled by hand, one box for all.
pub(super) struct Stream {
    body: Option<Writer<Body>>,
    call: Call,
}

impl Stream {
    pub(super) fn new(body: Body, deadline: Deadline, call: Call) -> Self {
        Self { body: Some(Writer::new(body, deadline)), call }
    }

    /// The last frame. What the handler left is dropped now, not when the client has read the end.
    fn ends(&mut self, mut trailers: HeaderMap) -> Frame<Bytes> {
        self.body = None;
        mend::trailers(&mut trailers);
        self.call.ended(&trailers);
        Frame::trailers(trailers)
    }
}

fn trailers_of(refusal: &Refusal) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // Fails only for a message that is no header value; it is percent-encoded.
    let _ = refusal.status().add_header(&mut trailers);
    trailers
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let polled = this.call.within(|| panics::catching(|| Pin::new(body).poll_frame(context)));
        let frame = match polled {
            Err(refusal) => this.ends(trailers_of(&refusal)),
            Ok(polled) => match ready!(polled) {
                Some(Ok(frame)) => frame.into_trailers().map_or_else(|frame| frame, |trailers| this.ends(trailers)),
                other => return Poll::Ready(other),
            },
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
