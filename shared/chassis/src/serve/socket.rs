//! A socket that knows what its peer has said: whether it is a client at all, and whether it floods us.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::backpressure::{Backpressure, Reader};
use super::frames::Frames;

/// An HTTP/2 preface (24 bytes) and the frame head of its SETTINGS (9).
const ENOUGH: usize = 33;

/// GOAWAY with ENHANCE_YOUR_CALM. Any stream may have been worked on, so the last one is the highest there is.
const GO_AWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 11];

/// How many bytes came in before it was enough; shared with the [`Socket`].
#[derive(Clone, Default)]
pub(super) struct Received(Arc<AtomicUsize>);

impl Received {
    pub(super) fn enough(&self) -> bool {
        self.0.load(Relaxed) >= ENOUGH
    }
}

/// Follows what it reads, and ends a flood with GOAWAY.
pub(super) struct Socket<I> {
    io: I,
    reader: Reader,
    received: Received,
    enough: bool,
    frames: Frames,
    /// The last write was not taken: there may be half a frame on the way.
    stuck: bool,
}

impl<I: AsyncWrite + Unpin> Socket<I> {
    pub(super) fn new(io: I, received: Received, control: Option<u32>, backpressure: Backpressure) -> Self {
        Self { io, reader: Reader::new(backpressure), received, enough: false, frames: Frames::new(control), stuck: false }
    }

    fn came(&mut self, bytes: usize) {
        if !self.enough {
            self.enough = self.received.0.fetch_add(bytes, Relaxed) + bytes >= ENOUGH;
        }
    }

    /// h2 has written all it had when it reads, unless the peer does not take it; who does not read needs no farewell.
    fn dismiss(&mut self, context: &mut Context<'_>) {
        if !self.stuck {
            let _ = Pin::new(&mut self.io).poll_write(context, &GO_AWAY);
        }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.stuck = written.is_pending();
        if let Poll::Ready(Ok(bytes)) = written {
            self.frames.wrote(bytes);
        }
        written
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(this.reader.poll_read(&mut this.io, context, buffer))?;
        let fresh = &buffer.filled()[before..];
        this.came(fresh.len());
        if let Err(flood) = this.frames.follow(fresh) {
            this.dismiss(context);
            return Poll::Ready(Err(io::Error::other(flood)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Socket<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.wrote(written)
    }
}
