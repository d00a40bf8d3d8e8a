//! The accept loop, and the drain that always ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::caps::Caps;
use super::connection::{Connection, Http, http};
use super::{Answer, Limits};

/// Peers that may wait to be accepted, as far as the kernel gives it (`net.core.somaxconn`). The standard library takes 128: of 1,000 peers that
/// come at once the kernel then drops most, which come again after a second, and resets some (measured, 22 November 2026).
const BACKLOG: u32 = 4_096;

/// Takes a port, with room for a burst of peers.
///
/// # Errors
/// The port is taken, or not ours to take.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?; // what a process before us left in TIME_WAIT takes no port
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Serves until `drain` is cancelled, then drains; returns `limits.grace` after that at the latest.
///
/// Whoever cancels has turned readiness off and lingered before ([`crate::drain`]): the listener stays open
/// meanwhile, so that balancers see NOT_SERVING and not a refused connection.
pub async fn serve(listener: TcpListener, app: impl Answer, limits: Limits, drain: CancellationToken) {
    let mut door = Door::new(limits, drain, app);
    loop {
        tokio::select! {
            () = door.drain.cancelled() => break,
            Some(_) = door.connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => door.admit(tcp, peer),
                Err(error) => door.failed(&error).await,
            },
        }
    }
    drop(listener);
    door.close().await;
}

/// What the accept loop knows. It owns every connection, so that its deadline can end them.
struct Door<A> {
    app: A,
    http: Arc<Http>,
    limits: Arc<Limits>,
    caps: Caps,
    drain: CancellationToken,
    connections: JoinSet<()>,
    pause: Duration,
}

impl<A: Answer> Door<A> {
    fn new(limits: Limits, drain: CancellationToken, app: A) -> Self {
        Self {
            app,
            http: Arc::new(http(&limits)),
            caps: Caps::new(&limits),
            limits: Arc::new(limits),
            drain,
            connections: JoinSet::new(),
            pause: Duration::ZERO,
        }
    }

    /// Over a cap: closed at once, so that the client goes elsewhere instead of waiting in the backlog.
    fn admit(&mut self, tcp: TcpStream, peer: SocketAddr) {
        self.pause = Duration::ZERO;
        let Some(slot) = self.caps.admit(peer.ip(), self.connections.len()) else { return };
        let connection = Arc::new(Connection::new(peer, self.limits.clone(), self.drain.clone()));
        let (http, app) = (self.http.clone(), self.app.clone());
        self.connections.spawn(async move {
            let _slot = slot;
            connection.run(tcp, &http, app).await;
        });
    }

    /// EMFILE, ENFILE, ENOBUFS, ENOMEM: accept would fail again at once, and spin.
    async fn failed(&mut self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return; // the peer's own doing
        }
        self.pause = (self.pause * 2).clamp(Duration::from_millis(5), Duration::from_millis(100));
        tracing::warn!(%error, pause = ?self.pause, "cannot accept connections");
        sleep(self.pause).await;
    }

    async fn close(mut self) {
        let all = async { while self.connections.join_next().await.is_some() {} };
        let _ = timeout(self.limits.grace, all).await;
        self.connections.shutdown().await; // the hard close
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::Response;
    use http_body_util::Full;
    use tokio::time::Instant;
    use tower::service_fn;

    use super::*;

    fn door() -> Door<impl Answer> {
        let app = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
        Door::new(Limits::public(), CancellationToken::new(), app)
    }

    #[tokio::test]
    async fn a_burst_of_peers_finds_room_before_anybody_accepts() {
        let listener = listen(([127, 0, 0, 1], 0).into()).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let peers = futures::future::join_all((0..500).map(|_| TcpStream::connect(addr)));
        let peers = timeout(Duration::from_millis(900), peers).await.expect("nobody comes twice, for that takes a second");
        assert!(peers.iter().all(Result::is_ok));
        assert!(listen(addr).is_err(), "it is taken");
    }

    #[tokio::test(start_paused = true)]
    async fn without_file_descriptors_the_pauses_grow_to_a_tenth_of_a_second() {
        const EMFILE: i32 = 24;
        let mut door = door();
        for expected in [5, 10, 20, 40, 80, 100, 100] {
            let asked = Instant::now();
            door.failed(&io::Error::from_raw_os_error(EMFILE)).await;
            assert_eq!(asked.elapsed().as_millis(), expected);
        }
        door.failed(&io::ErrorKind::ConnectionAborted.into()).await;
        assert_eq!(door.pause, Duration::from_millis(100), "what a peer does changes nothing");
    }
}
