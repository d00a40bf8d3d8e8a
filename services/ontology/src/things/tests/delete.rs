use super::*;

#[tokio::test]
async fn deleting_archives_once_and_an_update_restores() {
    both(async |world| {
        let thing = world.note("a").await;
        world.events().await;
        let gone = world.delete(removal(&thing.id, &thing.etag)).await.unwrap();
        assert_eq!((gone.status.as_str(), gone.revision, gone.archive_time), ("archived", 2, gone.update_time));
        let metadata = json!({"entityType": "note", "changes": {"status": "archived"}, "previousValues": {"status": "active"}});
        assert_eq!(world.events().await, [("entity_archived".to_owned(), thing.id.clone(), 2, metadata)]);
        // again: OK, and nothing happens
        assert_eq!(world.delete(removal(&thing.id, "")).await.unwrap(), gone);
        assert_eq!(world.get(&thing.id).await.unwrap(), gone);
        assert_eq!(world.events().await, []);
        assert_eq!(reason(&world.delete(removal(&thing.id, &thing.etag)).await), Some(Reason::EtagMismatch));
        // it may change while it is archived, and stays so
        let renamed = Thing { id: thing.id.clone(), name: "b".to_owned(), ..Default::default() };
        assert_eq!(world.update(change(renamed, &[])).await.unwrap().archive_time, gone.archive_time);
        let back = Thing { id: thing.id.clone(), status: "active".to_owned(), ..Default::default() };
        let back = world.update(change(back, &[])).await.unwrap();
        assert_eq!((back.status.as_str(), back.archive_time), ("active", None));
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_cannot_be_deleted() {
    both(async |world| {
        assert_eq!(reason(&world.delete(removal(NOBODY, "")).await), Some(Reason::ThingNotFound));
        assert_eq!(fields(&world.delete(removal("x", "")).await.unwrap_err()), ["id"]);
        assert_eq!(fields(&world.get("").await.unwrap_err()), ["id"]);
        let tried = DeleteThingRequest { validate_only: true, ..removal(&world.note("a").await.id, "") };
        assert_eq!(world.delete(tried.clone()).await.unwrap().status, "archived");
        assert_eq!(world.get(&tried.id).await.unwrap().status, "active");
    })
    .await;
}
