//! The body of an answer from the network.

use super::away;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::Status;

/// Ends with UPSTREAM_UNAVAILABLE when the service goes away in the middle: the caller is told so, instead of seeing a stream reset.
pub(super) struct Answer(Option<Incoming>);

impl Answer {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self(Some(incoming))
    }

    fn broken(&mut self, error: &hyper::Error) -> Frame<Bytes> {
        tracing::warn!(%error, "an upstream went away in the middle of an answer");
        self.0 = None;
        let mut trailers = HeaderMap::new();
        // Fails only for a message that is no header value; this one is.
        let _ = away().status().add_header(&mut trailers);
        Frame::trailers(trailers)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(incoming) = &mut self.0 else { return Poll::Ready(None) };
        match ready!(Pin::new(incoming).poll_frame(context)) {
            Some(Err(error)) => Poll::Ready(Some(Ok(self.broken(&error)))),
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
