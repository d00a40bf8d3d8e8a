//! Whether a service behind the gateway serves, asked of itself. One that is away shows under its own name only: this gateway is as good as
//! any other.

use crate::layer::{Service, check};
use chassis::{health::Health, upstream::Upstream};
use contract::Refusal;
use http::{HeaderValue, Request, Response};
use std::{convert::Infallible, time::Duration};
use tokio::time::{sleep, timeout};
use tonic::{Code, body::Body};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tower::service_fn;

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// A service that takes longer is of no use to most of its callers.
const PATIENCE: Duration = Duration::from_secs(5);

/// It is no part of anybody's call, and no span is wanted of it.
const UNSAMPLED: HeaderValue = HeaderValue::from_static("00-00000000000000000000000000000001-0000000000000001-00");

/// One of the services, and where is said how it is.
pub(crate) struct Probe {
    service: &'static str,
    upstream: Upstream,
    health: Health,
}

impl Probe {
    pub(crate) fn new(service: &Service, health: &Health) -> Self {
        Self { service: service.name, upstream: service.upstream.clone(), health: health.clone() }
    }

    /// Without end. It begins with a service that serves.
    pub(crate) async fn run(self) {
        let mut served = true;
        loop {
            sleep(PAUSE).await;
            if self.serves().await != served {
                served = !served;
                self.health.set(self.service, served).await;
                tracing::info!(service = self.service, serves = served, "the health of a service");
            }
        }
    }

    async fn serves(&self) -> bool {
        let upstream = self.upstream.clone();
        let send = service_fn(move |request| send(upstream.clone(), request));
        let mut client = HealthClient::with_origin(send, http::Uri::from_static("http://service"));
        match timeout(PATIENCE, client.check(HealthCheckRequest { service: self.service.to_owned() })).await {
            Ok(Ok(answer)) => answer.into_inner().status() != ServingStatus::NotServing,
            // It is there, and says nothing of its health.
            Ok(Err(status)) => !matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded),
            Err(_) => false,
        }
    }
}

async fn send(upstream: Upstream, mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    request.headers_mut().insert("traceparent", UNSAMPLED);
    Ok(upstream.send(request, check()).await.unwrap_or_else(|refusal: Refusal| refusal.status().into_http()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use chassis::{clock::Clock, principal::Signer, room::Room};
    use tonic::service::Routes;

    const NAME: &str = "one.ontology.v1.ThingService";

    fn room(routes: Routes) -> Upstream {
        Upstream::here(Room::new(routes, "ontology", Signer::new(&[9; 32], Clock::system())).open(&["grpc.health.v1.Health"]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_is_told_as_it_tells_itself() {
        let (own, server) = Health::new([NAME, "one.events.v1.EventService"]).await;
        own.all(true).await;
        let (service, answers) = Health::new([NAME]).await;
        service.all(true).await;
        let asked = Service { name: NAME, audience: "ontology", upstream: room(Routes::new(answers)) };
        let probing = tokio::spawn(Probe::new(&asked, &own).run());
        let mut client = HealthClient::with_origin(server, http::Uri::from_static("http://localhost"));
        let mut watch = client.watch(HealthCheckRequest { service: NAME.to_owned() }).await.unwrap().into_inner();
        for serves in [true, false, true] {
            service.set(NAME, serves).await;
            let expected = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
            assert_eq!(watch.message().await.unwrap().unwrap().status(), expected);
            let all = client.check(HealthCheckRequest::default()).await.unwrap().into_inner();
            assert_eq!(all.status(), ServingStatus::Serving, "the gateway itself serves");
        }
        probing.abort();
    }

    #[tokio::test]
    async fn one_that_is_away_does_not_serve_and_one_that_says_nothing_of_it_does() {
        let (health, _server) = Health::new([NAME]).await;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let away = Upstream::there(&[nobody.to_string()]).unwrap();
        for (upstream, serves) in [(away, false), (room(Routes::default()), true)] {
            let probe = Probe::new(&Service { name: NAME, audience: "ontology", upstream }, &health);
            assert_eq!(probe.serves().await, serves);
        }
    }
}
