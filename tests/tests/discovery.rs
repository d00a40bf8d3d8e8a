//! Health and reflection, as tools ask for them; and what is none of ours.

use crate::support::health;
use contract::Reason;
use http::{Method, StatusCode};
use tests::{
    Mesh, on_every_mesh,
    raw::{Raw, frame},
};
use tonic::Code;

const INTERNAL: [&str; 4] = [
    "/one.internal.v1.AccessService/VerifyCredential",
    "/one.internal.v1.AccessService/ListChanges",
    "/one.internal.v1.EventLogService/Append",
    "/one.internal.v1.EventLogService/Read",
];

on_every_mesh![
    health_answers_for_all_and_for_each_service,
    reflection_shows_the_public_services_only,
    internal_rpcs_are_as_unknown_as_any,
    what_is_no_grpc_is_told_so,
];

async fn health_answers_for_all_and_for_each_service(mesh: Mesh) {
    for service in ["", "one.identity.v1.GroupService", "one.identity.v1.KeyService", "one.ontology.v1.ThingService", "one.events.v1.EventService"] {
        assert_eq!(health(mesh.gateway(), service).await, 1, "{service} is SERVING");
    }
    for page in ["/livez", "/readyz"] {
        assert_eq!(Raw::new(Method::GET, page, "").http1(mesh.gateway()).await.status, StatusCode::OK, "{page}");
    }
}

async fn reflection_shows_the_public_services_only(mesh: Mesh) {
    for version in ["v1", "v1alpha"] {
        // ServerReflectionRequest { list_services: "" } is an empty string in field 7.
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let answer = Raw::call(&path, frame(&[0x3a, 0])).http2(mesh.gateway()).await;
        assert_eq!(answer.code(), Code::Ok, "{version}: {answer:?}");
        let listed = String::from_utf8_lossy(&answer.body).into_owned();
        for service in contract::methods().public_services() {
            assert!(listed.contains(service), "{version}: {service} is not in {listed:?}");
        }
        assert!(!listed.contains("one.internal"), "{version}: {listed:?}");
    }
}

async fn internal_rpcs_are_as_unknown_as_any(mesh: Mesh) {
    let owner = mesh.owner();
    let ask = async |path: &str| {
        let call = Raw::call(path, frame(&[])).key(owner.key()).with("x-request-id", "the-same");
        let answer = call.with("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").http2(mesh.gateway()).await;
        assert_eq!(answer.code(), Code::Unimplemented, "{path}");
        assert_eq!(
            tests::reason(&tonic::Status::from_header_map(&answer.headers).or_else(|| tonic::Status::from_header_map(&answer.trailers)).unwrap()),
            Reason::MethodNotFound
        );
        answer.get("grpc-message").replace(path.trim_start_matches('/'), "{path}")
    };
    let unknown = ask("/one.ontology.v1.ThingService/Fly").await;
    for path in INTERNAL {
        assert_eq!(ask(path).await, unknown, "{path}");
    }
}

async fn what_is_no_grpc_is_told_so(mesh: Mesh) {
    let page = Raw::new(Method::GET, "/nothing/here", "").http1(mesh.gateway()).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    let json =
        Raw::new(Method::POST, "/one.ontology.v1.ThingService/GetThing", "{}").with("content-type", "application/json").http1(mesh.gateway()).await;
    assert_eq!(json.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
