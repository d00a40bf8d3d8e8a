//! Words that several suites use.

use contract::{
    events::v1::Event,
    ontology::v1::{CreateThingRequest, ListThingsRequest, Thing, UpdateThingRequest},
};
use prost_types::{FieldMask, Struct};
use serde_json::Value;
use std::net::SocketAddr;
use tests::{
    Caller, eventually,
    raw::{Raw, frame, frames},
};
use tonic::{Code, Response, Status};

/// An id that never was.
pub(crate) fn never() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// JSON as it is sent.
pub(crate) fn object(value: Value) -> Option<Struct> {
    Some(contract::json::to_struct(value.as_object().expect("an object")))
}

/// JSON as it came.
pub(crate) fn json(object: Option<Struct>) -> Value {
    contract::json::from_struct(object.unwrap_or_default()).expect("the server sends what it takes").into()
}

pub(crate) fn product(name: &str) -> Thing {
    Thing { r#type: "product".to_owned(), name: name.to_owned(), ..Thing::default() }
}

pub(crate) fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() })
}

/// CreateThing, which may be refused.
pub(crate) async fn create(caller: &Caller, thing: Thing) -> Result<Response<Thing>, Status> {
    caller.things().create_thing(CreateThingRequest { thing: Some(thing), ..Default::default() }).await
}

/// UpdateThing, which may be refused.
pub(crate) async fn update(caller: &Caller, thing: Thing, paths: &[&str]) -> Result<Response<Thing>, Status> {
    let update_mask = if paths.is_empty() { None } else { mask(paths) };
    caller.things().update_thing(UpdateThingRequest { thing: Some(thing), update_mask, ..Default::default() }).await
}

/// All things that a request lists, page by page.
pub(crate) async fn list_all(caller: &Caller, mut request: ListThingsRequest) -> Vec<Thing> {
    let mut all = Vec::new();
    loop {
        let page = caller.things().list_things(request.clone()).await.expect("a page").into_inner();
        all.extend(page.things);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

/// Names of the things that a filter leaves, oldest first.
pub(crate) async fn names(caller: &Caller, filter: &str) -> Vec<String> {
    let request = ListThingsRequest { filter: filter.to_owned(), order_by: "create_time".to_owned(), ..Default::default() };
    list_all(caller, request).await.into_iter().map(|thing| thing.name).collect()
}

/// The events about a target, oldest first, as soon as there are so many.
pub(crate) async fn events_about(caller: &Caller, target: &str, count: usize) -> Vec<Event> {
    let what = format!("{count} events about {target}");
    let mut events = eventually(&what, || async {
        let events = caller.events_about(target).await;
        (events.len() >= count).then_some(events)
    })
    .await;
    assert_eq!(events.len(), count, "{what}");
    events.sort_by_key(|event| event.sequence);
    events
}

/// The target's events by type, oldest first.
pub(crate) async fn event_types(caller: &Caller, target: &str, count: usize) -> Vec<String> {
    events_about(caller, target, count).await.into_iter().map(|event| event.r#type).collect()
}

/// CRC32 of all before, as 6 base62 characters.
pub(crate) fn checksum(text: &str) -> String {
    let crc = text
        .bytes()
        .fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }));
    let mut rest = !crc;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(rest % 62) as usize];
        rest /= 62;
    }
    String::from_utf8(digits.to_vec()).unwrap()
}

/// A key of the same organisation with the right checksum, which nobody ever had; 0 to 999.
pub(crate) fn guess(key: &str, number: usize) -> String {
    let (before, rest) = key.rsplit_once("_key_").unwrap();
    let body = format!("{before}_key_guess{number:03}{}", &rest[8..rest.len() - 6]);
    format!("{body}{}", checksum(&body))
}

/// A metric of a process, or the sum of its series whose labels hold all those words.
pub(crate) async fn metric(admin: std::net::SocketAddr, name: &str, labels: &[&str]) -> Option<f64> {
    let page = tests::raw::Raw::new(http::Method::GET, "/metrics", "").http1(admin).await;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let of_it = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name) && labels.iter().all(|label| line.contains(label)));
    of_it.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).reduce(|sum, value| sum + value)
}

/// What `grpc.health.v1` of that port says of a service, or of the whole process (`""`): 1 is SERVING, 2 NOT_SERVING.
pub(crate) async fn health(door: SocketAddr, service: &str) -> u8 {
    // HealthCheckRequest { service } is one string in field 1.
    let length = u8::try_from(service.len()).unwrap();
    let body = if length == 0 { Vec::new() } else { [&[0x0a, length], service.as_bytes()].concat() };
    let answer = Raw::call("/grpc.health.v1.Health/Check", frame(&body)).http2(door).await;
    assert_eq!(answer.code(), Code::Ok, "{service}: {answer:?}");
    match frames(answer.body)[0].1.as_ref() {
        [0x08, status] => *status,
        other => panic!("{other:?} is no HealthCheckResponse"),
    }
}
