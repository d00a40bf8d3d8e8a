//! An honest HTTP/2 client that sends what it is told, byte by byte.

use std::net::SocketAddr;

use bytes::Bytes;
use contract::Reason;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::server::PATIENCE;

pub(crate) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(crate) const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// An empty message.
pub(crate) const EMPTY: &[u8] = &[0, 0, 0, 0, 0];

pub(crate) struct Client {
    requests: SendRequest<Bytes>,
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let tcp = TcpStream::connect(addr).await.unwrap();
        let (requests, connection) = h2::client::handshake(tcp).await.unwrap();
        tokio::spawn(connection);
        Self { requests }
    }

    /// Begins a request whose body is sent by hand.
    pub(crate) async fn begin(&self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        let mut ready = self.requests.clone().ready().await.unwrap();
        ready.send_request(request, false).unwrap()
    }

    /// A whole request with this body.
    pub(crate) async fn call(&self, request: Request<()>, body: &'static [u8]) -> Answer {
        let (answer, mut stream) = self.begin(request).await;
        stream.send_data(Bytes::from_static(body), true).unwrap();
        Answer::read(answer).await
    }
}

/// A call of gRPC with these headers.
pub(crate) fn post(path: &str, headers: &[(&str, &str)]) -> Request<()> {
    request("POST", path, &[&[("content-type", "application/grpc"), ("te", "trailers")], headers].concat())
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let builder = Request::builder().method(method).uri(format!("http://localhost{path}"));
    headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(()).unwrap()
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) async fn read(answer: ResponseFuture) -> Self {
        timeout(PATIENCE, async { Self::rest(answer.await.unwrap()).await }).await.expect("an answer")
    }

    /// What comes after the head.
    pub(crate) async fn rest(answer: Response<h2::RecvStream>) -> Self {
        let (head, mut stream) = answer.into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data.unwrap();
            stream.flow_control().release_capacity(data.len()).unwrap();
            body.extend(data);
        }
        let trailers = stream.trailers().await.unwrap();
        Self { http: head.status, headers: head.headers, body, trailers }
    }

    pub(crate) fn status(&self) -> Status {
        let of = self.trailers.as_ref().unwrap_or(&self.headers);
        Status::from_header_map(of).expect("a grpc-status")
    }

    pub(crate) fn code(&self) -> Code {
        self.status().code()
    }

    /// Refused for this reason: the code of the catalogue, and the reason in the details.
    pub(crate) fn assert_refused(&self, reason: Reason) {
        let status = self.status();
        assert_eq!(status.code(), reason.code(), "{status:?}");
        let word = reason.word();
        let named = status.details().windows(word.len()).any(|part| part == word.as_bytes());
        assert!(named, "{word} is not in the details of {status:?}");
    }
}
