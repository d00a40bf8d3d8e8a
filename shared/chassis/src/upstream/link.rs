//! One HTTP/2 connection, dialled when it is needed and again when it was lost.

use super::{address::Address, pool::Kind, tape::Play};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout},
};

pub(super) type Sender = SendRequest<Play>;
/// All who need the connection meanwhile wait for the same attempt; it ends though they go away.
pub(super) type Dial = Shared<BoxFuture<'static, Option<Sender>>>;

const CONNECT: Duration = Duration::from_secs(2);
/// A dead address is tried again so often while others answer.
const AGAIN: Duration = Duration::from_secs(1);
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(5);
/// What stalled streams hold back must not count against the others: eight of them would fill hyper's default and block the connection.
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
            State::Open(sender) if !sender.is_closed() => Some(sender.clone()),
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
            State::Open(sender) if !sender.is_closed() => return futures::future::ready(Some(sender.clone())).boxed().shared(),
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
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(self.window)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true)
            // Remembered for a second, so that what was under way for a dropped stream is no protocol error,
            .max_concurrent_reset_streams(100_000)
            // and what still is one does not end the connection: the peer is ours.
            .max_local_error_reset_streams(None)
            .handshake(TokioIo::new(tcp))
            .await
            .map_err(io::Error::other)?;
        let address = self.address.0.clone();
        // Ends when the last sender and the last stream are gone, or the peer is.
        tokio::spawn(connection.map(move |ended| {
            if let Err(error) = ended {
                tracing::warn!(%address, %error, "lost the connection to an upstream");
            }
        }));
        Ok(sender)
    }
}
