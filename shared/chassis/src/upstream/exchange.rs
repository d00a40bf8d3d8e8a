//! One call on a connection: the request's body goes out while the answer is waited for, in the caller's own task.

use super::{answer::Answer, tape::Play};
use bytes::Bytes;
use futures::FutureExt;
use h2::{
    Reason, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{Request, Response, request::Parts};
use http_body::Body as _;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio_util::task::AbortOnDropHandle;

/// Ends with the answer's head. Dropped before, it resets the stream.
pub(super) struct Exchange {
    answer: ResponseFuture,
    sending: Option<Sending>,
}

impl Exchange {
    /// # Errors
    /// The connection takes no more: nothing was sent.
    pub(super) fn begin(mut requests: SendRequest<Bytes>, head: Parts, body: Play) -> Result<Self, h2::Error> {
        let (answer, stream) = requests.send_request(Request::from_parts(head, ()), false)?;
        Ok(Self { answer, sending: Some(Sending { stream, body, next: None, begun: false }) })
    }
}

impl Future for Exchange {
    type Output = Result<Response<Answer>, h2::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.sending.as_mut().is_some_and(|sending| sending.poll_unpin(context).is_ready()) {
            self.sending = None;
        }
        let answer = ready!(self.answer.poll_unpin(context))?;
        // A client's stream goes on after the answer has begun, whether or not that is read.
        let rest = self.sending.take().map(|sending| AbortOnDropHandle::new(tokio::spawn(sending)));
        Poll::Ready(Ok(answer.map(|stream| Answer::new(stream, rest))))
    }
}

/// The request's body on its way.
struct Sending {
    stream: SendStream<Bytes>,
    body: Play,
    /// Held back until it is known whether it is the last: a unary call's message and its end are then one frame.
    next: Option<Bytes>,
    begun: bool,
}

impl Sending {
    /// Ready when the peer takes more. The first piece need not wait: it is what a new stream has room for, or nearly.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        if !self.begun {
            return Poll::Ready(Ok(()));
        }
        self.stream.reserve_capacity(1);
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(context)) {
                Some(room) => room?,
                None => return Poll::Ready(Err(Reason::CANCEL.into())), // the peer wants no more
            };
        }
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, last: bool) -> Result<(), h2::Error> {
        let data = self.next.take();
        if data.is_none() && !last {
            return Ok(());
        }
        self.begun = true;
        self.stream.send_data(data.unwrap_or_default(), last)
    }

    /// The whole body. An error of the stream is the answer's, too.
    fn poll_all(&mut self, context: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        if let Poll::Ready(reset) = self.stream.poll_reset(context) {
            return Poll::Ready(reset.map(|_| ()));
        }
        loop {
            ready!(self.poll_room(context))?;
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                self.send(false)?;
                return Poll::Pending;
            };
            match frame {
                None => return Poll::Ready(self.send(true)),
                Some(Ok(frame)) => {
                    self.send(false)?;
                    self.next = frame.into_data().ok(); // gRPC's requests have no trailers
                }
                Some(Err(_)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl Future for Sending {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.poll_all(context).map(drop)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tape::Tape;
    use super::*;
    use futures::{Stream, StreamExt, future::poll_fn, stream};
    use h2::{RecvStream, server};
    use http::StatusCode;
    use http_body::Frame;
    use http_body_util::{BodyExt, StreamBody};
    use tokio::sync::mpsc;
    use tonic::{Status, body::Body};

    /// A call with this body, and the two ends of its stream at the peer.
    async fn exchange(body: impl Stream<Item = Bytes> + Send + 'static) -> (Exchange, RecvStream, server::SendResponse<Bytes>) {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (served, made) = tokio::join!(server::handshake(far), h2::client::handshake(near));
        let (mut served, (requests, connection)) = (served.unwrap(), made.unwrap());
        tokio::spawn(connection);
        let body = Body::new(StreamBody::new(body.map(|data| Ok::<_, Status>(Frame::data(data)))));
        let (_tape, play) = Tape::new(body);
        let (head, ()) = Request::post("http://service/one.a.v1.A/Get").body(()).unwrap().into_parts();
        let mut exchange = Exchange::begin(requests, head, play).unwrap();
        assert!(futures::poll!(&mut exchange).is_pending());
        let (request, respond) = served.accept().await.unwrap().unwrap();
        tokio::spawn(async move { while served.accept().await.is_some() {} });
        (exchange, request.into_body(), respond)
    }

    fn pieces(count: usize) -> impl Stream<Item = Bytes> + Send {
        stream::iter((0..count).map(|number| Bytes::from(vec![u8::try_from(number % 251).unwrap(); 10_000])))
    }

    /// Reads to the end, making room for more.
    async fn all(body: &mut RecvStream) -> usize {
        let mut read = 0;
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            read += data.len();
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        read
    }

    #[tokio::test]
    async fn a_message_and_its_end_are_one_frame() {
        let (_exchange, mut body, _respond) = exchange(stream::iter([Bytes::from_static(b"all of it")])).await;
        assert_eq!(body.data().await.unwrap().unwrap(), "all of it");
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn what_is_there_is_sent_though_more_may_come() {
        let (_exchange, mut body, _respond) = exchange(pieces(1).chain(stream::pending())).await;
        assert_eq!(body.data().await.unwrap().unwrap().len(), 10_000);
        assert!(!body.is_end_stream());
    }

    #[tokio::test]
    async fn a_body_beyond_the_window_goes_as_fast_as_it_is_read() {
        let (given, mut taken) = mpsc::unbounded_channel();
        let told = pieces(100).inspect(move |piece| given.send(piece.len()).unwrap());
        let (mut exchange, mut body, mut respond) = exchange(told).await;
        for _ in 0..100 {
            assert!(futures::poll!(&mut exchange).is_pending());
            tokio::task::yield_now().await;
        }
        let ahead: usize = std::iter::from_fn(|| taken.try_recv().ok()).sum();
        assert!(ahead <= 65_535 + 2 * 10_000, "{ahead}: a window, the piece that filled it, and the one that is held");
        let (answer, read) = tokio::join!(exchange, async {
            let read = all(&mut body).await;
            respond.send_response(Response::new(()), true).unwrap();
            read
        });
        assert_eq!((answer.unwrap().status(), read), (StatusCode::OK, 1_000_000));
    }

    #[tokio::test]
    async fn an_upload_goes_on_after_the_answer_began_and_ends_with_it() {
        let (sender, receiver) = mpsc::unbounded_channel();
        let pieces = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let (exchange, mut body, mut respond) = exchange(pieces).await;
        let mut answering = respond.send_response(Response::new(()), false).unwrap();
        let mut answer = exchange.await.unwrap().into_body();
        sender.send(Bytes::from_static(b"later")).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), "later");
        answering.send_data(Bytes::from_static(b"heard"), false).unwrap();
        assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "heard");
        drop(answer);
        sender.closed().await;
        assert!(body.data().await.is_none_or(|data| data.is_err()), "nobody sends any more");
        assert_eq!(poll_fn(|context| answering.poll_reset(context)).await.unwrap(), Reason::CANCEL);
    }
}
