//! Several connections to one service, and what may be sent again on another.

use super::{
    Address,
    answer::Answer,
    away,
    exchange::Exchange,
    link::{Link, Sender},
    tape::{Play, Tape},
};
use contract::Refusal;
use futures::stream::{FuturesUnordered, StreamExt};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header,
    request::Parts,
    uri::{Authority, Scheme},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tonic::{Status, body::Body};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What goes over a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One request, one answer.
    Calls,
    /// Watches and the like, up to 10,000 at once, most of them silent.
    Streams,
}

impl Kind {
    /// What one stalled reader may hold in our memory.
    pub(super) fn window(self) -> u32 {
        match self {
            Kind::Calls => 1 << 20,
            Kind::Streams => 256 << 10,
        }
    }

    /// One connection is one task on each side, so with one only one core would work; and the loss of one is not the loss of all.
    fn links(addresses: usize) -> usize {
        addresses.max(2)
    }
}

pub(super) struct Pool {
    authority: Authority,
    links: Vec<Arc<Link>>,
    turn: AtomicUsize,
}

/// What became of one attempt.
enum Sent {
    Answered(Response<Answer>),
    /// Provably nothing was done: no connection, the request came back, or the peer said so.
    Unsent,
    Lost,
}

impl Sent {
    fn may_repeat(&self, reads: bool) -> bool {
        match self {
            Sent::Unsent => true,
            Sent::Lost => reads,
            Sent::Answered(answer) => reads && answer.headers().get(Status::GRPC_STATUS).is_some_and(|code| code == "14"),
        }
    }

    fn answer(self) -> Result<Response<Body>, Refusal> {
        match self {
            Sent::Answered(answer) if answer.status() == StatusCode::OK => Ok(answer.map(Body::new)),
            Sent::Answered(answer) => {
                tracing::warn!(status = %answer.status(), "an upstream does not speak gRPC");
                Err(away())
            }
            Sent::Unsent | Sent::Lost => Err(away()),
        }
    }
}

impl Pool {
    pub(super) fn new(addresses: &[Address], kind: Kind) -> Self {
        let link = |at: usize| Link::new(addresses[at % addresses.len()].clone(), kind, at / addresses.len());
        Self { authority: addresses[0].0.clone(), links: (0..Kind::links(addresses.len())).map(link).collect(), turn: AtomicUsize::new(0) }
    }

    /// The answer. Sent again once, on another connection, if the first attempt provably did nothing; a read also when it came back UNAVAILABLE or
    /// its connection was lost.
    pub(super) async fn send(&self, request: Request<Body>, reads: bool) -> Result<Response<Body>, Refusal> {
        let (parts, body) = self.addressed(request).into_parts();
        let (tape, play) = Tape::new(body);
        let mut sent = self.attempt(parts.clone(), play).await;
        let mut own = tape.failed();
        if own.is_none()
            && sent.may_repeat(reads)
            && let Some(play) = tape.play()
        {
            sent = self.attempt(parts, play).await;
            own = tape.failed();
        }
        tape.forget();
        own.map_or_else(|| sent.answer(), |status| Ok(status.into_http()))
    }

    fn addressed(&self, mut request: Request<Body>) -> Request<Body> {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.authority.clone());
        *request.uri_mut() = Uri::from_parts(uri).expect("a path that was routed, with scheme and authority");
        if request.version() != Version::HTTP_2 {
            *request.version_mut() = Version::HTTP_2;
            unhop(request.headers_mut());
        }
        request.extensions_mut().clear(); // a copy for a second attempt need not copy what stays here
        request
    }

    async fn attempt(&self, parts: Parts, play: Play) -> Sent {
        let Some(sender) = self.sender().await else { return Sent::Unsent };
        let Ok(exchange) = Exchange::begin(sender, parts, play) else { return Sent::Unsent };
        match exchange.await {
            Ok(answer) => Sent::Answered(answer),
            Err(error) if refused(&error) => Sent::Unsent,
            Err(_) => Sent::Lost,
        }
    }

    /// The next open connection; links that are not open are dialled meanwhile. If none is, the first that opens.
    async fn sender(&self) -> Option<Sender> {
        let turn = self.turn.fetch_add(1, Relaxed);
        let (before, after) = self.links.split_at(turn % self.links.len());
        for link in after.iter().chain(before) {
            if let Some(sender) = link.open() {
                return Some(sender);
            }
            link.revive();
        }
        let mut dials: FuturesUnordered<_> = self.links.iter().map(Link::dial).collect();
        while let Some(made) = dials.next().await {
            if made.is_some() {
                return made;
            }
        }
        None
    }
}

/// What an HTTP/1 connection says of itself is no part of a call, and HTTP/2 knows no such headers and no other `te`.
fn unhop(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::HOST, KEEP_ALIVE, PROXY_CONNECTION] {
        headers.remove(name);
    }
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
}

/// REFUSED_STREAM is the peer's word that nothing was done (RFC 9113, 8.7). A GOAWAY is not: h2 gives it to older streams too.
fn refused(error: &h2::Error) -> bool {
    error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
}
