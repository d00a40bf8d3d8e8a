//! The message first: whoever sends it slowly, or not at all, waits without a place that another could use.

use crate::{
    call::{Call, Inbound},
    stack::{Answer, Layer, Next},
};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    task::{Context, Poll},
};
use tonic::{Status, body::Body};

/// So many bytes of a message are enough to go on. What waits in line is then less than what its connection's window lets anybody send, and
/// who stops in the middle has paid for the place.
const ENOUGH: usize = 64 << 10;

/// The layer. A call whose messages follow one another for as long as it likes passes it at once.
pub struct Receive;

impl Layer for Receive {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        if call.route().target.is_upstream() && !call.method().client_streaming {
            let body = mem::take(call.request.body_mut()).into_body();
            *call.request.body_mut() = Inbound::Boxed(Body::new(receive(body).await));
        }
        next.call(call).await
    }
}

async fn receive(mut rest: Body) -> Received {
    let (mut came, mut bytes) = (VecDeque::with_capacity(1), 0);
    while bytes < ENOUGH && !rest.is_end_stream() {
        let Some(frame) = rest.frame().await else { break };
        bytes += frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
        let broken = frame.is_err();
        came.push_back(frame);
        if broken {
            break; // the service says so, as it does of what breaks later
        }
    }
    Received { came, rest }
}

/// A body of which the beginning is here.
struct Received {
    came: VecDeque<Result<Frame<Bytes>, Status>>,
    rest: Body,
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.came.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.came.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.came.is_empty() { self.rest.size_hint() } else { SizeHint::default() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::{call, ok, routed};
    use futures::{FutureExt, channel::mpsc};
    use http_body_util::StreamBody;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    const GET: &str = "/one.ontology.v1.ThingService/GetThing";

    type Sends = mpsc::UnboundedSender<Result<Frame<Bytes>, Status>>;

    /// A call whose body comes as it is sent.
    fn sending(path: &str) -> (Sends, Call) {
        let (sends, frames) = mpsc::unbounded();
        let mut call = routed(call(path, &[]));
        *call.request.body_mut() = Inbound::Boxed(Body::new(StreamBody::new(frames)));
        (sends, call)
    }

    fn data(bytes: usize) -> Result<Frame<Bytes>, Status> {
        Ok(Frame::data(vec![7; bytes].into()))
    }

    /// Whether the call goes on when so much has come.
    fn goes_on(path: &str, frames: impl IntoIterator<Item = Result<Frame<Bytes>, Status>>, ended: bool) -> bool {
        let (sends, mut call) = sending(path);
        frames.into_iter().for_each(|frame| sends.unbounded_send(frame).unwrap());
        if ended {
            sends.close_channel();
        }
        let begun = AtomicBool::new(false);
        let next = |_: &mut Call| {
            begun.store(true, SeqCst);
            ok()
        };
        let answered = Receive.call(&mut call, &next).now_or_never();
        assert_eq!(answered.is_some(), begun.load(SeqCst));
        begun.into_inner()
    }

    #[test]
    fn a_call_goes_on_with_its_message_or_enough_of_it() {
        assert!(goes_on(GET, [data(5)], true));
        assert!(goes_on(GET, [], true));
        assert!(goes_on(GET, [data(ENOUGH)], false));
        assert!(goes_on(GET, [data(1), Err(Status::cancelled(""))], false), "to be refused");
        for frames in [vec![], vec![data(5)], vec![data(ENOUGH - 2), data(1)]] {
            assert!(!goes_on(GET, frames, false));
        }
        assert!(goes_on("/grpc.health.v1.Health/Check", [], false), "for whom nobody waits in line");
    }

    #[tokio::test]
    async fn nothing_of_it_is_lost_or_changed() {
        let (sends, mut call) = sending(GET);
        for bytes in [ENOUGH, 2, 3] {
            sends.unbounded_send(data(bytes)).unwrap();
        }
        sends.unbounded_send(Err(Status::data_loss("the end"))).unwrap();
        Receive.call(&mut call, &|_: &mut Call| ok()).await.unwrap();
        let mut body = mem::take(call.request.body_mut()).into_body();
        for bytes in [ENOUGH, 2, 3] {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), vec![7; bytes]);
        }
        assert_eq!(body.frame().await.unwrap().unwrap_err().message(), "the end");
        sends.close_channel();
        assert!(body.frame().await.is_none());
    }
}
