//! The admin port: `/metrics`, `/livez`, `/readyz`. On loopback unless a setting says otherwise; no secret passes it.

mod readiness;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};

pub use readiness::{Need, Readiness};

use crate::telemetry::Metrics;

/// The pages. A caller adds its own routes, and gives the router to [`serve`](crate::serve::serve) as it is, with
/// [`Limits::admin`](crate::serve::Limits::admin).
pub fn router(metrics: Metrics, ready: Readiness) -> Router {
    Router::new().route("/livez", get(async || "ok")).route("/readyz", get(readyz).with_state(ready)).route("/metrics", get(page).with_state(metrics))
}

async fn readyz(State(ready): State<Readiness>) -> (StatusCode, String) {
    match ready.missing() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing),
    }
}

async fn page(State(metrics): State<Metrics>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    metrics.render().map(|page| (kind, page)).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::SocketAddr;
    use std::time::Duration;

    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::serve::{Limits, serve};

    async fn get_page(router: &Router, path: &str) -> (StatusCode, String) {
        let answer = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_says_what_is_missing_and_a_process_that_drains_still_lives() {
        let ready = Readiness::default();
        let router = router(Metrics::default(), ready.clone());
        assert_eq!(get_page(&router, "/readyz").await, (StatusCode::OK, "ok".into()));
        let held = ready.needs("the change feed");
        assert_eq!(get_page(&router, "/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, "waiting for the change feed".into()));
        held.set(true);
        assert_eq!(get_page(&router, "/readyz").await.0, StatusCode::OK);
        ready.leave();
        assert_eq!(get_page(&router, "/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, "draining".into()));
        assert_eq!(get_page(&router, "/livez").await.0, StatusCode::OK);
    }

    async fn connect(to: SocketAddr) -> TcpStream {
        TcpStream::connect(to).await.unwrap()
    }

    /// `/livez` over HTTP/1.1; nothing when the connection was closed before.
    async fn livez(mut tcp: TcpStream) -> String {
        let _ = tcp.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        let mut page = String::new();
        let _ = tcp.read_to_string(&mut page).await;
        page
    }

    #[tokio::test]
    async fn the_listener_serves_the_pages_over_http_1_and_takes_silent_peers_neither_for_long_nor_many() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let limits = Limits { preface: Duration::from_millis(500), ..Limits::admin() };
        tokio::spawn(serve(listener, router(Metrics::default(), Readiness::default()), limits.clone(), CancellationToken::new()));
        let mut silent = Vec::new();
        for _ in 0..limits.connections_per_ip {
            silent.push(connect(addr).await);
        }
        assert_eq!(livez(connect(addr).await).await, "", "one more is closed at once");
        for mut peer in silent {
            assert_eq!(peer.read(&mut [0]).await.unwrap(), 0, "closed");
        }
        let page = livez(connect(addr).await).await;
        assert!(page.starts_with("HTTP/1.1 200 OK") && page.ends_with("ok"), "{page}");
    }

    #[tokio::test]
    async fn metrics_are_a_page_of_prometheus() {
        let metrics = Metrics::default();
        metrics.calls().record("one.ontology.v1.ThingService/GetThing", tonic::Code::Ok, Duration::from_millis(3));
        let (status, page) = get_page(&router(metrics, Readiness::default()), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("rpc_server_call_duration_seconds_count"), "{page}");
    }
}
