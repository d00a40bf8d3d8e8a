//! The admin port: `/metrics`, `/livez`, `/readyz`. On loopback unless a setting says otherwise; no secret passes it.

mod readiness;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};

pub use readiness::{Need, Readiness};

use crate::telemetry::Metrics;

/// The pages. A caller adds its own routes, and gives the router to [`serve`](crate::serve::serve) as it is.
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
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

    #[tokio::test]
    async fn the_listener_serves_the_pages_over_http_1() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut tcp = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let drain = tokio_util::sync::CancellationToken::new();
        let router = router(Metrics::default(), Readiness::default());
        let serving = tokio::spawn(serve(listener, router, Limits::internal(), drain.clone()));
        tcp.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut page = String::new();
        tcp.read_to_string(&mut page).await.unwrap();
        assert!(page.starts_with("HTTP/1.1 200 OK") && page.ends_with("ok"), "{page}");
        drain.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn metrics_are_a_page_of_prometheus() {
        let metrics = Metrics::default();
        metrics.calls().record("one.ontology.v1.ThingService/GetThing", tonic::Code::Ok, std::time::Duration::from_millis(3));
        let (status, page) = get_page(&router(metrics, Readiness::default()), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("rpc_server_call_duration_seconds_count"), "{page}");
    }
}
