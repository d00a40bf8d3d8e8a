//! `grpc.health.v1`: for `""`, the whole process, and for each service by name.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::Mutex;
use tonic_health::ServingStatus::{NotServing, Serving};
use tonic_health::pb::health_server::{Health as Answers, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

/// Says what serves. Everything begins as NOT_SERVING.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    services: Arc<[String]>,
    said: Arc<Mutex<Said>>,
}

/// Locked while statuses are set, so that none is set behind the end.
#[derive(Debug, Default)]
struct Said {
    serves: bool,
    ended: bool,
    /// Services that do not, though the process does.
    away: BTreeSet<String>,
}

impl Health {
    /// The reporter, and the service to add to a server's routes. `services` are full names, `one.events.v1.EventService`.
    pub async fn new<N: Into<String>>(services: impl IntoIterator<Item = N>) -> (Self, HealthServer<impl Answers>) {
        let (reporter, server) = health_reporter();
        let services = services.into_iter().map(Into::into).collect();
        let health = Self { reporter, services, said: Arc::default() };
        health.all(false).await;
        (health, server)
    }

    /// The process serves, and every service of which nothing else is said; or none does.
    pub async fn all(&self, serves: bool) {
        let mut said = self.said.lock().await;
        said.serves = serves && !said.ended;
        self.tell_all(&said).await;
    }

    /// Whether one service serves while the process does; the process as a whole is not touched.
    pub async fn set(&self, service: &str, serves: bool) {
        let mut said = self.said.lock().await;
        if serves {
            said.away.remove(service)
        } else {
            said.away.insert(service.to_owned())
        };
        self.tell(service, said.serves && serves).await;
    }

    /// Nothing serves any more, whatever is said of it later: the process drains.
    pub async fn end(&self) {
        let mut said = self.said.lock().await;
        (said.serves, said.ended) = (false, true);
        self.tell_all(&said).await;
    }

    /// Whether the process as a whole serves, as it was said last.
    pub async fn serves(&self) -> bool {
        self.said.lock().await.serves
    }

    async fn tell_all(&self, said: &Said) {
        for service in self.services.iter() {
            self.tell(service, said.serves && !said.away.contains(service)).await;
        }
        self.tell("", said.serves).await; // last: who sees it finds every service as it says
    }

    async fn tell(&self, service: &str, serves: bool) {
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
        health.all(false).await;
        health.all(true).await;
        assert_eq!(status("one.b").await.unwrap(), ServingStatus::NotServing, "that of the process is no news of a service");
        health.set("one.b", true).await;
        assert_eq!(status("one.b").await.unwrap(), ServingStatus::Serving);
        let mut watch = client.watch(ask("")).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        health.all(false).await;
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    }
    #[tokio::test]
    async fn after_the_end_nothing_serves_again() {
        let (health, server) = Health::new(["one.a"]).await;
        let mut client = HealthClient::with_origin(server, "http://localhost".parse().unwrap());
        health.all(true).await;
        assert!(health.serves().await);
        health.end().await;
        health.all(true).await;
        health.set("one.a", true).await;
        assert!(!health.serves().await);
        for service in ["", "one.a"] {
            let answer = client.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::NotServing, "{service:?}");
        }
    }
}
