//! The body of an answer from the network.

use super::away;
use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

/// Ends with UPSTREAM_UNAVAILABLE when the service goes away in the middle: the caller is told so, instead of seeing a stream reset.
pub(super) struct Answer {
    stream: Option<RecvStream>,
    /// What is still sent of the request; it ends with the answer.
    _rest: Option<AbortOnDropHandle<()>>,
}

impl Answer {
    pub(super) fn new(stream: RecvStream, rest: Option<AbortOnDropHandle<()>>) -> Self {
        Self { stream: Some(stream), _rest: rest }
    }

    fn broken(&mut self, error: &h2::Error) -> Frame<Bytes> {
        tracing::warn!(%error, "an upstream went away in the middle of an answer");
        self.stream = None;
        let mut trailers = HeaderMap::new();
        // Fails only for a message that is no header value; this one is.
        let _ = away().status().add_header(&mut trailers);
        Frame::trailers(trailers)
    }
}

/// The next frame; what was read of it makes room for more.
fn poll(stream: &mut RecvStream, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
    match ready!(stream.poll_data(context)) {
        Some(Ok(data)) => {
            let taken = stream.flow_control().release_capacity(data.len());
            Poll::Ready(Some(taken.map(|()| Frame::data(data))))
        }
        Some(Err(error)) => Poll::Ready(Some(Err(error))),
        None => stream.poll_trailers(context).map(|trailers| trailers.map(|trailers| trailers.map(Frame::trailers)).transpose()),
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        match ready!(poll(stream, context)) {
            Some(Err(error)) => Poll::Ready(Some(Ok(self.broken(&error)))),
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
