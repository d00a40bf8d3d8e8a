//! The log, as it is listed and followed.

use crate::support::{events_about, never, update};
use contract::{
    Reason,
    events::v1::{Event, GetEventRequest, ListEventsRequest, WatchEventsRequest, WatchEventsResponse, watch_events_request::From},
    ontology::v1::Thing,
};
use std::{collections::HashSet, time::Duration};
use tests::{Mesh, Refuses, Tenant, on_every_mesh};
use tokio_stream::StreamExt;
use tonic::Streaming;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn next(stream: &mut Streaming<WatchEventsResponse>) -> WatchEventsResponse {
    let answer = tokio::time::timeout(PATIENCE, stream.next()).await.expect("an answer within 30 s");
    answer.expect("the stream goes on").expect("an answer")
}

/// So many events from the stream, and the last cursor.
pub(crate) async fn take(stream: &mut Streaming<WatchEventsResponse>, count: usize) -> (Vec<Event>, String) {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    while events.len() < count {
        let answer = next(stream).await;
        assert!(!answer.cursor.is_empty(), "each answer has a cursor");
        cursor = answer.cursor;
        events.extend(answer.events);
    }
    (events, cursor)
}

/// Numbers without a gap, each event once.
#[track_caller]
pub(crate) fn assert_gap_free(events: &[Event]) {
    for pair in events.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence + 1, "{pair:?}");
    }
    assert_eq!(events.iter().map(|event| &event.id).collect::<HashSet<_>>().len(), events.len(), "each once");
}

/// A tenant whose own creation is in the log already: it comes from another service than its things, and so in no order with them.
pub(crate) async fn settled(mesh: &Mesh) -> Tenant {
    settle(mesh.tenant().await).await
}

pub(crate) async fn settle(tenant: Tenant) -> Tenant {
    let key = tenant.who_am_i().await.key.unwrap_or_default();
    events_about(&tenant, &tenant.group.id, 1).await;
    events_about(&tenant, &key.id, 1).await;
    tenant
}

pub(crate) fn targets(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.target.clone().unwrap_or_default().id).collect()
}

on_every_mesh![
    a_watch_from_the_beginning_has_all_in_order_and_goes_on,
    a_watch_from_now_has_what_comes_and_a_cursor_resumes_exactly_there,
    a_filtered_watch_leaves_the_rest_out,
    a_watcher_sees_its_own_group_only,
    events_are_listed_newest_first_and_filtered,
    an_update_says_what_was_and_what_is,
    the_clients_trace_and_call_id_stand_in_the_event,
];

async fn a_watch_from_the_beginning_has_all_in_order_and_goes_on(mesh: Mesh) {
    let tenant = settled(&mesh).await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(tenant.create(&format!("thing {number}")).await.id);
    }
    let mut stream = tenant.watch(From::Beginning(true)).await;
    // The organisation and its owner's key come first, for they are in the log already.
    let (events, _) = take(&mut stream, 7).await;
    assert_eq!((events[0].sequence, events[0].r#type.as_str(), events.len()), (1, "group_created", 7));
    assert_gap_free(&events);
    let things: Vec<Event> = events.into_iter().filter(|event| event.r#type == "entity_created").collect();
    assert_eq!(targets(&things), made);
    let later = tenant.create("later").await;
    assert_eq!(targets(&take(&mut stream, 1).await.0), [later.id]);
}

async fn a_watch_from_now_has_what_comes_and_a_cursor_resumes_exactly_there(mesh: Mesh) {
    let tenant = settled(&mesh).await;
    let before = tenant.create("before").await;
    events_about(&tenant, &before.id, 1).await;
    let mut stream = tenant.watch(From::Now(true)).await;
    let now = next(&mut stream).await; // an empty one says where now is
    assert!(now.events.is_empty() && !now.cursor.is_empty(), "{now:?}");
    let one = tenant.create("one").await;
    let (events, after_one) = take(&mut stream, 1).await;
    assert_eq!(targets(&events), std::slice::from_ref(&one.id));
    drop(stream);
    let (two, three) = (tenant.create("two").await, tenant.create("three").await);
    let (rest, _) = take(&mut tenant.watch(From::Cursor(after_one.clone())).await, 2).await;
    assert_eq!(targets(&rest), [two.id.clone(), three.id.clone()]);
    let (all, _) = take(&mut tenant.watch(From::Cursor(now.cursor)).await, 3).await;
    assert_eq!(targets(&all), [one.id, two.id, three.id]);
    assert_gap_free(&all);
}

async fn a_filtered_watch_leaves_the_rest_out(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let request = WatchEventsRequest { from: Some(From::Beginning(true)), filter: "type = \"entity_updated\"".to_owned() };
    let mut stream = tenant.events().watch_events(request).await.unwrap().into_inner();
    let thing = tenant.create("A").await;
    tenant.rename(&thing.id, "B").await;
    let (events, _) = take(&mut stream, 1).await;
    assert_eq!((events[0].r#type.as_str(), targets(&events)), ("entity_updated", vec![thing.id]));
    let wrong = WatchEventsRequest { from: Some(From::Now(true)), filter: "colour = 1".to_owned() };
    let refused = match tenant.events().watch_events(wrong).await {
        Err(status) => tests::reason(&status),
        Ok(stream) => tests::reason(&stream.into_inner().message().await.expect_err("a refusal")),
    };
    assert_eq!(refused, Reason::InvalidFilter);
}

async fn a_watcher_sees_its_own_group_only(mesh: Mesh) {
    let (tenant, other) = (settled(&mesh).await, mesh.tenant().await);
    let mut stream = tenant.watch(From::Now(true)).await;
    next(&mut stream).await;
    other.create("theirs").await;
    let own = tenant.create("own").await;
    assert_eq!(targets(&take(&mut stream, 1).await.0), [own.id]);
}

async fn events_are_listed_newest_first_and_filtered(mesh: Mesh) {
    let tenant = settled(&mesh).await;
    let (one, two) = (tenant.create("one").await, tenant.create("two").await);
    update(&tenant, Thing { id: one.id.clone(), status: "published".to_owned(), ..Thing::default() }, &["status"]).await.unwrap();
    let events = events_about(&tenant, &one.id, 2).await;
    events_about(&tenant, &two.id, 1).await;
    let key = tenant.who_am_i().await.key.unwrap();
    let actor = key.id.clone();
    let list = |request: ListEventsRequest| {
        let tenant = tenant.clone();
        async move { tenant.events().list_events(request).await.unwrap().into_inner().events }
    };
    let types = |events: &[Event]| events.iter().map(|event| event.r#type.clone()).collect::<Vec<_>>();

    let all = list(ListEventsRequest::default()).await;
    assert_eq!(all.len(), 5);
    assert!(all.windows(2).all(|pair| pair[0].id > pair[1].id), "newest first: ids are times");
    assert_eq!(
        list(ListEventsRequest { order_by: "create_time".to_owned(), ..Default::default() }).await.first().map(|event| event.sequence),
        Some(1)
    );
    assert_eq!(
        types(&list(ListEventsRequest { r#type: "thing_published".to_owned(), ..Default::default() }).await),
        ["entity_published"],
        "an alias"
    );
    assert_eq!(list(ListEventsRequest { actor_id: actor.clone(), ..Default::default() }).await.len(), 3);
    assert_eq!(
        list(ListEventsRequest { filter: format!("target_id = \"{}\" AND type = \"entity_created\"", one.id), ..Default::default() }).await.len(),
        1
    );
    assert_eq!(list(ListEventsRequest { filter: "target_kind = \"key\"".to_owned(), ..Default::default() }).await.len(), 1);
    assert_eq!(list(ListEventsRequest { filter: "create_time > \"2100-01-01T00:00:00Z\"".to_owned(), ..Default::default() }).await.len(), 0);
    let mut paged = Vec::new();
    let mut request = ListEventsRequest { page_size: 2, ..Default::default() };
    loop {
        let page = tenant.events().list_events(request.clone()).await.unwrap().into_inner();
        paged.extend(page.events);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);

    let read = tenant.events().get_event(GetEventRequest { id: events[0].id.clone() }).await.unwrap().into_inner();
    assert_eq!(read, events[0]);
    let unknown = tenant.events().get_event(GetEventRequest { id: never() }).await.refused();
    assert_eq!(unknown.reason, Reason::EventNotFound);
}

async fn an_update_says_what_was_and_what_is(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let thing = tenant.create("before").await;
    tenant.rename(&thing.id, "after").await;
    let metadata = crate::support::json(events_about(&tenant, &thing.id, 2).await[1].metadata.clone());
    assert_eq!((&metadata["changes"]["name"], &metadata["previousValues"]["name"]), (&"after".into(), &"before".into()), "{metadata}");
}

async fn the_clients_trace_and_call_id_stand_in_the_event(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = tenant.with("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")).with("x-request-id", "my-call-7");
    let thing = traced.create("A").await;
    let [event] = events_about(&tenant, &thing.id, 1).await.try_into().unwrap();
    assert_eq!((event.trace_id.as_str(), event.call_id.as_str()), (trace, "my-call-7"));
    let broken = tenant.with("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01").create("B").await;
    let [event] = events_about(&tenant, &broken.id, 1).await.try_into().unwrap();
    assert!(event.trace_id != "00000000000000000000000000000000" && !event.call_id.is_empty(), "{event:?}");
}
