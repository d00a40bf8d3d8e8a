//! One HTTP/2 connection, dialled when it is needed and again when it was lost.

use super::{address::Address, pool::Kind};
use crate::gathered::Gathered;
use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, ready},
};
use h2::{
    Ping, PingPong,
    client::{self, Connection, SendRequest},
};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, sleep, timeout},
};

pub(super) type Sender = SendRequest<Bytes>;
/// All who need the connection meanwhile wait for the same attempt; it ends though they go away.
pub(super) type Dial = Shared<BoxFuture<'static, Option<Sender>>>;

const CONNECT: Duration = Duration::from_secs(2);
/// A dead address is tried again so often while others answer.
const AGAIN: Duration = Duration::from_secs(1);
/// A service that stands still is found within both, so that callers are told before most of their deadlines; a busy one has that long.
const PING: Duration = Duration::from_secs(3);
const PONG: Duration = Duration::from_secs(3);
/// What stalled streams hold back must not count against the others: one alone would fill HTTP/2's default and block the connection.
/// Each is bounded by its own window.
const CONNECTION_WINDOW: u32 = 1 << 30;

pub(super) struct Link {
    address: Address,
    window: u32,
    /// Where in the list of resolved addresses to begin: links begin at different ones, and a failed one goes on.
    begin: AtomicUsize,
    state: RwLock<State>,
}

enum State {
    Closed,
    Failed(Instant),
    Dialing(Dial),
    Open(Sender),
}

impl Link {
    pub(super) fn new(address: Address, kind: Kind, begin: usize) -> Arc<Self> {
        Arc::new(Self { address, window: kind.window(), begin: AtomicUsize::new(begin), state: RwLock::new(State::Closed) })
    }

    /// The usual: it is there.
    pub(super) fn open(&self) -> Option<Sender> {
        match &*self.state.read().expect("nobody panics while holding it") {
            State::Open(sender) => usable(sender),
            _ => None,
        }
    }

    /// Dials in the background, unless it does already or has failed just now.
    pub(super) fn revive(self: &Arc<Self>) {
        let failed = matches!(&*self.state.read().expect("nobody panics while holding it"), State::Failed(at) if at.elapsed() < AGAIN);
        if !failed {
            drop(self.dial());
        }
    }

    /// The attempt under way, or a new one.
    pub(super) fn dial(self: &Arc<Self>) -> Dial {
        let mut state = self.state.write().expect("nobody panics while holding it");
        match &*state {
            State::Open(sender) if let Some(sender) = usable(sender) => return ready(Some(sender)).boxed().shared(),
            State::Dialing(dial) if dial.peek().is_none() => return dial.clone(),
            _ => {}
        }
        let again = matches!(&*state, State::Failed(_));
        let task = tokio::spawn(self.clone().dialled(again));
        let dial = task.map(|made| made.ok().flatten()).boxed().shared();
        *state = State::Dialing(dial.clone());
        dial
    }

    async fn dialled(self: Arc<Self>, again: bool) -> Option<Sender> {
        let made = timeout(CONNECT, self.connect()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let (state, sender) = match made {
            Ok(sender) => (State::Open(sender.clone()), Some(sender)),
            Err(error) => {
                if !again {
                    tracing::warn!(address = %self.address.0, %error, "an upstream cannot be reached");
                }
                self.begin.fetch_add(1, Relaxed);
                (State::Failed(Instant::now()), None)
            }
        };
        *self.state.write().expect("nobody panics while holding it") = state;
        sender
    }

    async fn connect(&self) -> io::Result<Sender> {
        let mut found: Vec<SocketAddr> = lookup_host(self.address.0.as_str()).await?.collect();
        let begin = self.begin.load(Relaxed) % found.len().max(1);
        found.rotate_left(begin);
        let tcp = TcpStream::connect(found.as_slice()).await?; // one after the other
        tcp.set_nodelay(true)?;
        let (sender, mut connection) = self.http2().handshake(Io::new(tcp, others)).await.map_err(io::Error::other)?;
        let mut pings = connection.ping_pong().expect("it is asked once");
        // The kernel accepts for a process that stands still: only a PONG says that somebody is there.
        tokio::select! {
            ended = &mut connection => return Err(ended.map_or_else(io::Error::other, |()| io::ErrorKind::ConnectionAborted.into())),
            heard = pings.ping(Ping::opaque()) => heard.map_err(io::Error::other)?,
        };
        tokio::spawn(driven(connection, pings, self.address.clone()));
        Ok(sender)
    }

    fn http2(&self) -> client::Builder {
        let mut http2 = client::Builder::new();
        http2
            .enable_push(false)
            .initial_window_size(self.window)
            .initial_connection_window_size(CONNECTION_WINDOW)
            // Remembered for a second, so that what was under way for a dropped stream is no protocol error,
            .max_concurrent_reset_streams(100_000)
            // and what still is one does not end the connection: the peer is ours.
            .max_local_error_reset_streams(None);
        http2
    }
}

type Io = Gathered<TcpStream, fn() -> bool>;

/// All calls to an upstream share a connection or two, so there nearly always are.
fn others() -> bool {
    true
}

/// Another handle, unless the connection was lost or its peer sends it away.
fn usable(sender: &Sender) -> Option<Sender> {
    let mut sender = sender.clone();
    let ready = sender.poll_ready(&mut Context::from_waker(Waker::noop()));
    matches!(ready, Poll::Ready(Ok(()))).then_some(sender)
}

/// Until the last sender and the last stream are gone, or the peer is.
async fn driven(connection: Connection<Io, Bytes>, pings: PingPong, address: Address) {
    let ended = tokio::select! {
        ended = connection => ended.map_err(io::Error::other),
        () = silent(pings) => Err(io::ErrorKind::TimedOut.into()),
    };
    if let Err(error) = ended {
        tracing::warn!(address = %address.0, %error, "lost the connection to an upstream");
    }
}

/// Until the peer leaves a PING unanswered.
async fn silent(mut pings: PingPong) {
    loop {
        sleep(PING).await;
        if !matches!(timeout(PONG, pings.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}
