//! HTTP without a gRPC client's manners.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// What came before the body.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What came after it.
    pub trailers: HeaderMap,
}

impl Answer {
    /// A header, or else a trailer; empty if there is neither.
    pub fn get(&self, name: &str) -> &str {
        let value = self.headers.get(name).or_else(|| self.trailers.get(name));
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The gRPC status code; panics if there is none.
    pub fn code(&self) -> tonic::Code {
        let code = self.get("grpc-status").parse::<i32>();
        tonic::Code::from_i32(code.unwrap_or_else(|_| panic!("no grpc-status in {self:?}")))
    }

    async fn read(answer: http::Response<Incoming>) -> Answer {
        let (parts, body) = answer.into_parts();
        let collected = body.collect().await.expect("a whole body");
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body: collected.to_bytes(), trailers }
    }
}

/// A request to be sent as it is.
#[derive(Clone, Debug)]
pub struct Raw(Request<Full<Bytes>>);

impl Raw {
    /// A gRPC call with a body that may be anything.
    pub fn call(path: &str, body: impl Into<Bytes>) -> Raw {
        Raw::new(Method::POST, path, body).with("content-type", "application/grpc").with("te", "trailers")
    }

    /// Any request.
    pub fn new(method: Method, path: &str, body: impl Into<Bytes>) -> Raw {
        let uri = path.parse::<Uri>().expect("a path");
        Raw(Request::builder().method(method).uri(uri).body(Full::new(body.into())).expect("method and path are valid"))
    }

    /// With one more header, whose value may be any bytes that HTTP allows.
    pub fn with(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Raw {
        let value = http::HeaderValue::from_bytes(value.as_ref()).expect("bytes that HTTP allows");
        self.0.headers_mut().append(name, value);
        self
    }

    /// With a key.
    pub fn key(self, key: &str) -> Raw {
        self.with("authorization", format!("Bearer {key}"))
    }

    /// Sends it over HTTP/2.
    pub async fn http2(self, to: SocketAddr) -> Answer {
        let (mut sender, connection) = handshake(to).await;
        let running = tokio::spawn(connection);
        let request = self.absolute(to).map(BodyExt::boxed);
        let answer = Answer::read(sender.send_request(request).await.expect("an answer")).await;
        running.abort();
        answer
    }

    /// Sends it over HTTP/1.1, as a page without TLS does.
    pub async fn http1(self, to: SocketAddr) -> Answer {
        let stream = connect(to, Ipv4Addr::LOCALHOST.into()).await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("an HTTP/1.1 server");
        let running = tokio::spawn(connection);
        let answer = Answer::read(sender.send_request(self.with("host", to.to_string()).0).await.expect("an answer")).await;
        running.abort();
        answer
    }

    fn absolute(mut self, to: SocketAddr) -> Request<Full<Bytes>> {
        let path = self.0.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *self.0.uri_mut() = format!("http://{to}{path}").parse().expect("an address and a path");
        self.0
    }
}

/// A call that the server works on, of whose body it has only the first half.
#[derive(Debug)]
pub struct Half {
    rest: mpsc::Sender<Bytes>,
    answer: JoinHandle<Answer>,
}

impl Half {
    /// Sends the headers and the first half of a call over HTTP/2. When it returns, the server has begun with it: a later call on the same
    /// connection was answered.
    pub async fn begin(call: Raw, to: SocketAddr, first: Bytes) -> Half {
        let (rest, body) = mpsc::channel(1);
        let body = StreamBody::new(tokio_stream::once(first).chain(ReceiverStream::new(body)).map(|bytes| Ok::<_, Infallible>(Frame::data(bytes))));
        let (mut sender, connection) = handshake(to).await;
        tokio::spawn(connection);
        let answer = sender.send_request(call.absolute(to).map(|_| body.boxed()));
        let answer = tokio::spawn(async move { Answer::read(answer.await.expect("an answer")).await });
        let later = Raw::call("/grpc.health.v1.Health/Check", frame(&[])).absolute(to).map(BodyExt::boxed);
        sender.send_request(later).await.expect("an answer");
        Half { rest, answer }
    }

    /// Sends no more, and waits for the answer.
    pub async fn answer(self) -> Answer {
        let answer = self.answer.await.expect("an answer");
        drop(self.rest); // until now it might still have come
        answer
    }

    /// Sends the rest, and waits for the answer.
    pub async fn end(self, rest: Bytes) -> Answer {
        self.rest.send(rest).await.expect("the call goes on");
        drop(self.rest);
        self.answer.await.expect("an answer")
    }
}

type Sender = hyper::client::conn::http2::SendRequest<BoxBody<Bytes, Infallible>>;

async fn handshake(to: SocketAddr) -> (Sender, impl Future<Output = hyper::Result<()>>) {
    let stream = connect(to, Ipv4Addr::LOCALHOST.into()).await;
    hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("an HTTP/2 server")
}

async fn connect(to: SocketAddr, from: IpAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("an address of this machine");
    let stream = socket.connect(to).await.expect("somebody listens");
    stream.set_nodelay(true).expect("a connected socket");
    stream
}

/// A message as it stands in a gRPC body.
pub fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a short message"));
    framed.put_slice(message);
    framed.freeze()
}

/// The frames of a body, each with its flags.
///
/// # Panics
/// If the last one is cut.
pub fn frames(mut body: Bytes) -> Vec<(u8, Bytes)> {
    let mut all = Vec::new();
    while body.has_remaining() {
        let (flags, length) = (body.get_u8(), body.get_u32() as usize);
        all.push((flags, body.split_to(length)));
    }
    all
}
