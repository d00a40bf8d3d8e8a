//! The body of a request, which nobody hangs up on while an honest client still sends it.
//!
//! A call that is refused by its head is answered before its message is there. hyper then resets the stream, the message meets a stream that
//! is closed, and h2 counts that as the peer's error: 1,024 of them end the connection, and with it the calls that were not refused
//! (measured, 22 November 2026: a client above its rate limit, after 1,726 calls).
//!
//! Who keeps to its window can have sent a mebibyte of it, for nobody asks for more. Who heeds neither window nor reset is not ended: h2 drops
//! what comes, nothing is kept, and a new call for each mebibyte, within every rule, would carry as much.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// So much more is taken of what nobody reads, and for so long. Less than half a stream's window, so that who sends much is not told to go on.
const MOST: usize = 64 << 10;
const WAIT: Duration = Duration::from_secs(1);

/// hyper's own body. Dropped before its end it is read on, within bounds.
pub struct Incoming {
    body: Option<body::Incoming>,
    /// Nothing is to come, or it is another's to care.
    done: bool,
}

impl Incoming {
    /// HTTP/1 has one request at a time, and hyper sees to the rest of it.
    pub(super) fn of(request: Request<body::Incoming>) -> Request<Self> {
        let done = request.version() != Version::HTTP_2;
        request.map(|body| Self { body: Some(body), done })
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        self.done |= !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.done || self.is_end_stream() {
            return; // the usual
        }
        if let (Some(body), Ok(runtime)) = (self.body.take(), Handle::try_current()) {
            runtime.spawn(timeout(WAIT, rest(body)));
        }
    }
}

async fn rest(mut body: body::Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MOST {
            return;
        }
    }
}
