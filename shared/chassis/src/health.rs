//! `grpc.health.v1`: for `""`, the whole process, and for each service by name.

use std::sync::Arc;

use tonic_health::ServingStatus::{NotServing, Serving};
use tonic_health::pb::health_server::{Health as Answers, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

/// Says what serves. Everything begins as NOT_SERVING.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    services: Arc<[String]>,
}

impl Health {
    /// The reporter, and the service to add to a server's routes. `services` are full names, `one.events.v1.EventService`.
    pub async fn new<N: Into<String>>(services: impl IntoIterator<Item = N>) -> (Self, HealthServer<impl Answers>) {
        let (reporter, server) = health_reporter();
        let services = services.into_iter().map(Into::into).collect();
        let health = Self { reporter, services };
        health.all(false).await;
        (health, server)
    }

    /// The process and every service serve, or none does.
    pub async fn all(&self, serves: bool) {
        for service in self.services.iter() {
            self.set(service, serves).await;
        }
        self.set("", serves).await; // last: who sees it finds every service as it says
    }

    /// One service serves or not; the process as a whole is not touched.
    pub async fn set(&self, service: &str, serves: bool) {
        let status = if serves { Serving } else { NotServing };
        self.reporter.set_service_status(service, status).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tonic::Code;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;

    use super::*;

    #[tokio::test]
    async fn every_name_is_told_apart_and_a_watch_sees_the_change() {
        let (health, server) = Health::new(["one.a", "one.b"]).await;
        let mut client = HealthClient::with_origin(server, "http://localhost".parse().unwrap());
        let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
        let mut status = async |service: &str| client.check(ask(service)).await.map(|answer| answer.into_inner().status());
        assert_eq!(status("").await.unwrap(), ServingStatus::NotServing);
        health.all(true).await;
        health.set("one.b", false).await;
        for (service, expected) in [("", ServingStatus::Serving), ("one.a", ServingStatus::Serving), ("one.b", ServingStatus::NotServing)] {
            assert_eq!(status(service).await.unwrap(), expected, "{service}");
        }
        assert_eq!(status("one.c").await.unwrap_err().code(), Code::NotFound);
        let mut watch = client.watch(ask("")).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        health.all(false).await;
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    }
}
