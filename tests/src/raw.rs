//! HTTP without a gRPC client's manners.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::net::{TcpSocket, TcpStream};

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
        let stream = connect(to, Ipv4Addr::LOCALHOST.into()).await;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("an HTTP/2 server");
        let running = tokio::spawn(connection);
        let answer = Answer::read(sender.send_request(self.absolute(to)).await.expect("an answer")).await;
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
