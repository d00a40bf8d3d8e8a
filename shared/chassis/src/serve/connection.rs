//! One peer: from its first byte to its last.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures::FutureExt;
use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::backpressure::{Aside, Backpressure};
use super::open::{self, Open};
use super::socket::{Received, Socket};
use super::{Answer, Incoming, Limits};
use crate::gathered::Gathered;

/// hyper's builder, the same for all connections of a listener.
pub(super) type Http = auto::Builder<TokioExecutor>;

/// After GOAWAY: so long until streams are asked to end, for who is sent away must not come back here.
const ASK: Duration = Duration::from_millis(50);
/// And so long until those that did not listen are cut.
const CUT: Duration = Duration::from_secs(2);
/// A connection without a request that takes so long to leave answers neither GOAWAY nor the PING after it.
const LINGER: Duration = Duration::from_secs(1);

/// HTTP/1 and HTTP/2 within `limits`. h2's own flood limits (resets, CONTINUATION, empty DATA) stay as they are.
pub(super) fn http(limits: &Limits) -> Http {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.preface).max_buf_size(64 << 10);
    let mut http2 = http.http2();
    http2
        .timer(TokioTimer::new()) // without it the first keep-alive panics
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(limits.pong)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(4 * limits.metadata) // beyond it h2 says a bare 431 or GOAWAY; up to it `metadata` refuses, with a grpc-status
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20) // never adaptive: hyperium/h2#942
        .max_send_buf_size(64 << 10); // by default 400 KiB for every stream whose peer does not read
    if limits.resets.is_some() {
        http2.max_pending_accept_reset_streams(limits.resets).max_local_error_reset_streams(None);
    }
    http
}

/// Who asks, and when its streams must end. Stands in each request's extensions as an `Arc` (to clone a token takes
/// its lock).
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    ending: CancellationToken,
    cut: CancellationToken,
    was_cut: AtomicBool, // the token's answer takes a lock, and each frame asks
    drain: CancellationToken,
    pub(super) open: Open,
    backpressure: Backpressure,
    limits: Arc<Limits>,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, limits: Arc<Limits>, drain: CancellationToken) -> Self {
        let (ending, cut) = (CancellationToken::new(), CancellationToken::new());
        Self { peer, ending, cut, was_cut: AtomicBool::new(false), drain, open: Open::new(), backpressure: Backpressure::default(), limits }
    }

    /// The socket's other end.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Cancelled when the process drains or this connection is old: a stream then ends with UNAVAILABLE and what its
    /// client needs to go on elsewhere. Who does not listen is cut two seconds later.
    #[must_use]
    pub fn ending(&self) -> &CancellationToken {
        &self.ending
    }

    /// For a call that will wait: while many of a connection's do, it is read no further. What comes behind them then waits with them,
    /// whatever it is and whoever sends it.
    #[must_use]
    pub fn lay_aside(&self) -> Aside {
        self.backpressure.lay_aside()
    }

    pub(super) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    pub(super) fn is_cut(&self) -> bool {
        self.was_cut.load(Relaxed)
    }

    pub(super) async fn run(self: Arc<Self>, tcp: TcpStream, http: &Http, app: impl Answer) {
        self.set(&tcp);
        let received = Received::default();
        let this = self.clone();
        let io = TokioIo::new(Gathered::new(Socket::new(tcp, received.clone(), self.limits.control, self.backpressure.clone()), move || {
            !this.open.none()
        }));
        let this = self.clone();
        let service = hyper::service::service_fn(move |request| answer(this.clone(), app.clone(), request));
        let mut http = pin!(http.serve_connection(io, service));
        let stay = async {
            tokio::select! {
                () = self.open.idle(self.limits.idle) => {}
                () = sleep(self.age()) => {}
                () = self.drain.cancelled() => {}
            }
        };
        tokio::select! { biased;
            _ = http.as_mut() => return,
            () = self.silent(&received) => return,
            () = stay => {}
        }
        http.as_mut().graceful_shutdown();
        self.leave(http).await;
    }

    fn set(&self, tcp: &TcpStream) {
        let _ = tcp.set_nodelay(true);
        // hyper can't flush the GOAWAY of a keep-alive time-out to a peer that stopped reading, and waits: the kernel ends it.
        let unread = self.limits.ping + self.limits.pong;
        let _ = socket2::SockRef::from(tcp).set_tcp_user_timeout(Some(unread));
    }

    fn age(&self) -> Duration {
        self.limits.age.mul_f64(0.9 + 0.2 * f64::from(self.peer.port() % 256) / 256.0)
    }

    /// Ready when the peer has not said hello in time: nothing was promised to it, so it gets no GOAWAY.
    async fn silent(&self, received: &Received) {
        sleep(self.limits.preface).await;
        if received.enough() || !self.open.none() {
            pending().await
        }
    }

    /// From GOAWAY to the end.
    async fn leave(&self, mut http: Pin<&mut impl Future>) {
        for (wait, step) in [(ASK, Some(Step::Ask)), (CUT, Some(Step::Cut)), (self.limits.grace, None)] {
            tokio::select! { biased;
                _ = http.as_mut() => return,
                () = self.open.idle(LINGER) => return,
                () = sleep(wait) => self.take(step),
            }
        }
    }

    fn take(&self, step: Option<Step>) {
        match step {
            Some(Step::Ask) => self.ending.cancel(),
            Some(Step::Cut) => {
                self.was_cut.store(true, Relaxed);
                self.cut.cancel();
            }
            None => {}
        }
    }
}

/// What streams are told while their connection closes.
enum Step {
    Ask,
    Cut,
}

fn answer<A: Answer>(
    connection: Arc<Connection>,
    mut app: A,
    mut request: Request<hyper::body::Incoming>,
) -> impl Future<Output = Result<Response<open::Held<A::Body>>, Infallible>> + Send {
    let open = open::Request::begin(connection.clone());
    request.extensions_mut().insert(connection);
    // Not an async block, which would hold the future twice: hyper moves it to the heap for each call.
    app.call(Incoming::of(request)).map(move |answer| answer.map(|answer| answer.map(|body| open.hold(body))))
}
