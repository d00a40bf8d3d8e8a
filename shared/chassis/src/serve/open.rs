//! Which requests of a connection are still open: begun, and not answered to the last byte.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep};

use super::connection::Connection;

/// Counts the open requests, and remembers when the last one closed.
#[derive(Debug)]
pub(super) struct Open {
    count: AtomicUsize,
    began: Instant,
    /// Nanoseconds after `began`.
    closed: AtomicU64,
}

impl Open {
    pub(super) fn new() -> Self {
        Self { count: AtomicUsize::new(0), began: Instant::now(), closed: AtomicU64::new(0) }
    }

    pub(super) fn none(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    /// Ready when no request has been open for `limit` from now.
    pub(super) async fn idle(&self, limit: Duration) {
        let asked = Instant::now();
        loop {
            let quiet = if self.none() { self.since().max(asked).elapsed() } else { Duration::ZERO };
            if quiet >= limit {
                return;
            }
            sleep(limit - quiet).await;
        }
    }

    /// When the last one closed; asked after the count, as [`Open::close`] writes it before.
    fn since(&self) -> Instant {
        self.began + Duration::from_nanos(self.closed.load(SeqCst))
    }

    fn close(&self) {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.closed.store(now, SeqCst);
        self.count.fetch_sub(1, SeqCst);
    }
}

/// One open request; dropping it closes it.
pub(super) struct Request(Arc<Connection>);

impl Request {
    pub(super) fn begin(connection: Arc<Connection>) -> Self {
        connection.open.count.fetch_add(1, SeqCst);
        Self(connection)
    }

    /// The answer's body, which keeps the request open as long as it lives.
    pub(super) fn hold<B>(self, body: B) -> Held<B> {
        Held { body, _request: self }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.open.close();
    }
}

/// A body that keeps its request open.
pub(super) struct Held<B> {
    body: B,
    _request: Request,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Held<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
