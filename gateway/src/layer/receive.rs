//! The whole message first: whoever sends it slowly, or not at all, waits without a place that another could use.

use crate::{
    call::{Call, Inbound},
    stack::{Answer, Layer, Next},
};
use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};
use tonic::{Status, body::Body};

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

/// What has come is bounded by what its [`Messages`](chassis::serve::Messages) let in, for each and for all.
async fn receive(mut rest: Body) -> Received {
    let (mut first, mut all, mut last, mut ended) = (Bytes::new(), BytesMut::new(), None, rest.is_end_stream());
    while !ended && last.is_none() {
        match rest.frame().await.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) if first.is_empty() => first = data,
            Some(Ok(Ok(data))) => {
                if all.is_empty() {
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&data); // frames of a byte would be a hundred each
            }
            Some(Ok(Err(trailers))) => last = Some(Ok(trailers)),
            Some(Err(status)) => last = Some(Err(status)), // the service says so, as it does of what breaks later
            None => ended = true,
        }
        ended |= rest.is_end_stream();
    }
    Received { came: if all.is_empty() { first } else { all.freeze() }, last, _read: rest }
}

/// A body that is here.
struct Received {
    came: Bytes,
    /// Its trailers, or what broke it.
    last: Option<Result<Frame<Bytes>, Status>>,
    /// As long as this is held, so are its bytes accounted for.
    _read: Body,
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.came.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut self.came)))));
        }
        Poll::Ready(self.last.take())
    }

    fn is_end_stream(&self) -> bool {
        self.came.is_empty() && self.last.is_none()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::testing::{call, ok, routed};
    use futures::{FutureExt, channel::mpsc};
    use http::{HeaderMap, header};
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
    fn a_call_goes_on_with_its_whole_message() {
        assert!(goes_on(GET, [data(5)], true));
        assert!(goes_on(GET, [], true));
        assert!(goes_on(GET, [data(1), Err(Status::cancelled(""))], false), "to be refused");
        for frames in [vec![], vec![data(5)], vec![data(70 << 10), data(1)]] {
            assert!(!goes_on(GET, frames, false));
        }
        assert!(goes_on("/grpc.health.v1.Health/Check", [], false), "for whom nobody waits in line");
    }

    /// What goes on of such a body: the sizes of its frames, its trailers, and what broke it.
    async fn passed(frames: &[Result<Frame<Bytes>, Status>]) -> (Vec<usize>, Option<HeaderMap>, Option<String>) {
        let (sends, mut call) = sending(GET);
        for frame in frames {
            sends.unbounded_send(frame.as_ref().map(again).map_err(Clone::clone)).unwrap();
        }
        sends.close_channel();
        Receive.call(&mut call, &|_: &mut Call| ok()).await.unwrap();
        let mut body = mem::take(call.request.body_mut()).into_body();
        let (mut sizes, mut trailers, mut broken) = (Vec::new(), None, None);
        while let Some(frame) = body.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => {
                    assert!(data.iter().all(|byte| *byte == 7));
                    sizes.push(data.len());
                }
                Ok(Err(frame)) => trailers = Some(frame.into_trailers().unwrap()),
                Err(status) => broken = Some(status.message().to_owned()),
            }
        }
        assert!(body.frame().await.is_none(), "it stays at its end");
        (sizes, trailers, broken)
    }

    fn again(frame: &Frame<Bytes>) -> Frame<Bytes> {
        frame.data_ref().map_or_else(|| Frame::trailers(frame.trailers_ref().unwrap().clone()), |data| Frame::data(data.clone()))
    }

    #[tokio::test]
    async fn nothing_of_it_is_lost_or_changed() {
        let trailers = HeaderMap::from_iter([(header::TE, "a".parse().unwrap())]);
        let ends = Ok(Frame::trailers(trailers.clone()));
        let breaks = || Err(Status::data_loss("the end"));
        assert_eq!(passed(&[]).await, (vec![], None, None));
        assert_eq!(passed(&[data(5), ends]).await, (vec![5], Some(trailers), None));
        assert_eq!(passed(&[data(0), data(1), data(0), data(2), data(3)]).await, (vec![6], None, None), "many are one");
        assert_eq!(passed(&[data(70 << 10), data(2), breaks(), data(3)]).await, (vec![(70 << 10) + 2], None, Some("the end".to_owned())));
        assert_eq!(passed(&[data(1), breaks()]).await, (vec![1], None, Some("the end".to_owned())));
    }

    #[tokio::test]
    async fn what_came_is_accounted_for_until_it_is_used() {
        let (sends, mut call) = sending(GET);
        sends.unbounded_send(Ok(Frame::trailers(HeaderMap::new()))).unwrap();
        Receive.call(&mut call, &|_: &mut Call| ok()).await.unwrap();
        assert!(!sends.is_closed());
        drop(call);
        assert!(sends.is_closed());
    }
}
