//! What a browser sends: grpc-web, binary and as text, and CORS before it.

use crate::support::{never, product};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use contract::ontology::v1::{CreateThingRequest, GetThingRequest, Thing};
use http::{Method, StatusCode};
use prost::Message;
use tests::{
    Mesh, on_every_mesh,
    raw::{Answer, Raw, frame, frames},
};

const ORIGIN: &str = "https://app.example.com";

fn web(kind: &str, method: &str, body: impl Into<Bytes>) -> Raw {
    let path = format!("/one.ontology.v1.ThingService/{method}");
    Raw::new(Method::POST, &path, body).with("content-type", kind).with("accept", kind).with("origin", ORIGIN).with("x-grpc-web", "1")
}

/// The messages of a grpc-web body, and its trailers.
fn read(body: Bytes) -> (Vec<Bytes>, String) {
    let (trailers, messages): (Vec<_>, Vec<_>) = frames(body).into_iter().partition(|(flags, _)| flags & 0x80 != 0);
    let trailers = trailers.into_iter().map(|(_, text)| String::from_utf8(text.to_vec()).expect("text")).collect();
    (messages.into_iter().map(|(_, message)| message).collect(), trailers)
}

/// Text may be cut into base64 pieces, each padded by itself.
fn decoded(text: &[u8]) -> Bytes {
    let text = std::str::from_utf8(text).expect("ASCII");
    text.split_inclusive('=')
        .fold((String::new(), Vec::new()), |(mut held, mut out), piece| {
            held.push_str(piece);
            if held.len() % 4 == 0 {
                out.extend(STANDARD.decode(&held).expect("base64"));
                held.clear();
            }
            (held, out)
        })
        .1
        .into()
}

fn thing_of(answer: &Answer, text: bool) -> Thing {
    let body = if text { decoded(&answer.body) } else { answer.body.clone() };
    let (messages, trailers) = read(body);
    assert!(trailers.contains("grpc-status:0") || trailers.contains("grpc-status: 0"), "{trailers}");
    Thing::decode(messages.into_iter().next().expect("a message")).expect("a thing")
}

on_every_mesh![grpc_web_works_binary_and_as_text, an_error_reaches_the_page_with_its_details, a_preflight_lets_known_origins_in,];

async fn grpc_web_works_binary_and_as_text(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let create = frame(&CreateThingRequest { thing: Some(product("A")), ..Default::default() }.encode_to_vec());
    for kind in ["application/grpc-web+proto", "application/grpc-web"] {
        let answer = web(kind, "CreateThing", create.clone()).key(tenant.key()).http1(mesh.gateway()).await;
        assert_eq!((answer.status, answer.get("access-control-allow-origin")), (StatusCode::OK, ORIGIN), "{answer:?}");
        assert!(answer.get("content-type").starts_with("application/grpc-web"), "{answer:?}");
        assert_eq!(tenant.get(&thing_of(&answer, false).id).await.name, "A");
    }
    for kind in ["application/grpc-web-text+proto", "application/grpc-web-text"] {
        let answer = web(kind, "CreateThing", STANDARD.encode(&create)).key(tenant.key()).http1(mesh.gateway()).await;
        assert!(answer.status == StatusCode::OK && answer.get("content-type").starts_with("application/grpc-web-text"), "{answer:?}");
        assert_eq!(tenant.get(&thing_of(&answer, true).id).await.name, "A");
    }
}

async fn an_error_reaches_the_page_with_its_details(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let get = frame(&GetThingRequest { id: never() }.encode_to_vec());
    let answer = web("application/grpc-web+proto", "GetThing", get).key(tenant.key()).http1(mesh.gateway()).await;
    let (_, trailers) = read(answer.body.clone());
    let status = format!("{}{trailers}", answer.get("grpc-status"));
    assert!(answer.status == StatusCode::OK && status.contains('5'), "{answer:?}");
    let exposed = answer.get("access-control-expose-headers").to_lowercase();
    for header in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert!(exposed.contains(header), "{header} is not exposed: {exposed:?}");
    }
    assert!(trailers.contains("grpc-status-details-bin") || !answer.get("grpc-status-details-bin").is_empty());
}

async fn a_preflight_lets_known_origins_in(mesh: Mesh) {
    let preflight = |origin: &str| {
        Raw::new(Method::OPTIONS, "/one.ontology.v1.ThingService/GetThing", "")
            .with("origin", origin)
            .with("access-control-request-method", "POST")
            .with("access-control-request-headers", "authorization,content-type,x-grpc-web,x-group-id,x-api-key,grpc-timeout")
    };
    let known = preflight(ORIGIN).http1(mesh.gateway()).await;
    assert!(known.status.is_success(), "{known:?}");
    assert_eq!(known.get("access-control-allow-origin"), ORIGIN);
    assert!(known.get("access-control-allow-methods").contains("POST"), "{known:?}");
    let allowed = known.get("access-control-allow-headers").to_lowercase();
    for header in ["authorization", "content-type", "x-grpc-web", "x-group-id", "x-api-key", "grpc-timeout"] {
        assert!(allowed == "*" && header != "authorization" || allowed.contains(header), "{header}: {allowed:?}");
    }
    let unknown = preflight("https://evil.example.com").http1(mesh.gateway()).await;
    assert!(!unknown.headers.contains_key("access-control-allow-origin"), "{unknown:?}");
}
