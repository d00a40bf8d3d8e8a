//! A socket that tells whether its peer has said enough to be taken for a client.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

/// An HTTP/2 preface (24 bytes) and the frame head of its SETTINGS (9).
const ENOUGH: usize = 33;

/// How many bytes came in; shared with the [`Counted`] socket.
#[derive(Clone, Default)]
pub(super) struct Received(Arc<AtomicUsize>);

impl Received {
    pub(super) fn enough(&self) -> bool {
        self.0.load(Relaxed) >= ENOUGH
    }
}

/// Counts what it reads until it is enough.
pub(super) struct Counted<I> {
    io: I,
    received: Received,
    enough: bool,
}

impl<I> Counted<I> {
    pub(super) fn new(io: I, received: Received) -> Self {
        Self { io, received, enough: false }
    }
}

impl<I: Read + Unpin> Read for Counted<I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<Result<()>> {
        if self.enough {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        self.counted_read(context, &mut buffer)
    }
}

impl<I: Read + Unpin> Counted<I> {
    /// Reads only the next few bytes, since the cursor doesn't tell how many it was given.
    fn counted_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBufCursor<'_>) -> Poll<Result<()>> {
        let mut few = [0; ENOUGH];
        let most = ENOUGH.min(buffer.remaining());
        let mut read = hyper::rt::ReadBuf::new(&mut few[..most]);
        let result = Pin::new(&mut self.io).poll_read(context, read.unfilled());
        let filled = read.filled();
        buffer.put_slice(filled);
        self.enough = self.received.0.fetch_add(filled.len(), Relaxed) + filled.len() >= ENOUGH;
        result
    }
}

impl<I: Write + Unpin> Write for Counted<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }
}
