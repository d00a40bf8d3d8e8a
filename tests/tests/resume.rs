//! Cursors: where a watch goes on, and where it can't.

use crate::watch::{PATIENCE, assert_gap_free, next, settled, take, targets};
use contract::{
    Reason,
    events::v1::{WatchEventsRequest, watch_events_request::From},
    identity::v1::RevokeKeyRequest,
};
use std::time::{Duration, Instant};
use tests::{Caller, Engine, Layout, Mesh, Refused, Refuses, Role, eventually, on_every_mesh, run};
use tonic::Code;

async fn refused(caller: &Caller, cursor: &str) -> Refused {
    let request = WatchEventsRequest { from: Some(From::Cursor(cursor.to_owned())), ..Default::default() };
    match caller.events().watch_events(request).await {
        Err(status) => status.into(),
        Ok(stream) => stream.into_inner().message().await.expect_err("a refusal").into(),
    }
}

on_every_mesh![
    a_filtered_watch_resumes_from_its_cursor,
    a_watch_of_a_revoked_key_ends_within_a_second,
    a_cursor_that_is_not_this_groups_is_refused,
    a_cursor_is_sealed_at_every_byte,
];

async fn a_filtered_watch_resumes_from_its_cursor(mesh: Mesh) {
    let tenant = settled(&mesh).await;
    let filtered = |from: From| WatchEventsRequest { from: Some(from), filter: "type = entity_updated".to_owned() };
    let mut stream = tenant.events().watch_events(filtered(From::Now(true))).await.unwrap().into_inner();
    next(&mut stream).await;
    let thing = tenant.create("A").await;
    tenant.rename(&thing.id, "B").await;
    let (events, cursor) = take(&mut stream, 1).await;
    assert_eq!(events[0].r#type, "entity_updated");
    drop(stream);
    // What the filter leaves out while nobody watches moves the place as well, and is not seen afterwards.
    let other = tenant.create("left out").await;
    tenant.rename(&thing.id, "C").await;
    tenant.rename(&other.id, "D").await;
    let mut stream = tenant.events().watch_events(filtered(From::Cursor(cursor.clone()))).await.unwrap().into_inner();
    let (events, later) = take(&mut stream, 2).await;
    assert_eq!(targets(&events), [thing.id.clone(), other.id.clone()]);
    assert!(events.iter().all(|event| event.r#type == "entity_updated"), "{events:?}");
    // A cursor is a place in the log, whatever the filter was.
    let (all, _) = take(&mut tenant.watch(From::Cursor(cursor)).await, 3).await;
    assert_eq!(targets(&all), [other.id.clone(), thing.id.clone(), other.id]);
    assert_gap_free(&all);
    tenant.rename(&thing.id, "E").await;
    let mut stream = tenant.events().watch_events(filtered(From::Cursor(later))).await.unwrap().into_inner();
    assert_eq!(targets(&take(&mut stream, 1).await.0), [thing.id]);
}

async fn a_watch_of_a_revoked_key_ends_within_a_second(mesh: Mesh) {
    let tenant = settled(&mesh).await;
    let made = tenant.create_key("to be revoked", "group_owner", &["*"]).await;
    let caller = tenant.with_key(&made.secret);
    let mut stream = caller.watch(From::Now(true)).await;
    next(&mut stream).await;
    let request = RevokeKeyRequest { id: made.key.unwrap().id, ..Default::default() };
    tenant.keys().revoke_key(request).await.unwrap();
    let answered = Instant::now();
    let ended: Refused = loop {
        match tokio::time::timeout(PATIENCE, stream.message()).await.expect("the watch ends") {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a stream that just ends says nothing"),
            Err(status) => break status.into(),
        }
    };
    assert!(answered.elapsed() < Duration::from_secs(1), "it took {:?}", answered.elapsed());
    assert_eq!((ended.reason, ended.code), (Reason::AccessChanged, Code::Unavailable));
    assert!(ended.retry.is_some(), "it asks to try again, and then says what changed: {ended:?}");
    let again = caller.events().watch_events(WatchEventsRequest { from: Some(From::Now(true)), ..Default::default() }).await.refused();
    assert_eq!(again.reason, Reason::KeyRevoked);
}

async fn a_cursor_that_is_not_this_groups_is_refused(mesh: Mesh) {
    let (tenant, other) = (mesh.tenant().await, mesh.tenant().await);
    let cursor = next(&mut tenant.watch(From::Now(true)).await).await.cursor;
    for wrong in [
        next(&mut other.watch(From::Now(true)).await).await.cursor,
        cursor[..cursor.len() - 1].to_owned(),
        format!("{cursor}A"),
        "forged".to_owned(),
        "1; drop table events".to_owned(),
    ] {
        let refused = refused(&tenant, &wrong).await;
        assert_eq!((refused.reason, refused.code), (Reason::InvalidCursor, Code::InvalidArgument), "{wrong}");
    }
    let none = tenant.events().watch_events(WatchEventsRequest::default()).await;
    let reason = match none {
        Err(status) => tests::reason(&status),
        Ok(stream) => tests::reason(&stream.into_inner().message().await.expect_err("a refusal")),
    };
    assert_eq!(reason, Reason::InvalidField, "nothing is chosen");
}

async fn a_cursor_is_sealed_at_every_byte(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let cursor = next(&mut tenant.watch(From::Now(true)).await).await.cursor;
    for at in 0..cursor.len() {
        let mut flipped = cursor.clone().into_bytes();
        flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
        for wrong in [String::from_utf8(flipped).unwrap(), cursor[..at].to_owned()] {
            if wrong != cursor && !wrong.is_empty() {
                assert_eq!(refused(&tenant, &wrong).await.reason, Reason::InvalidCursor, "byte {at}");
            }
        }
    }
}

/// The log is another one, as if an old backup had been put in its place.
async fn a_cursor_ahead_of_the_log_is_out_of_range(layout: Layout, engine: Engine) {
    let mesh = Mesh::start(layout, engine).await;
    let _shown = mesh.show_logs_of_a_failure();
    let tenant = settled(&mesh).await;
    tenant.create("before").await;
    let (_, cursor) = take(&mut tenant.watch(From::Beginning(true)).await, 3).await;
    mesh.take(Role::Events, 0).interrupt();
    match mesh.database() {
        Some(database) => drop(database.ask("drop schema events cascade")),
        None => {
            let files = std::fs::read_dir(mesh.data(Role::Events, 0)).unwrap().map(|file| file.unwrap().path());
            files
                .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("events"))
                .for_each(|path| std::fs::remove_file(path).unwrap());
        }
    }
    mesh.start_again(Role::Events, 0);
    let lost = eventually("the new log to answer", || async {
        let lost = refused(&tenant, &cursor).await;
        (lost.code != Code::Unavailable).then_some(lost)
    })
    .await;
    assert_eq!((lost.reason, lost.code), (Reason::CursorOutOfRange, Code::OutOfRange));
    let oldest = lost.metadata["oldest_cursor"].clone();
    let after = tenant.create("after").await;
    let (events, _) = take(&mut tenant.watch(From::Cursor(oldest)).await, 1).await;
    assert_eq!(targets(&events), [after.id]);
}

#[test]
fn a_cursor_ahead_of_the_log_is_out_of_range_on_sqlite() {
    run(Layout::OneProcess, Engine::Sqlite, |_| a_cursor_ahead_of_the_log_is_out_of_range(Layout::OneProcess, Engine::Sqlite));
}

#[test]
fn a_cursor_ahead_of_the_log_is_out_of_range_on_postgres() {
    run(Layout::OneProcess, Engine::Postgres, |_| a_cursor_ahead_of_the_log_is_out_of_range(Layout::OneProcess, Engine::Postgres));
}

#[test]
fn a_cursor_ahead_of_the_log_is_out_of_range_in_a_split_mesh() {
    run(Layout::Split, Engine::Postgres, |_| a_cursor_ahead_of_the_log_is_out_of_range(Layout::Split, Engine::Postgres));
}
