//! Request messages may be neither too long nor too slow, nor may we hold too many half-received ones.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use contract::Refusal;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{BoxError, Limits, refusal};

/// Bytes a second: an honest but slow upload of 4 MiB may take 266 s; one byte a second gains nothing.
const LEAST_RATE: u64 = 16 << 10;
/// What is longer counts as held until it is used, and not only until it is whole: who reads it may wait with it in line.
const LONG: usize = 64 << 10;
/// Flag and length before each message.
const HEAD: usize = 5;

/// The rules for request bodies of one listener, and what all of them hold now. Clones share it.
#[derive(Clone, Debug)]
pub struct Messages {
    longest: u32,
    wait: Duration,
    budget: usize,
    held: Arc<AtomicUsize>,
}

impl Messages {
    /// By `message`, `message_read` and `receiving` of the limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self { longest: limits.message, wait: limits.message_read, budget: limits.receiving, held: Arc::default() }
    }

    /// A body of gRPC messages.
    pub fn guard<B>(&self, body: B) -> Guarded<B> {
        self.guarded(body, true)
    }

    /// A body that is one message without a head, as REST has it.
    pub fn guard_whole<B>(&self, body: B) -> Guarded<B> {
        self.guarded(body, false)
    }

    fn guarded<B>(&self, body: B, framed: bool) -> Guarded<B> {
        let (head, filled, left, first, received, whole, held) = ([0; HEAD], 0, 0, true, 0, 0, 0);
        let arrival = Arrival { waited: Duration::ZERO, since: None, timer: None };
        Guarded { body, rules: self.clone(), framed, head, filled, left, first, received, whole, held, arrival }
    }
}

/// A request body that keeps the rules. It passes on what it reads; the first broken rule ends it with a [`Status`](tonic::Status).
///
/// Only waiting for the peer counts as slow. Between two messages a stream may be silent (PINGs are watched).
pub struct Guarded<B> {
    body: B,
    rules: Messages,
    framed: bool,
    head: [u8; HEAD],
    /// Bytes of the head that are there.
    filled: usize,
    /// Bytes of the message that are not.
    left: usize,
    /// Still the first message, which must come in time from the start.
    first: bool,
    /// Bytes of the present message.
    received: usize,
    /// Bytes of the one before, if it was long.
    whole: usize,
    /// What of both is in `rules.held`.
    held: usize,
    arrival: Arrival,
}

/// How long the present message has been waited for. A timer is only made when one waits.
struct Arrival {
    waited: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Arrival {
    /// Ready when it has been waited for longer than `allowed`.
    fn poll_late(&mut self, allowed: Duration, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let late = since + allowed.saturating_sub(self.waited);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(late)));
        timer.as_mut().poll(context)
    }

    fn arrived(&mut self) {
        self.timer = None;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }
}

impl<B> Guarded<B> {
    /// A message is on its way, or must be.
    fn is_due(&self) -> bool {
        self.first || self.filled > 0
    }

    fn allowed(&self) -> Duration {
        self.rules.wait + Duration::from_secs(self.received as u64 / LEAST_RATE)
    }

    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Refusal> {
        if !self.is_due() {
            return Poll::Pending;
        }
        let allowed = self.allowed();
        self.arrival.poll_late(allowed, context).map(|()| refusal::too_slow())
    }

    /// Follows where in which message the peer is.
    fn follow(&mut self, mut data: &[u8]) -> Result<(), Refusal> {
        self.received += data.len();
        while self.framed && !data.is_empty() {
            data = self.follow_head(data)?;
            if self.filled < HEAD {
                break;
            }
            let part = data.len().min(self.left);
            (self.left, data) = (self.left - part, &data[part..]);
            if self.left == 0 {
                self.whole = Some(self.received - data.len()).filter(|bytes| *bytes > LONG).unwrap_or(0);
                (self.filled, self.first, self.received, self.arrival.waited) = (0, false, data.len(), Duration::ZERO);
            }
        }
        self.hold(if self.framed { self.received + self.whole } else { 0 })
    }

    fn follow_head<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], Refusal> {
        if self.filled == HEAD {
            return Ok(data);
        }
        let (part, rest) = data.split_at(data.len().min(HEAD - self.filled));
        self.head[self.filled..][..part.len()].copy_from_slice(part);
        self.filled += part.len();
        if self.filled == HEAD {
            let [_, length @ ..] = self.head;
            self.begin(u32::from_be_bytes(length))?;
        }
        Ok(rest)
    }

    fn begin(&mut self, length: u32) -> Result<(), Refusal> {
        if length > self.rules.longest {
            return Err(refusal::too_long(length, self.rules.longest));
        }
        (self.left, self.whole) = (length as usize, 0);
        Ok(())
    }

    /// What is buffered of a half-received message: 100 streams of 4 MiB are 400 MiB from one connection.
    fn hold(&mut self, now: usize) -> Result<(), Refusal> {
        let before = std::mem::replace(&mut self.held, now);
        if now == before {
            return Ok(()); // the usual: a message in one frame
        }
        let all = self.rules.held.fetch_add(now.wrapping_sub(before), Relaxed); // wraps, so it subtracts too
        if now > before && all > self.rules.budget { Err(refusal::too_much()) } else { Ok(()) }
    }
}

impl<B> Drop for Guarded<B> {
    fn drop(&mut self) {
        let _ = self.hold(0);
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Guarded<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            return this.poll_late(context).map(|refused| Some(Err(refused.status().into())));
        };
        this.arrival.arrived();
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.follow(data).map_err(|refused| refused.status())?;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};
    use tonic::Code;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        [&[0][..], &u32::try_from(length).unwrap().to_be_bytes(), &vec![7; length]].concat()
    }

    fn in_pieces(bytes: &[u8], size: usize) -> impl Body<Data = Bytes, Error = Infallible> + Unpin + use<> {
        let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        StreamBody::new(stream::iter(pieces))
    }

    async fn read(guarded: Guarded<impl Body<Data = Bytes, Error = Infallible> + Unpin>) -> Result<Bytes, Code> {
        let read = guarded.collect().await.map_err(|error| error.downcast::<tonic::Status>().unwrap().code());
        Ok(read?.to_bytes())
    }

    #[tokio::test]
    async fn messages_pass_unchanged_however_they_are_cut() {
        let messages = Messages::new(&Limits { message: 20, ..Limits::public() });
        let bytes = [message(0), message(20), message(3), message(0)].concat();
        for size in 1..=bytes.len() {
            assert_eq!(read(messages.guard(in_pieces(&bytes, size))).await.unwrap(), bytes, "in pieces of {size}");
            assert_eq!(messages.held.load(Relaxed), 0, "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn a_long_message_is_held_until_the_next_one_or_the_end() {
        let messages = Messages::new(&Limits { receiving: 2 * LONG, ..Limits::public() });
        let long = message(LONG);
        let bytes = [&long[..], &message(3), &long].concat();
        let mut body = messages.guard(in_pieces(&bytes, long.len()));
        for held in [long.len(), long.len() - message(3).len(), long.len()] {
            assert!(body.frame().await.unwrap().is_ok());
            assert_eq!(messages.held.load(Relaxed), held);
        }
        let mut other = messages.guard(in_pieces(&long, LONG));
        assert!(other.frame().await.unwrap().is_ok());
        assert!(messages.guard(in_pieces(&long, 100)).frame().await.unwrap().is_err(), "there is no room for a third");
        drop((body, other));
        assert_eq!(messages.held.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn a_later_message_that_is_too_long_is_found_however_it_is_cut() {
        let messages = Messages::new(&Limits { message: 20, ..Limits::public() });
        let bytes = [message(20), message(21)].concat();
        for size in 1..=bytes.len() {
            assert_eq!(read(messages.guard(in_pieces(&bytes, size))).await, Err(Code::ResourceExhausted), "in pieces of {size}");
        }
        assert_eq!(read(messages.guard_whole(in_pieces(&bytes, 9))).await.unwrap(), bytes, "a whole body has no heads");
        assert_eq!(messages.held.load(Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_message_that_is_due_is_waited_for() {
        let messages = Messages::new(&Limits { message_read: Duration::from_secs(1), ..Limits::public() });
        let silent = |bytes: Vec<u8>| StreamBody::new(futures::StreamExt::chain(stream::iter([Ok(Frame::data(bytes.into()))]), stream::pending()));
        assert_eq!(read(messages.guard(silent(message(3)[..7].to_vec()))).await, Err(Code::DeadlineExceeded));
        let between = read(messages.guard(silent(message(3))));
        assert!(tokio::time::timeout(Duration::from_secs(3_600), between).await.is_err(), "between two messages it may be silent");
    }
}
