use super::*;

/// A note with properties {a: {b: 1, c: 2}, d: 3}.
async fn made(world: &World<'_>) -> Thing {
    world.create(creation(with(note("old"), json!({"a": {"b": 1, "c": 2}, "d": 3})))).await.unwrap()
}

#[tokio::test]
async fn a_mask_says_what_changes() {
    let sent = || with(Thing { name: "new".to_owned(), ..Default::default() }, json!({"a": {"b": 9, "x": {"y": 1}}, "e": 5, "z": null}));
    let (old, given) = (json!({"a": {"b": 1, "c": 2}, "d": 3}), json!({"a": {"b": 9, "x": {"y": 1}}, "e": 5, "z": null}));
    let bare = || Thing { status: "draft".to_owned(), ..Default::default() };
    let cases: Vec<(Thing, &[&str], &str, &str, Value)> = vec![
        // no mask: what is populated
        (sent(), &[], "new", "active", given.clone()),
        (bare(), &[], "old", "draft", old.clone()),
        (Thing { name: "new".to_owned(), ..Default::default() }, &[], "new", "active", old.clone()),
        (sent(), &["name"], "new", "active", old.clone()),
        (sent(), &["properties"], "old", "active", given.clone()),
        (bare(), &["properties"], "old", "active", json!({})),
        (sent(), &["*"], "new", "active", given.clone()),
        (sent(), &["properties.a.b"], "old", "active", json!({"a": {"b": 9, "c": 2}, "d": 3})),
        (sent(), &["properties.a"], "old", "active", json!({"a": {"b": 9, "x": {"y": 1}}, "d": 3})),
        (sent(), &["properties.a.x.y", "properties.e", "name"], "new", "active", json!({"a": {"b": 1, "c": 2, "x": {"y": 1}}, "d": 3, "e": 5})),
        // an absent value removes
        (sent(), &["properties.a.c"], "old", "active", json!({"a": {"b": 1}, "d": 3})),
        (sent(), &["properties.d"], "old", "active", json!({"a": {"b": 1, "c": 2}})),
        (sent(), &["properties.none.of.it", "properties.d.x", "properties.a.b.c.d"], "old", "active", old.clone()),
        // null is a value
        (sent(), &["properties.z"], "old", "active", json!({"a": {"b": 1, "c": 2}, "d": 3, "z": null})),
        // the part of a path that is named as a whole too
        (sent(), &["properties", "properties.e"], "old", "active", given.clone()),
        // empty is what the type says
        (sent(), &["status"], "old", "active", old.clone()),
    ];
    both(async |world| {
        for (sent, paths, name, status, kept) in cases.clone() {
            let thing = made(&world).await;
            let after = world.update(change(Thing { id: thing.id.clone(), ..sent }, paths)).await.unwrap();
            assert_eq!((after.name.as_str(), after.status.as_str(), &properties(&after)), (name, status, &kept), "{paths:?}");
            assert_eq!(world.get(&thing.id).await.unwrap(), after);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name() {
    both(async |world| {
        let thing = made(&world).await;
        let known = |sent: Thing| Thing { id: thing.id.clone(), ..sent };
        let big = || json!({ "big": "x".repeat(40_000) });
        let cases: Vec<(Thing, &[&str], Reason, &str)> = vec![
            (Thing::default(), &[], Reason::InvalidField, "thing.id"),
            (Thing { id: "x".to_owned(), ..Default::default() }, &[], Reason::InvalidField, "thing.id"),
            (known(Thing::default()), &["name"], Reason::InvalidField, "thing.name"),
            (known(Thing::default()), &["*"], Reason::InvalidField, "thing.name"),
            (known(Thing { r#type: "product".to_owned(), ..Default::default() }), &[], Reason::InvalidField, "thing.type"),
            (known(note("a")), &["type"], Reason::InvalidUpdateMask, "update_mask"),
            (known(note("a")), &["revision"], Reason::InvalidUpdateMask, "update_mask"),
            (known(note("a")), &["properties."], Reason::InvalidUpdateMask, "update_mask"),
            (known(note("a")), &["*", "name"], Reason::InvalidUpdateMask, "update_mask"),
            (known(Thing { status: "gone".to_owned(), ..Default::default() }), &[], Reason::InvalidStatus, "thing.status"),
            (known(Thing { group_id: NOBODY.to_owned(), ..Default::default() }), &[], Reason::GroupMismatch, ""),
            (known(with(Thing::default(), json!({"d": {"e": 1}}))), &["properties.d.e"], Reason::InvalidProperties, "thing.properties.d"),
            (known(with(Thing::default(), nested(33))), &[], Reason::InvalidProperties, "thing.properties.a.a"),
            (Thing { id: NOBODY.to_owned(), name: "a".to_owned(), ..Default::default() }, &[], Reason::ThingNotFound, ""),
        ];
        for (sent, paths, reason, field) in cases {
            let refusal = world.update(change(sent, paths)).await.unwrap_err();
            assert_eq!(refusal.reason(), reason, "{paths:?} {refusal}");
            assert!(fields(&refusal).first().map_or(field.is_empty(), |named| named.starts_with(field)), "{refusal}");
        }
        assert_eq!(world.get(&thing.id).await.unwrap(), thing);
        // a mask that names one path very often, and one very deep
        let often = vec!["properties.big"; 100_000];
        let deep = format!("properties{}", ".a".repeat(200_000));
        world.update(change(known(with(Thing::default(), big())), &[often, vec![&deep]].concat())).await.unwrap();
        // parts that fit one by one, but not together
        let more = json!({ "more": "x".repeat(40_000) });
        let refusal = world.update(change(known(with(Thing::default(), more)), &["properties.more"])).await.unwrap_err();
        assert_eq!((refusal.reason(), fields(&refusal).remove(0)), (Reason::InvalidProperties, "thing.properties".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn the_types_rules_hold_for_updates_too() {
    both(async |world| {
        let creator = Thing { r#type: "creator".to_owned(), ..with(note("a"), json!({"email": "a@b", "role": "customer"})) };
        let thing = world.create(creation(creator)).await.unwrap();
        let known = |properties| with(Thing { id: thing.id.clone(), ..Default::default() }, properties);
        for (properties, path, field) in [
            (json!({}), "properties.email", "thing.properties.email"),
            (json!({"role": "king"}), "properties.role", "thing.properties.role"),
            (json!({"niche": ["a", 1]}), "properties.niche", "thing.properties.niche[1]"),
            (json!({"role": "customer"}), "properties", "thing.properties.email"),
        ] {
            let refusal = world.update(change(known(properties), &[path])).await.unwrap_err();
            assert_eq!((refusal.reason(), fields(&refusal)), (Reason::InvalidProperties, vec![field.to_owned()]));
        }
        let after = world.update(change(known(json!({"username": "a"})), &["properties.username"])).await.unwrap();
        assert_eq!(after.warnings.len(), thing.warnings.len() - 1);
    })
    .await;
}

#[tokio::test]
async fn events_tell_what_changed_and_what_it_was() {
    both(async |world| {
        let thing = made(&world).await;
        let known = |sent: Thing| Thing { id: thing.id.clone(), ..sent };
        let status = |status: &str| known(Thing { status: status.to_owned(), ..Default::default() });
        let properties = json!({"a": {"b": 1, "c": 2}, "d": 3});
        world.events().await;
        let steps: Vec<(Thing, &[&str], &str, Value, Value)> = vec![
            (known(note("new")), &["name"], "entity_updated", json!({"name": "new"}), json!({"name": "old"})),
            (
                known(with(Thing::default(), json!({"a": {"b": 7}, "e": 5}))),
                &["properties.a.b", "properties.d", "properties.e"],
                "entity_updated",
                json!({"properties": {"a": {"b": 7, "c": 2}, "e": 5}}),
                json!({"properties": {"a": {"b": 1, "c": 2}, "d": 3}}),
            ),
            (
                known(with(Thing::default(), properties.clone())),
                &[],
                "entity_updated",
                json!({"properties": {"a": {"b": 1, "c": 2}, "d": 3}}),
                json!({"properties": {"a": {"b": 7, "c": 2}, "e": 5}}),
            ),
            (status("published"), &[], "entity_published", json!({"status": "published"}), json!({"status": "active"})),
            (Thing { name: "old".to_owned(), ..status("published") }, &[], "entity_updated", json!({"name": "old"}), json!({"name": "new"})),
            (status("archived"), &[], "entity_archived", json!({"status": "archived"}), json!({"status": "published"})),
            // restored: the whole state, since it appears in lists
            (
                status("draft"),
                &[],
                "entity_updated",
                json!({"type": "note", "name": "old", "status": "draft", "properties": properties}),
                json!({"status": "archived"}),
            ),
        ];
        for (at, (sent, paths, kind, changes, previous)) in steps.into_iter().enumerate() {
            let after = world.update(change(sent, paths)).await.unwrap();
            let revision = i64::try_from(at).unwrap() + 2;
            assert_eq!((after.revision, after.archive_time.is_some()), (revision, after.status == "archived"));
            let metadata = json!({"entityType": "note", "changes": changes, "previousValues": previous});
            assert_eq!(world.events().await, [(kind.to_owned(), thing.id.clone(), revision, metadata)]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_of_nothing_is_no_revision_and_no_event() {
    both(async |world| {
        let thing = made(&world).await;
        world.events().await;
        for request in [change(thing.clone(), &[]), change(Thing { etag: String::new(), ..thing.clone() }, &["name", "properties.none"])] {
            assert_eq!(world.update(request).await.unwrap(), thing);
        }
        assert_eq!(world.events().await, []);
        let stale = Thing { etag: "r7".to_owned(), ..thing };
        assert_eq!(reason(&world.update(change(stale, &[])).await), Some(Reason::EtagMismatch));
    })
    .await;
}

#[tokio::test]
async fn a_stale_etag_overwrites_nothing() {
    both(async |world| {
        let thing = made(&world).await;
        let renamed = |name: &str, etag: &str| Thing { id: thing.id.clone(), name: name.to_owned(), etag: etag.to_owned(), ..Default::default() };
        let after = world.update(change(renamed("b", &thing.etag), &[])).await.unwrap();
        assert_eq!((after.etag.as_str(), after.revision), ("r2", 2));
        assert!(after.update_time.unwrap().seconds >= thing.update_time.unwrap().seconds && after.create_time == thing.create_time);
        let refusal = world.update(change(renamed("c", &thing.etag), &[])).await.unwrap_err();
        assert_eq!((refusal.reason(), refusal.code()), (Reason::EtagMismatch, tonic::Code::Aborted));
        assert_eq!(world.update(change(renamed("c", ""), &[])).await.unwrap().name, "c");
    })
    .await;
}

#[tokio::test]
async fn a_group_user_changes_only_its_own() {
    both(async |world| {
        let user = world.user();
        let (theirs, own) = (world.note("a").await, user.note("b").await);
        let renamed = |thing: &Thing| change(Thing { id: thing.id.clone(), name: "c".to_owned(), ..Default::default() }, &[]);
        assert_eq!(reason(&user.update(renamed(&theirs)).await), Some(Reason::InsufficientRole));
        // by actor, whatever the key
        let mut later = user.who.clone();
        later.actor.key_id = Some(contract::id::KeyId::new(0));
        assert_eq!(World::of(world.case, later).update(renamed(&own)).await.unwrap().name, "c");
        assert_eq!(world.update(renamed(&own)).await.unwrap().revision, 2);
        assert_eq!(world.update(renamed(&theirs)).await.unwrap().name, "c");
    })
    .await;
}
