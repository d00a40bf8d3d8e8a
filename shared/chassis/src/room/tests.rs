#![allow(clippy::unwrap_used)]

use super::{
    fake::{AUDIENCE, Fake, LIST, WATCH, list, signer, watch},
    *,
};
use crate::{
    health::Health,
    principal::Principal,
    telemetry::{Format, Metrics, sink::Sink},
    upstream::{Client, Upstream},
};
use bytes::BufMut;
use contract::{Role, Scope, Scopes, events::v1::event_service_client::EventServiceClient, id::GroupId};
use http::HeaderValue;
use prost::Message;
use std::{sync::atomic::Ordering::SeqCst, time::Duration};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

const GROUP: GroupId = GroupId(Uuid::from_u128(7));

fn client(room: &Room) -> EventServiceClient<Client> {
    EventServiceClient::new(Client::new(Upstream::here(room.clone()), AUDIENCE, signer()))
}

fn caller(scopes: Scopes) -> Principal {
    Principal::test(GROUP, Role::GroupOwner, scopes)
}

/// A message as gRPC frames it.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.extend_from_slice(message);
    frame
}

fn request(path: &str, principal: &Principal, body: Vec<u8>) -> Request<http_body_util::Full<Bytes>> {
    Request::post(path)
        .header("content-type", "application/grpc")
        .header(principal::HEADER, signer().sign(principal, AUDIENCE, path))
        .body(body.into())
        .unwrap()
}

/// The status of an answer that is one; it must say its reason.
fn refused(answer: &Response<Body>) -> (Code, String, String) {
    let status = Status::from_header_map(answer.headers()).expect("an error");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{status:?} has no ErrorInfo"));
    assert_eq!(info.domain, "onemesh");
    (status.code(), info.reason.clone(), status.message().to_owned())
}

async fn answered(room: &Room, request: Request<http_body_util::Full<Bytes>>) -> (Code, String) {
    let (code, reason, _) = refused(&room.answer(request).await);
    (code, reason)
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

#[tokio::test]
async fn a_handler_knows_who_calls_and_which_call_it_is() {
    let mut sent = tonic::Request::new(list(""));
    sent.metadata_mut().insert("x-request-id", "call-7".parse().unwrap());
    sent.metadata_mut().insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
    let answer = client(&Fake::default().room()).list_events(sent).await.unwrap().into_inner();
    assert!(answer.next_page_token.starts_with("call-7|00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{}", answer.next_page_token);
}

#[tokio::test]
async fn a_call_without_exactly_one_principal_for_it_is_refused() {
    let fake = Fake::default();
    let room = fake.room();
    let with = |change: fn(&mut http::HeaderMap)| {
        let mut request = request(LIST, &caller(Scopes::ALL), framed(b""));
        change(request.headers_mut());
        request
    };
    for change in [
        (|headers| drop(headers.remove(principal::HEADER))) as fn(&mut http::HeaderMap),
        |headers| drop(headers.insert(principal::HEADER, HeaderValue::from_static("AAAA"))),
        |headers| drop(headers.insert(principal::HEADER, signer().sign(&caller(Scopes::ALL), "ontology", LIST))),
        |headers| drop(headers.insert(principal::HEADER, signer().sign(&caller(Scopes::ALL), AUDIENCE, WATCH))),
        |headers| assert!(headers.append(principal::HEADER, signer().sign(&caller(Scopes::ALL), AUDIENCE, LIST))),
    ] {
        assert_eq!(answered(&room, with(change)).await, (Code::Unauthenticated, "PRINCIPAL_REFUSED".to_owned()));
    }
    assert_eq!(fake.seen.load(SeqCst), 0);
    assert!(room.answer(with(|_| {})).await.headers().get("grpc-status").is_none());
}

#[tokio::test]
async fn what_the_gateway_checks_is_checked_again() {
    let fake = Fake::default();
    let poor = request(LIST, &caller(Scopes::of(Scope::ThingsRead)), framed(b""));
    assert_eq!(answered(&fake.room(), poor).await, (Code::PermissionDenied, "INSUFFICIENT_SCOPES".to_owned()));
    let low = Principal { role: Role::Customer, ..caller(Scopes::ALL) };
    assert_eq!(answered(&fake.room(), request(LIST, &low, framed(b""))).await, (Code::PermissionDenied, "INSUFFICIENT_ROLE".to_owned()));
    assert_eq!(fake.seen.load(SeqCst), 0);
}

#[tokio::test]
async fn a_path_that_is_no_method_is_unimplemented() {
    for path in ["/one.events.v1.EventService/Nope", "/", "//", "/one.ontology.v1.ThingService/GetThing"] {
        let answer = answered(&Fake::default().room(), request(path, &Principal::system(), framed(b""))).await;
        assert_eq!(answer, (Code::Unimplemented, "METHOD_NOT_FOUND".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_internal_shows_nothing_and_harms_no_other() {
    let fake = Fake::default();
    let mut client = client(&fake.room());
    let status = client.list_events(list("panic")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
    assert!(!format!("{status:?}").contains("secret"), "{status:?}");
    assert!(client.list_events(list("")).await.is_ok());
    assert_eq!(fake.open.load(SeqCst), 0);
}

#[tokio::test]
async fn a_panic_within_a_stream_ends_it_after_what_was_said() {
    let fake = Fake::default();
    for word in ["panic", "bare"] {
        let mut stream = client(&fake.room()).watch_events(watch(word)).await.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap().cursor, "0");
        let status = stream.message().await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"), "{word}");
        assert!(!format!("{status:?}").contains("secret"), "{status:?}");
        assert_eq!(fake.open.load(SeqCst), 0, "what the handler left is dropped");
    }
}

#[tokio::test]
async fn the_words_of_a_panic_are_in_no_log() {
    let log = Sink::default();
    let _logging = tracing::subscriber::set_default(log.subscriber(Format::Json));
    let mut client = client(&Fake::default().room());
    client.list_events(list("panic")).await.unwrap_err();
    let mut stream = client.watch_events(watch("panic")).await.unwrap().into_inner();
    while stream.message().await.is_ok() {}
    let log = log.text();
    assert_eq!(log.matches("a handler panicked").count(), 2, "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[tokio::test]
async fn a_handlers_bare_status_shows_nothing_and_its_refusal_all() {
    let mut client = client(&Fake::default().room());
    let bare = client.list_events(list("bare")).await.unwrap_err();
    assert_eq!((bare.code(), reason(&bare).as_str()), (Code::Internal, "INTERNAL"));
    assert!(!format!("{bare:?}").contains("secret"), "{bare:?}");
    let refusal = client.list_events(list("refuse")).await.unwrap_err();
    assert_eq!((reason(&refusal).as_str(), refusal.message()), ("EVENT_NOT_FOUND", "there is no such event"));
}

#[tokio::test]
async fn a_deadline_stops_the_work() {
    let fake = Fake::default();
    let mut request = request(LIST, &caller(Scopes::ALL), framed(&list("hang").encode_to_vec()));
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("5m"));
    assert_eq!(answered(&fake.room(), request).await, (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()));
    assert_eq!((fake.seen.load(SeqCst), fake.open.load(SeqCst)), (1, 0));
}

#[tokio::test]
async fn a_stream_ends_when_its_client_no_longer_waits() {
    let fake = Fake::default();
    let mut sent = tonic::Request::new(watch("silent"));
    sent.set_timeout(Duration::from_millis(5));
    let mut stream = client(&fake.room()).watch_events(sent).await.unwrap().into_inner();
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "it ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    assert_eq!(fake.open.load(SeqCst), 0);
}

#[tokio::test]
async fn a_timeout_that_is_none_is_refused() {
    let mut request = request(LIST, &caller(Scopes::ALL), framed(b""));
    request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("soon"));
    assert_eq!(answered(&Fake::default().room(), request).await, (Code::InvalidArgument, "INVALID_METADATA".to_owned()));
}

/// Pins tonic's sentences: each is recognised by its words.
#[tokio::test]
async fn broken_messages_have_reasons() {
    let room = Fake::default().room();
    let length = |length: u32| [&[0][..], &length.to_be_bytes()].concat();
    for (what, body, code, reason) in [
        ("garbage", framed(&[0xff; 9]), Code::InvalidArgument, "INVALID_MESSAGE"),
        ("5 MiB announced", length(5 << 20), Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        ("no message", vec![], Code::Internal, "INVALID_MESSAGE"),
        ("cut", length(7), Code::Internal, "INVALID_MESSAGE"),
        ("compressed, it says", [&[1][..], &framed(b"")[1..]].concat(), Code::Internal, "INVALID_MESSAGE"),
        ("flag 7", [&[7][..], &framed(b"")[1..]].concat(), Code::Internal, "INVALID_MESSAGE"),
    ] {
        let answer = answered(&room, request(LIST, &caller(Scopes::ALL), body)).await;
        assert_eq!(answer, (code, reason.to_owned()), "{what}");
    }
}

#[tokio::test]
async fn an_open_service_answers_anybody_with_the_same_care() {
    let (health, server) = Health::new(["one.events.v1.EventService"]).await;
    health.all(true).await;
    let routes = Fake::default().routes().add_service(server);
    let room = Room::new(routes, AUDIENCE, signer()).open(&["grpc.health.v1.Health"]);
    let check = |body: Vec<u8>| {
        let request = Request::post("/grpc.health.v1.Health/Check").header("content-type", "application/grpc");
        room.answer(request.body(http_body_util::Full::from(body)).unwrap())
    };
    assert!(check(framed(b"")).await.headers().get("grpc-status").is_none());
    let (code, reason, sentence) = refused(&check(framed(&[0xff; 9])).await);
    assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "INVALID_MESSAGE"));
    assert!(!sentence.contains("HealthCheckRequest"), "{sentence}");
    let unknown = check(framed(b"\x0a\x04nope")).await;
    assert_eq!(unknown.headers().get("grpc-status").unwrap(), "5", "what health says stays");
    let other = Request::post(LIST).header("content-type", "application/grpc").body(http_body_util::Full::from(framed(b""))).unwrap();
    assert_eq!(refused(&room.answer(other).await).1, "PRINCIPAL_REFUSED");
}

#[tokio::test]
async fn calls_are_counted_when_they_end() {
    let metrics = Metrics::default();
    let room = Fake::default().room().counted(metrics.calls());
    let mut client = client(&room);
    client.list_events(list("")).await.unwrap();
    client.list_events(list("refuse")).await.unwrap_err();
    let mut two = client.watch_events(watch("two")).await.unwrap().into_inner();
    while two.message().await.unwrap().is_some() {}
    drop(two);
    drop(client.watch_events(watch("silent")).await.unwrap());
    let page = metrics.render().unwrap();
    let count = |method: &str, code: &str| {
        let line =
            page.lines().find(|line| line.contains("_count{") && line.contains(&format!("/{method}\"")) && line.contains(&format!("\"{code}\"")));
        line.unwrap_or_else(|| panic!("no {method} {code} in\n{page}")).ends_with(" 1")
    };
    assert!(count("ListEvents", "OK") && count("ListEvents", "NOT_FOUND") && count("WatchEvents", "OK") && count("WatchEvents", "CANCELLED"));
}
