use super::*;
use contract::identity::v1::ActorKind;

#[tokio::test]
async fn a_created_thing_is_whole_and_the_same_from_get() {
    both(async |world| {
        let sent = Thing {
            r#type: "creator".to_owned(),
            name: "ß".repeat(500),
            // what the server gives is ignored on input
            id: NOBODY.to_owned(),
            etag: "x".to_owned(),
            revision: 9,
            group_id: world.who.group.to_string().to_uppercase(),
            ..with(Thing::default(), json!({"email": "a@b", "totalContent": 3, "own": {"n": 1.5, "list": [null, true]}}))
        };
        let thing = world.create(creation(sent)).await.unwrap();
        assert_eq!(ThingId::parse(&thing.id).unwrap().get_version_num(), 7);
        assert_ne!(thing.id, NOBODY);
        assert_eq!(
            (thing.group_id.as_str(), thing.r#type.as_str(), thing.status.as_str()),
            (world.who.group.to_string().as_str(), "creator", "active")
        );
        assert_eq!((thing.revision, thing.etag.as_str(), thing.name.chars().count()), (1, "r1", 500));
        assert_eq!(properties(&thing), json!({"email": "a@b", "totalContent": 3, "own": {"n": 1.5, "list": [null, true]}}));
        assert!(thing.create_time.is_some() && thing.create_time == thing.update_time && thing.archive_time.is_none());
        let creator = thing.creator.clone().unwrap();
        assert_eq!((creator.kind(), creator.id), (ActorKind::Key, world.who.actor.id.to_string()));
        let missing: Vec<&str> = thing.warnings.iter().map(|warning| warning.field.as_str()).collect();
        assert!(missing.contains(&"properties.username") && !missing.contains(&"properties.totalContent"), "{missing:?}");
        assert_eq!(world.get(&thing.id).await.unwrap(), thing);
    })
    .await;
}

#[tokio::test]
async fn the_event_holds_the_whole_new_state() {
    both(async |world| {
        let thing = world.create(creation(with(note("a"), json!({"n": 1})))).await.unwrap();
        let metadata = json!({"entityType": "note", "changes": {"type": "note", "name": "a", "status": "active", "properties": {"n": 1}}});
        assert_eq!(world.events().await, [("entity_created".to_owned(), thing.id, 1, metadata)]);
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name_and_leaves_nothing() {
    let sized = |bytes: usize| json!({ "a": "x".repeat(bytes) });
    let cases = [
        (CreateThingRequest::default(), Reason::InvalidField, "thing"),
        (creation(note("")), Reason::InvalidField, "thing.name"),
        (creation(note(&"ß".repeat(501))), Reason::InvalidField, "thing.name"),
        (creation(note("a\0b")), Reason::InvalidField, "thing.name"),
        (creation(Thing { name: "a".to_owned(), ..Default::default() }), Reason::InvalidField, "thing.type"),
        (creation(Thing { id: "x".to_owned(), ..note("a") }), Reason::InvalidField, "thing.id"),
        (creation(Thing { group_id: "x".to_owned(), ..note("a") }), Reason::InvalidField, "thing.group_id"),
        (CreateThingRequest { request_id: "x".to_owned(), ..creation(note("a")) }, Reason::InvalidField, "request_id"),
        (creation(Thing { r#type: "nothing".to_owned(), ..note("a") }), Reason::UnknownType, "thing.type"),
        (creation(Thing { status: "gone".to_owned(), ..note("a") }), Reason::InvalidStatus, "thing.status"),
        (creation(Thing { r#type: "creator".to_owned(), ..note("a") }), Reason::InvalidProperties, "thing.properties.email"),
        (creation(with(note("a"), nested(33))), Reason::InvalidProperties, "thing.properties.a.a"),
        (creation(with(note("a"), sized(65 << 10))), Reason::InvalidProperties, "thing.properties"),
        (creation(with(note("a"), json!({"a": ["\0"]}))), Reason::InvalidProperties, "thing.properties.a[0]"),
        (creation(with(note("a"), json!({"k".repeat(60_000): "\0"}))), Reason::InvalidProperties, "thing.properties.kkk"),
        (creation(with(note("a"), json!({"n": 9_007_199_254_740_994i64}))), Reason::InvalidProperties, "thing.properties.n"),
        (creation(Thing { group_id: NOBODY.to_owned(), ..note("a") }), Reason::GroupMismatch, ""),
        (creation(Thing { r#type: "webhook".to_owned(), ..note("a") }), Reason::SystemType, ""),
    ];
    both(async |world| {
        for (request, reason, field) in &cases {
            let refusal = world.create(request.clone()).await.unwrap_err();
            assert_eq!(refusal.reason(), *reason, "{refusal}");
            let named = fields(&refusal);
            assert!(refusal.status().details().len() < 2_000);
            assert!(if field.is_empty() { named.is_empty() } else { named[0].starts_with(field) }, "{named:?} {field}");
        }
        assert_eq!((world.events().await.len(), world.list(ListThingsRequest::default()).await.unwrap().things.len()), (0, 0));
        // what just fits
        for properties in [nested(32), sized(64_000), json!({"n": 9_007_199_254_740_992i64})] {
            let thing = world.create(creation(with(note("a"), properties.clone()))).await.unwrap();
            assert_eq!(super::properties(&world.get(&thing.id).await.unwrap()), properties);
        }
    })
    .await;
}

#[tokio::test]
async fn numbers_come_back_bit_by_bit() {
    both(async |world| {
        let numbers = [
            31.245270191439438,
            0.1,
            1.0 / 3.0,
            -2.2250738585072014e-308,
            5e-324,
            9_007_199_254_740_991.0,
            1_234_567.890_123_45,
            51.24817837550540_4,
        ];
        let thing = world.create(creation(with(note("a"), json!({ "n": numbers })))).await.unwrap();
        for thing in [world.get(&thing.id).await.unwrap(), thing] {
            let kept = properties(&thing);
            let kept: Vec<u64> = kept["n"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap().to_bits()).collect();
            assert_eq!(kept, numbers.map(f64::to_bits));
        }
    })
    .await;
}

#[tokio::test]
async fn the_platform_itself_writes_system_types() {
    both(async |world| {
        let who = Principal { group: world.who.group, ..Principal::system() };
        let platform = World::of(world.case, who);
        let session = Thing { r#type: "session".to_owned(), ..with(note("s"), json!({"userId": "u", "token": "t", "expiresAt": 1})) };
        let thing = platform.create(creation(session)).await.unwrap();
        assert!(thing.creator.unwrap().id.is_empty());
        let renamed = Thing { id: thing.id.clone(), name: "x".to_owned(), ..Default::default() };
        assert_eq!(reason(&world.update(change(renamed, &[])).await), Some(Reason::SystemType));
        assert_eq!(reason(&world.delete(removal(&thing.id, "")).await), Some(Reason::SystemType));
        assert_eq!(world.get(&thing.id).await.unwrap().name, "s");
    })
    .await;
}

#[tokio::test]
async fn validate_only_answers_as_if_and_keeps_nothing() {
    both(async |world| {
        let request = CreateThingRequest { validate_only: true, request_id: request_id(), ..creation(note("a")) };
        let thing = world.create(request.clone()).await.unwrap();
        assert_eq!((thing.name.as_str(), thing.revision), ("a", 1));
        assert_eq!(reason(&world.get(&thing.id).await), Some(Reason::ThingNotFound));
        assert_eq!(reason(&world.create(CreateThingRequest { thing: Some(note("")), ..request.clone() }).await), Some(Reason::InvalidField));
        // the id was not spent
        world.create(CreateThingRequest { validate_only: false, ..request }).await.unwrap();
        assert_eq!(world.events().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_request_id_gives_the_same_answer_or_is_refused() {
    both(async |world| {
        let request = CreateThingRequest { request_id: request_id(), ..creation(note("a")) };
        let first = world.create(request.clone()).await.unwrap();
        assert_eq!(world.create(request.clone()).await.unwrap(), first);
        let other = CreateThingRequest { thing: Some(note("b")), ..request.clone() };
        assert_eq!(reason(&world.create(other).await), Some(Reason::RequestIdReused));
        // another caller's is another one
        assert_ne!(world.user().create(request).await.unwrap().id, first.id);
        assert_eq!(world.events().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn another_groups_id_is_as_one_that_never_was() {
    both(async |world| {
        let thing = world.note("a").await;
        let stranger = World::new(world.case);
        let masked = |answer: Answer, id: &str| {
            let status = answer.unwrap_err().status();
            (status.code(), status.message().replace(id, "ID"), String::from_utf8_lossy(status.details()).replace(id, "ID"))
        };
        let patch = |id: &str| change(Thing { id: id.to_owned(), name: "b".to_owned(), etag: "r1".to_owned(), ..Default::default() }, &[]);
        for id in [thing.id.as_str(), NOBODY] {
            assert_eq!(masked(stranger.get(id).await, id), masked(stranger.get(NOBODY).await, NOBODY));
            assert_eq!(masked(stranger.update(patch(id)).await, id), masked(stranger.update(patch(NOBODY)).await, NOBODY));
            assert_eq!(masked(stranger.delete(removal(id, "r1")).await, id), masked(stranger.delete(removal(NOBODY, "r1")).await, NOBODY));
        }
        assert_eq!(reason(&stranger.get(&thing.id).await), Some(Reason::ThingNotFound));
        assert!(stranger.list(ListThingsRequest::default()).await.unwrap().things.is_empty());
        assert_eq!(world.get(&thing.id).await.unwrap(), thing);
    })
    .await;
}
