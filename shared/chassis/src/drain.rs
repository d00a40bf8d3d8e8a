//! The end of a process: a signal, readiness off, a while for balancers to see it, then the drain.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::admin::Readiness;
use crate::health::Health;

/// Ready on the first SIGTERM or SIGINT. A second one ends the process at once, for whoever has no patience.
///
/// # Errors
/// When the operating system gives no signal handler.
pub fn signals() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "draining");
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            std::process::exit(130);
        });
    })
}

/// Waits for `asked`, then: NOT_SERVING and not ready, `linger` (listeners stay open, so that balancers see it and not a
/// refused connection), and `drain` cancelled. [`serve`](crate::serve::serve) does the rest and ends within its grace.
pub async fn orderly(asked: impl Future<Output = ()>, health: &[Health], ready: &Readiness, linger: Duration, drain: &CancellationToken) {
    asked.await;
    ready.leave();
    for health in health {
        health.end().await;
    }
    tokio::time::sleep(linger).await;
    drain.cancel();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readiness_goes_before_the_drain_begins() {
        let (health, server) = Health::new(["one.a"]).await;
        health.all(true).await;
        let (ready, drain, asked) = (Readiness::default(), CancellationToken::new(), CancellationToken::new());
        let mut client = HealthClient::with_origin(server, "http://localhost".parse().unwrap());
        let mut watch = client.watch(HealthCheckRequest { service: "one.a".into() }).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        assert!(ready.missing().is_none());
        let end = {
            let (ready, drain, asked) = (ready.clone(), drain.clone(), asked.clone());
            tokio::spawn(async move { orderly(asked.cancelled(), &[health], &ready, Duration::from_secs(5), &drain).await })
        };
        asked.cancel();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        assert!(ready.missing().is_some() && !drain.is_cancelled());
        end.await.unwrap();
        assert!(drain.is_cancelled());
    }
}
