//! Whether the caller of an open stream could still open it.

use crate::{
    call::{InGroup, Known, Stands},
    callers::{Callers, in_group},
};
use chassis::changes::{Identity, LEASE, Line, unavailable};
use contract::{Method, Reason, Refusal, id::GroupId};
use futures::{FutureExt, future::BoxFuture};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep, timeout};

/// A silent stream looks so often; one that speaks, before each frame.
const AGAIN: Duration = Duration::from_millis(250);
/// A stream of which nothing is known any more is silent for so long, and then it ends.
const SILENT: Duration = Duration::from_millis(250);
/// A revoked key ends its streams within a second, whatever is heard of identity.
const _: () = assert!(LEASE.as_millis() + SILENT.as_millis() < 1_000);

/// An open stream: who opened it, where, as what.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) known: Known,
    pub(crate) asked: Option<GroupId>,
    pub(crate) method: &'static Method,
    pub(crate) acting: InGroup,
}

impl Stream {
    pub(crate) fn group(&self) -> GroupId {
        self.asked.unwrap_or(self.known.caller.home)
    }

    /// Whether whoever this is now could open it with the same rights.
    pub(crate) fn is_same(&self, now: Result<Known, Refusal>, line: Option<Arc<Line>>) -> bool {
        let Ok(now) = now else { return false };
        let acts = |acting: InGroup| (acting.acting, acting.scopes) == (self.acting.acting, self.acting.scopes);
        now.caller.has_access_of(&self.known.caller) && in_group(&now.caller, line, self.method).is_ok_and(acts)
    }
}

/// How the caller of a stream stands.
pub(crate) enum Look {
    /// As before, and that may be trusted for so long.
    Same(Duration),
    /// With other rights, or none.
    Changed,
    /// It has to be asked.
    Unknown,
}

/// Looks after one stream.
pub(crate) struct Standing<I> {
    callers: Arc<Callers<I>>,
    stream: Stream,
    state: State,
}

enum State {
    /// Nothing is under way.
    Idle,
    /// It stood when this began, and is looked at again when this ends.
    Resting(Pin<Box<Sleep>>),
    /// Identity is asked.
    Asking(BoxFuture<'static, Result<(), Refusal>>),
}

impl<I: Identity> Standing<I> {
    pub(crate) fn new(callers: Arc<Callers<I>>, stream: Stream) -> Self {
        Self { callers, stream, state: State::Idle }
    }

    /// Wakes when it has to be looked at again.
    fn rest(&mut self, left: Duration, context: &mut Context<'_>) {
        if let State::Resting(timer) = &mut self.state
            && timer.as_mut().poll(context).is_pending()
        {
            return; // also the shorter one of an earlier look does
        }
        let mut timer = Box::pin(sleep(left.min(AGAIN)));
        if timer.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        self.state = State::Resting(timer);
    }

    fn ask(&self) -> BoxFuture<'static, Result<(), Refusal>> {
        let (callers, stream) = (self.callers.clone(), self.stream.clone());
        async move {
            let answer = timeout(SILENT, callers.look_again(&stream)).await;
            if answer.unwrap_or_else(|_| Err(unavailable()))? { Ok(()) } else { Err(access_changed()) }
        }
        .boxed()
    }
}

impl<I: Identity> Stands for Standing<I> {
    fn poll_stands(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        if let State::Asking(asking) = &mut self.state {
            futures::ready!(asking.poll_unpin(context))?;
            self.state = State::Idle;
        }
        match self.callers.look(&self.stream) {
            Look::Same(left) => {
                self.rest(left, context);
                Poll::Ready(Ok(()))
            }
            Look::Changed => Poll::Ready(Err(access_changed())),
            Look::Unknown => {
                self.state = State::Asking(self.ask());
                context.waker().wake_by_ref(); // to be polled again, in turn with all that may end the stream
                Poll::Pending
            }
        }
    }
}

fn access_changed() -> Refusal {
    let sentence = "what you may see has changed; open the stream again with the last cursor";
    Refusal::new(Reason::AccessChanged, sentence).retry(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        call::Call,
        layer::{
            Authorize, Respond,
            testing::{House, call, routed},
        },
        record::Recorder,
        stack::{Answer, Layer, Next},
    };
    use bytes::Bytes;
    use futures::{FutureExt, stream};
    use http_body::{Body as _, Frame};
    use http_body_util::{BodyExt, StreamBody};
    use tonic::{Status, body::Body};

    /// A watch of the key of that house that always has a frame to send.
    async fn watch(house: &House) -> Body {
        let (recorder, _records) = Recorder::new(house.clock.clone());
        let mut call = routed(call("/one.events.v1.EventService/WatchEvents", &[]));
        call.caller = Some(house.known().await);
        let authorize = Authorize(house.callers.clone());
        struct Endless;
        impl Next for Endless {
            async fn call(&self, _: &mut Call) -> Answer {
                let frames = stream::repeat_with(|| Ok::<_, Status>(Frame::data(Bytes::from_static(b"event"))));
                Ok(http::Response::new(Body::new(StreamBody::new(frames))))
            }
        }
        struct Below<I>(Authorize<I>);
        impl<I: Identity> Next for Below<I> {
            async fn call(&self, call: &mut Call) -> Answer {
                self.0.call(call, &Endless).await
            }
        }
        Respond::new(recorder, None).call(&mut call, &Below(authorize)).await.unwrap().into_body()
    }

    /// The next frame, if it comes without waiting: the words of an event, or the code that ends the stream.
    fn frame(body: &mut Body) -> Option<String> {
        let frame = body.frame().now_or_never()?.expect("it has not ended").unwrap();
        let text = |frame: &Frame<Bytes>| frame.data_ref().map(|data| String::from_utf8_lossy(data).into_owned());
        text(&frame).or_else(|| Some(frame.trailers_ref()?["grpc-status"].to_str().unwrap().to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_passes_between_the_end_of_a_lease_and_the_answer_of_identity() {
        let house = House::new();
        let mut body = watch(&house).await;
        assert_eq!(frame(&mut body).as_deref(), Some("event"));
        house.identity.silence(true);
        house.clock.advance(LEASE - Duration::from_millis(1));
        assert_eq!(frame(&mut body).as_deref(), Some("event"));
        house.clock.advance(Duration::from_millis(1));
        assert_eq!(frame(&mut body), None, "nobody knows whether it may be seen");
        assert!(!body.is_end_stream());
        house.identity.silence(false);
        assert!(body.frame().await.unwrap().unwrap().is_data(), "it goes on as if nothing had been");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_which_nothing_is_known_ends_before_a_second_is_over() {
        let house = House::new();
        let mut body = watch(&house).await;
        assert_eq!(frame(&mut body).as_deref(), Some("event"));
        house.identity.silence(true);
        house.clock.advance(LEASE);
        let ended = tokio::time::timeout(SILENT + Duration::from_millis(2), body.frame()).await.expect("it ends in time");
        let trailers = ended.unwrap().unwrap().into_trailers().expect("not one more event");
        assert_eq!(trailers["grpc-status"], "14");
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_never_waits_ends_with_its_key() {
        let house = House::new();
        let mut body = watch(&house).await;
        house.identity.revoke();
        house.news();
        let first = body.frame().await.unwrap().unwrap();
        assert!(first.is_trailers(), "not one more event");
    }
}
