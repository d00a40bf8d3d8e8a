//! A request's body, and what was read of it, so that it can be sent again.

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
};
use tonic::{Status, body::Body};

/// What is longer is sent once only.
const MOST: usize = 64 << 10;

/// Owns the body while it is sent.
#[derive(Clone)]
pub(super) struct Tape(Arc<Mutex<Reel>>);

struct Reel {
    body: Body,
    /// `None` once it is too long, or no longer needed.
    kept: Option<Vec<Bytes>>,
    size: usize,
    /// The caller's body failed by itself.
    failed: Option<Status>,
    /// Which [`Play`] may read; an older one belongs to an attempt that was given up.
    turn: usize,
}

impl Tape {
    /// The tape, and its first playing.
    pub(super) fn new(body: Body) -> (Self, Play) {
        let tape = Self(Arc::new(Mutex::new(Reel { body, kept: Some(Vec::new()), size: 0, failed: None, turn: 0 })));
        (tape.clone(), Play { tape, turn: 0, at: 0 })
    }

    /// The body once more from its beginning; `None` if that is no longer there. What was handed out before ends.
    pub(super) fn play(&self) -> Option<Play> {
        let mut reel = self.lock();
        reel.kept.as_ref()?;
        reel.turn += 1;
        Some(Play { tape: self.clone(), turn: reel.turn, at: 0 })
    }

    /// The caller's own error. It goes before whatever the upstream made of a body that broke off.
    pub(super) fn failed(&self) -> Option<Status> {
        self.lock().failed.take()
    }

    /// It will not be played again.
    pub(super) fn forget(&self) {
        self.lock().kept = None;
    }

    fn lock(&self) -> MutexGuard<'_, Reel> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

impl Reel {
    /// The next frame of the body that says something.
    ///
    /// tonic's clients end with an empty DATA. Passed on as one that is not the last, h2 counts it as abuse: a hundred in a connection's life,
    /// then GOAWAY for everybody.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            let empty = matches!(&frame, Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty));
            if !empty {
                return Poll::Ready(frame);
            }
        }
    }

    fn keep(&mut self, data: &Bytes) {
        self.size += data.len();
        if self.size > MOST {
            self.kept = None;
        }
        if let Some(kept) = &mut self.kept {
            kept.push(data.clone());
        }
    }
}

/// One attempt's view of the body.
pub(super) struct Play {
    tape: Tape,
    turn: usize,
    at: usize,
}

impl http_body::Body for Play {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let mut reel = this.tape.lock();
        if reel.turn != this.turn {
            return Poll::Ready(Some(Err(Status::cancelled("sent again elsewhere"))));
        }
        if let Some(data) = reel.kept.as_ref().and_then(|kept| kept.get(this.at)).cloned() {
            this.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let frame = ready!(reel.poll(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    reel.keep(data);
                    this.at += 1;
                }
            }
            Some(Err(status)) => reel.failed = Some(status.clone()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let reel = self.tape.lock();
        reel.kept.as_ref().is_none_or(|kept| self.at >= kept.len()) && reel.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};

    fn tape(frames: Vec<Result<Vec<u8>, Status>>) -> (Tape, Play) {
        let frames = frames.into_iter().map(|frame| frame.map(|data| Frame::data(Bytes::from(data))));
        Tape::new(Body::new(StreamBody::new(stream::iter(frames))))
    }

    async fn all(play: Play) -> Vec<u8> {
        play.collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn plays_again_from_the_beginning() {
        let (tape, mut first) = tape(vec![Ok(b"ab".to_vec()), Ok(b"cd".to_vec())]);
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert_eq!(all(tape.play().unwrap()).await, b"abcd");
        assert_eq!(all(tape.play().unwrap()).await, b"abcd");
        let given_up = first.frame().await.unwrap();
        assert!(given_up.is_err() && tape.failed().is_none(), "an attempt that was given up takes nothing, and is no error of the caller");
    }

    #[tokio::test]
    async fn passes_on_no_empty_frame() {
        let (_tape, mut play) = tape(vec![Ok(vec![]), Ok(b"x".to_vec()), Ok(vec![]), Ok(vec![])]);
        assert_eq!(play.frame().await.unwrap().unwrap().into_data().unwrap(), "x");
        assert!(play.frame().await.is_none());
    }

    #[tokio::test]
    async fn what_is_long_or_forgotten_is_played_once() {
        let (long, play) = tape(vec![Ok(vec![1; MOST]), Ok(vec![2]), Ok(vec![3])]);
        assert_eq!(all(play).await.len(), MOST + 2);
        assert!(long.play().is_none());
        let (forgotten, _play) = tape(vec![Ok(vec![1])]);
        forgotten.forget();
        assert!(forgotten.play().is_none());
    }

    #[tokio::test]
    async fn what_is_forgotten_while_it_plays_goes_on() {
        let (tape, mut play) = tape(vec![Ok(vec![1]), Ok(vec![2])]);
        play.frame().await.unwrap().unwrap();
        tape.forget();
        assert_eq!(all(play).await, [2]);
    }

    #[tokio::test]
    async fn the_callers_own_error_is_remembered() {
        let (tape, play) = tape(vec![Ok(vec![1]), Err(Status::resource_exhausted("too long"))]);
        assert!(play.collect().await.is_err());
        assert_eq!(tape.failed().unwrap().message(), "too long");
    }
}
