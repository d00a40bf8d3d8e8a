//! Words that several suites use.

use contract::{
    events::v1::Event,
    ontology::v1::{CreateThingRequest, ListThingsRequest, Thing, UpdateThingRequest},
};
use prost_types::{FieldMask, Struct};
use serde_json::Value;
use tests::{Caller, eventually};
use tonic::{Response, Status};

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
