//! A listener with a health service behind it.

use std::net::SocketAddr;
use std::time::Duration;

use chassis::health::Health;
use chassis::serve::{Answer, Limits, grpc, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Far longer than anything here takes: a test fails after it instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    drain: CancellationToken,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(limits: Limits) -> Self {
        let (health, service) = Health::new(["one.test"]).await;
        health.all(true).await;
        let app = grpc(Routes::new(service).prepare(), &limits, []);
        Self::of(app, limits).await
    }

    pub(crate) async fn of(app: impl Answer, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, drain) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, app, limits, drain.clone()));
        Self { addr, drain, serving }
    }

    pub(crate) fn drain(&self) {
        self.drain.cancel();
    }

    /// How long it took from here to the end.
    pub(crate) async fn ended(self) -> Duration {
        let asked = tokio::time::Instant::now();
        timeout(PATIENCE, self.serving).await.expect("the drain ends").unwrap();
        asked.elapsed()
    }
}
