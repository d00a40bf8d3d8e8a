//! Things, as a user creates, reads and changes them.

use crate::support::{create, event_types, events_about, json, never, object, product, update};
use contract::{
    Reason,
    identity::v1::ActorKind,
    ontology::v1::{CreateThingRequest, DeleteThingRequest, GetThingRequest, Thing, UpdateThingRequest},
};
use serde_json::{Value, json};
use tests::{Mesh, Refuses, on_every_mesh};
use tonic::Code;

on_every_mesh![
    a_thing_travels_all_the_way,
    an_update_changes_what_its_mask_says,
    an_archived_thing_is_hidden_from_lists_and_can_be_restored,
    types_come_from_the_core_pack,
    bounds_of_fields_are_kept,
    what_is_missing_is_named,
    validate_only_keeps_nothing,
    an_etag_refuses_to_overwrite,
    of_50_writers_with_one_etag_one_wins,
    what_the_server_writes_is_ignored_on_input,
    a_group_user_changes_only_its_own,
];

async fn a_thing_travels_all_the_way(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let properties = json!({"price": 299, "sku": "C-1", "attributes": {"colour": "red", "sizes": [1, 2.5, null, true]}});
    let made = tenant.create_with("A chair", properties.clone()).await;

    assert_eq!((made.name.as_str(), made.r#type.as_str(), made.status.as_str(), made.revision), ("A chair", "product", "active", 1));
    assert_eq!(made.group_id, tenant.group.id);
    assert!(!made.etag.is_empty() && made.create_time == made.update_time && made.archive_time.is_none());
    let key = tenant.who_am_i().await.key.unwrap();
    let creator = made.creator.clone().unwrap();
    assert_eq!((creator.kind(), creator.key_id.as_str()), (ActorKind::Key, key.id.as_str()));
    assert_eq!(json(made.properties.clone()), properties);
    assert_eq!(tenant.get(&made.id).await, made);

    let [event] = events_about(&tenant, &made.id, 1).await.try_into().unwrap();
    assert_eq!((event.r#type.as_str(), event.group_id.as_str()), ("entity_created", made.group_id.as_str()));
    assert_eq!((event.actor, event.create_time), (made.creator, made.create_time));
    let target = event.target.unwrap();
    assert_eq!((target.kind.as_str(), target.id.as_str(), target.revision), ("thing", made.id.as_str(), 1));
    assert_eq!(json(event.metadata)["changes"]["properties"], properties, "a created event holds the whole new state");
}

async fn an_update_changes_what_its_mask_says(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let made = tenant.create_with("A", json!({"a": 1, "b": {"c": 2, "d": 3}})).await;
    let with = |properties: Value| Thing { id: made.id.clone(), name: "B".to_owned(), properties: object(properties), ..Thing::default() };

    let one = update(&tenant, with(json!({"b": {"c": 4}})), &["properties.b.c"]).await.unwrap().into_inner();
    assert_eq!((one.name.as_str(), json(one.properties)), ("A", json!({"a": 1, "b": {"c": 4, "d": 3}})));
    let removed = update(&tenant, with(json!({})), &["properties.b.d", "name"]).await.unwrap().into_inner();
    assert_eq!((removed.name.as_str(), json(removed.properties)), ("B", json!({"a": 1, "b": {"c": 4}})));
    let replaced = update(&tenant, with(json!({"z": 1})), &["properties"]).await.unwrap().into_inner();
    assert_eq!((replaced.revision, json(replaced.properties)), (4, json!({"z": 1})));
    let populated = update(&tenant, Thing { id: made.id.clone(), status: "draft".to_owned(), ..Thing::default() }, &[]).await.unwrap().into_inner();
    assert_eq!((populated.name.as_str(), populated.status.as_str(), populated.revision), ("B", "draft", 5));
    for path in ["colour", "id", "create_time", "revision", "group_id", ""] {
        let refused = update(&tenant, with(json!({})), &[path]).await.refused();
        assert_eq!(refused.reason, Reason::InvalidUpdateMask, "{path:?}");
    }
    assert_eq!(event_types(&tenant, &made.id, 5).await, ["entity_created", "entity_updated", "entity_updated", "entity_updated", "entity_updated"]);
}

async fn an_archived_thing_is_hidden_from_lists_and_can_be_restored(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let made = tenant.create("A").await;
    let delete = || async {
        let request = DeleteThingRequest { id: made.id.clone(), ..Default::default() };
        tenant.things().delete_thing(request).await.unwrap().into_inner()
    };
    let listed = |show_archived| {
        let tenant = &tenant;
        async move { crate::support::list_all(tenant, contract::ontology::v1::ListThingsRequest { show_archived, ..Default::default() }).await.len() }
    };

    let archived = delete().await;
    assert!(archived.status == "archived" && archived.archive_time.is_some() && archived.revision == 2);
    assert_eq!(delete().await, archived, "archiving again is OK and changes nothing");
    assert_eq!(tenant.get(&made.id).await, archived);
    assert_eq!((listed(false).await, listed(true).await), (0, 1));

    let restored =
        update(&tenant, Thing { id: made.id.clone(), status: "published".to_owned(), ..Thing::default() }, &["status"]).await.unwrap().into_inner();
    assert!(restored.archive_time.is_none() && restored.status == "published");
    assert_eq!(listed(false).await, 1);
    assert_eq!(event_types(&tenant, &made.id, 3).await, ["entity_created", "entity_archived", "entity_published"]);
}

async fn types_come_from_the_core_pack(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let of = |kind: &str, properties| Thing { r#type: kind.to_owned(), properties: object(properties), ..product("A") };
    for (thing, reason, field) in [
        (of("chair", json!({})), Reason::UnknownType, None),
        (of("webhook", json!({"url": "https://x", "events": []})), Reason::SystemType, None),
        (of("creator", json!({})), Reason::InvalidProperties, Some("thing.properties.email")),
        (of("creator", json!({"email": 7})), Reason::InvalidProperties, Some("thing.properties.email")),
        (of("product", json!({"status": "sold"})), Reason::InvalidProperties, Some("thing.properties.status")),
        (of("product", json!({"price": "299"})), Reason::InvalidProperties, Some("thing.properties.price")),
        (Thing { status: "rotten".to_owned(), ..product("A") }, Reason::InvalidStatus, None),
    ] {
        let refused = create(&tenant, thing.clone()).await.refused();
        assert_eq!(refused.reason, reason, "{thing:?}");
        if let Some(field) = field {
            assert_eq!(refused.fields, [field]);
        }
    }
    let creator = create(&tenant, of("creator", json!({"email": "a@example.com", "shoe": 43}))).await.unwrap().into_inner();
    assert_eq!(json(creator.properties)["shoe"], 43, "unknown properties are kept");
    assert!(creator.warnings.iter().any(|warning| warning.field == "properties.username"), "{:?}", creator.warnings);
    let deprecated = create(&tenant, of("organization", json!({}))).await.unwrap().into_inner();
    assert!(deprecated.warnings.iter().any(|warning| warning.reason == "DEPRECATED"), "{:?}", deprecated.warnings);
}

async fn bounds_of_fields_are_kept(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    create(&tenant, product(&"é".repeat(500))).await.unwrap();
    for name in ["", &"é".repeat(501), "a\0b"] {
        let refused = create(&tenant, product(name)).await.refused();
        assert_eq!((refused.reason, refused.code), (Reason::InvalidField, Code::InvalidArgument), "{name:?}");
        assert_eq!(refused.fields, ["thing.name"], "{name:?}");
    }
    create(&tenant, Thing { properties: object(nested(32)), ..product("A") }).await.unwrap();
    for properties in [nested(33), json!({"text": "x".repeat(65 << 10)}), json!({"n": 9_007_199_254_740_994_i64}), json!({"t": "a\0"})] {
        let refused = create(&tenant, Thing { properties: object(properties), ..product("A") }).await.refused();
        assert_eq!((refused.reason, refused.code), (Reason::InvalidProperties, Code::InvalidArgument), "{}", refused.message);
    }
    let whole = tenant.create_with("A", json!({"n": 9_007_199_254_740_992_i64})).await;
    assert_eq!(json(whole.properties).to_string(), r#"{"n":9007199254740992}"#);
}

async fn what_is_missing_is_named(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let nothing = tenant.things().create_thing(CreateThingRequest::default()).await.refused();
    assert_eq!((nothing.reason, nothing.fields), (Reason::InvalidField, vec!["thing".to_owned()]));
    for id in ["", "x", "00000000-0000-0000-0000-00000000000g"] {
        let refused = tenant.things().get_thing(GetThingRequest { id: id.to_owned() }).await.refused();
        assert_eq!((refused.reason, refused.fields), (Reason::InvalidField, vec!["id".to_owned()]), "{id:?}");
    }
    let unknown = tenant.things().get_thing(GetThingRequest { id: never() }).await.refused();
    assert_eq!((unknown.reason, unknown.code), (Reason::ThingNotFound, Code::NotFound));
    let nowhere = update(&tenant, Thing { name: "A".to_owned(), ..Thing::default() }, &[]).await.refused();
    assert!([Reason::InvalidField, Reason::ThingNotFound].contains(&nowhere.reason), "{nowhere:?}");
}

async fn validate_only_keeps_nothing(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let only = |thing| CreateThingRequest { thing: Some(thing), validate_only: true, ..Default::default() };
    let answer = tenant.things().create_thing(only(product("A"))).await.unwrap().into_inner();
    assert_eq!((answer.name.as_str(), answer.revision), ("A", 1));
    assert_eq!(tenant.things().create_thing(only(product(""))).await.refused().reason, Reason::InvalidField);
    let gone = tenant.things().get_thing(GetThingRequest { id: answer.id }).await.refused();
    assert_eq!(gone.reason, Reason::ThingNotFound);

    let made = tenant.create("B").await;
    let change = UpdateThingRequest {
        thing: Some(Thing { id: made.id.clone(), name: "C".to_owned(), ..Thing::default() }),
        validate_only: true,
        ..Default::default()
    };
    assert_eq!(tenant.things().update_thing(change).await.unwrap().into_inner().name, "C");
    assert_eq!(tenant.get(&made.id).await, made);
    assert_eq!(event_types(&tenant, &made.id, 1).await, ["entity_created"]);
}

async fn an_etag_refuses_to_overwrite(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let made = tenant.create("A").await;
    let named = |name: &str, etag: &str| Thing { id: made.id.clone(), name: name.to_owned(), etag: etag.to_owned(), ..Thing::default() };
    let changed = update(&tenant, named("B", &made.etag), &["name"]).await.unwrap().into_inner();
    assert_ne!(changed.etag, made.etag);
    let stale = update(&tenant, named("C", &made.etag), &["name"]).await.refused();
    assert_eq!((stale.reason, stale.code), (Reason::EtagMismatch, Code::Aborted));
    let stale =
        tenant.things().delete_thing(DeleteThingRequest { id: made.id.clone(), etag: made.etag.clone(), ..Default::default() }).await.refused();
    assert_eq!(stale.reason, Reason::EtagMismatch);
    assert_eq!(tenant.get(&made.id).await, changed);
}

async fn of_50_writers_with_one_etag_one_wins(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let made = tenant.create("A").await;
    let writers = (0..50).map(|number| {
        let (tenant, made) = (tenant.clone(), made.clone());
        async move { update(&tenant, Thing { name: format!("writer {number}"), ..made }, &["name"]).await }
    });
    let (won, lost): (Vec<_>, Vec<_>) = futures::future::join_all(writers).await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 49));
    for refused in lost {
        assert_eq!(refused.refused().reason, Reason::EtagMismatch);
    }
    assert_eq!(tenant.get(&made.id).await.name, won.into_iter().next().unwrap().unwrap().into_inner().name);
    assert_eq!(event_types(&tenant, &made.id, 2).await, ["entity_created", "entity_updated"]);
}

async fn what_the_server_writes_is_ignored_on_input(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let other = mesh.tenant().await.create("theirs").await;
    let made =
        create(&tenant, Thing { id: other.id.clone(), revision: 9, create_time: other.create_time, creator: other.creator.clone(), ..product("A") })
            .await
            .unwrap()
            .into_inner();
    assert!(made.id != other.id && made.revision == 1 && made.creator != other.creator);
    let mismatch = create(&tenant, Thing { group_id: other.group_id, ..product("A") }).await.refused();
    assert_eq!(mismatch.reason, Reason::GroupMismatch);
}

async fn a_group_user_changes_only_its_own(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let user = tenant.colleague("group_user", &["*"]).await;
    let (owners, own) = (tenant.create("the owner's").await, user.create("own").await);
    assert_eq!(user.rename(&own.id, "renamed").await.name, "renamed");
    let theirs = update(&user, Thing { id: owners.id.clone(), name: "mine".to_owned(), ..Thing::default() }, &["name"]).await.refused();
    assert_eq!((theirs.reason, theirs.code), (Reason::InsufficientRole, Code::PermissionDenied));
    let delete = user.things().delete_thing(DeleteThingRequest { id: own.id, ..Default::default() }).await.refused();
    assert!([Reason::InsufficientRole, Reason::InsufficientScopes].contains(&delete.reason), "{delete:?}");
    let customer = tenant.colleague("customer", &["*"]).await;
    assert_eq!(customer.get(&owners.id).await.name, "the owner's");
    assert_eq!(create(&customer, product("A")).await.refused().code, Code::PermissionDenied);
}
