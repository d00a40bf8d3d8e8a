//! The same `request_id` twice.

use crate::support::{event_types, never, product};
use contract::{
    Reason,
    identity::v1::{CreateKeyRequest, Key},
    ontology::v1::{CreateThingRequest, ListThingsRequest, Thing},
};
use tests::{Mesh, Refuses, on_every_mesh};
use tonic::Code;

fn request(name: &str, request_id: &str) -> CreateThingRequest {
    CreateThingRequest { thing: Some(product(name)), request_id: request_id.to_owned(), ..Default::default() }
}

on_every_mesh![
    the_same_request_again_gives_the_same_answer_and_creates_nothing,
    of_50_at_once_one_creates_and_all_answer_the_same,
    of_50_bodies_at_once_one_is_taken,
    a_request_id_is_the_callers_own,
    a_refused_call_is_not_remembered,
    a_remembered_key_still_shows_its_secret,
];

async fn the_same_request_again_gives_the_same_answer_and_creates_nothing(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let id = never();
    let first = tenant.things().create_thing(request("A", &id)).await.unwrap().into_inner();
    let again = tenant.things().create_thing(request("A", &id)).await.unwrap().into_inner();
    assert_eq!(first, again);
    let other = tenant.things().create_thing(request("B", &id)).await.refused();
    assert_eq!((other.reason, other.code), (Reason::RequestIdReused, Code::InvalidArgument));
    assert_eq!(crate::support::list_all(&tenant, ListThingsRequest::default()).await.len(), 1);
    assert_eq!(event_types(&tenant, &first.id, 1).await, ["entity_created"]);
    let malformed = tenant.things().create_thing(request("A", "again")).await.refused();
    assert_eq!((malformed.reason, malformed.fields), (Reason::InvalidField, vec!["request_id".to_owned()]));
}

async fn of_50_at_once_one_creates_and_all_answer_the_same(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let id = never();
    let calls = (0..50).map(|_| {
        let (tenant, request) = (tenant.clone(), request("A", &id));
        async move {
            tests::eventually("an answer that is not REQUEST_IN_PROGRESS", || async {
                match tenant.things().create_thing(request.clone()).await {
                    Ok(answer) => Some(answer.into_inner()),
                    Err(status) if tests::reason(&status) == Reason::RequestInProgress => None,
                    Err(status) => panic!("{status:?}"),
                }
            })
            .await
        }
    });
    let answers: Vec<Thing> = futures::future::join_all(calls).await;
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "one answer for all");
    assert_eq!(crate::support::list_all(&tenant, ListThingsRequest::default()).await.len(), 1);
}

async fn of_50_bodies_at_once_one_is_taken(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let id = never();
    let calls = (0..50).map(|number| {
        let (tenant, request) = (tenant.clone(), request(&format!("body {number}"), &id));
        async move { tenant.things().create_thing(request).await }
    });
    let (taken, other): (Vec<_>, Vec<_>) = futures::future::join_all(calls).await.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), other.len()), (1, 49));
    for refused in other {
        let refused = refused.refused();
        assert!([Reason::RequestIdReused, Reason::RequestInProgress].contains(&refused.reason), "{refused:?}");
    }
    assert_eq!(crate::support::list_all(&tenant, ListThingsRequest::default()).await.len(), 1);
}

async fn a_request_id_is_the_callers_own(mesh: Mesh) {
    let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
    let colleague = tenant.colleague("group_owner", &["*"]).await;
    let id = never();
    let mut made = Vec::new();
    for caller in [&*tenant, &colleague, &*other] {
        made.push(caller.things().create_thing(request("A", &id)).await.unwrap().into_inner().id);
    }
    made.dedup();
    assert_eq!(made.len(), 3, "three callers, three things");
}

async fn a_refused_call_is_not_remembered(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let id = never();
    let unknown =
        CreateThingRequest { thing: Some(Thing { r#type: "chair".to_owned(), ..product("A") }), request_id: id.clone(), ..Default::default() };
    assert_eq!(tenant.things().create_thing(unknown).await.refused().reason, Reason::UnknownType);
    tenant.things().create_thing(request("A", &id)).await.unwrap();
}

async fn a_remembered_key_still_shows_its_secret(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let key = Key { name: "a key".to_owned(), scopes: vec!["things:read".to_owned()], ..Key::default() };
    let request = CreateKeyRequest { key: Some(key), request_id: never(), ..Default::default() };
    let first = tenant.keys().create_key(request.clone()).await.unwrap().into_inner();
    let again = tenant.keys().create_key(request).await.unwrap().into_inner();
    assert_eq!(first, again);
    assert_eq!(tenant.with_key(&again.secret).who_am_i().await.key.unwrap().id, first.key.unwrap().id);
}
