//! An answer that ends with a status when its time is over or its connection closes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use contract::Refusal;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::deadline::{Deadline, Wait};
use super::{decoding, refusal};

/// The body of an answer, bound to its [`Deadline`]. Dropping the handler's stream is the first thing the end does.
pub struct Writer<B> {
    body: Option<B>,
    deadline: Option<Deadline>,
    wait: Option<Wait>,
    begun: bool,
}

impl<B> Writer<B> {
    /// Ends when the deadline says so.
    pub fn new(body: B, deadline: Deadline) -> Self {
        Self { body: Some(body), deadline: Some(deadline), wait: None, begun: false }
    }

    /// Passes the body on as it is.
    pub fn through(body: B) -> Self {
        Self { body: Some(body), deadline: None, wait: None, begun: false }
    }

    /// Whether it is too late for this message. Asked before each, since a stream that is always ready never waits. A
    /// closing connection still takes the first: it may be a unary call's only one.
    fn over(&mut self) -> Option<Refusal> {
        let first = !std::mem::replace(&mut self.begun, true);
        let deadline = self.deadline.as_ref()?;
        if deadline.whole().is_some_and(|whole| whole <= Instant::now()) {
            return Some(refusal::too_late());
        }
        let cut = !first && deadline.connection().is_some_and(|connection| connection.is_cut());
        cut.then(refusal::closing)
    }

    /// What is sent instead of this frame, if anything.
    fn instead(&mut self, frame: &Frame<Bytes>) -> Option<Refusal> {
        match frame.trailers_ref() {
            Some(trailers) => decoding::ended_undecodable(trailers).then(refusal::undecodable),
            None => self.over(),
        }
    }

    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<Refusal> {
        let Some(deadline) = &self.deadline else { return Poll::Pending };
        let cut = deadline.connection().map(|connection| connection.cut());
        self.wait.get_or_insert_with(|| Wait::new(deadline.whole(), cut)).poll(context)
    }

    fn end(&mut self, refused: &Refusal) -> Frame<Bytes> {
        let mut trailers = HeaderMap::new();
        let _ = refused.status().add_header(&mut trailers);
        self.body = None;
        Frame::trailers(trailers)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Writer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let frame = this.instead(&frame).map(|refused| this.end(&refused)).unwrap_or(frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending => this.poll_wait(context).map(|refused| Some(Ok(this.end(&refused)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::convert::Infallible;

    use contract::Reason;
    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn endless() -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        StreamBody::new(stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(b"more")))))
    }

    fn deadline(text: &str) -> Deadline {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), text.parse().unwrap())]);
        Deadline::new(&headers, None, None).unwrap()
    }

    #[tokio::test]
    async fn a_stream_that_is_always_ready_ends_with_its_deadline_too() {
        for text in ["0n", "20m"] {
            let trailers = Writer::new(endless(), deadline(text)).collect().await.unwrap().trailers().cloned().unwrap();
            let status = tonic::Status::from_header_map(&trailers).unwrap();
            assert_eq!(status.code(), Reason::DeadlineExceeded.code(), "{text}");
        }
    }

    #[tokio::test]
    async fn trailers_that_are_there_are_not_replaced() {
        let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), "0".parse().unwrap())]);
        let frames = [Ok::<_, Infallible>(Frame::trailers(trailers.clone()))];
        let read = Writer::new(StreamBody::new(stream::iter(frames)), deadline("0n")).collect().await.unwrap();
        assert_eq!(read.trailers(), Some(&trailers));
    }
}
