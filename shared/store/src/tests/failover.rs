//! Connections that a failover leaves behind.

use super::fixture::{MIGRATIONS, group, make, notes, principal, send};
use crate::{
    Db, Error,
    testing::{Case, postgres},
};
use contract::Reason;
use futures::future::{join_all, try_join_all};
use std::time::Duration;

const CONNECTIONS: u32 = 4;

async fn case(connections: u32) -> (Case, Db) {
    let mut case = Case::postgres(MIGRATIONS).await;
    case.options.limits.connections = connections;
    case.options.limits.patience = Duration::from_secs(1);
    case.options.limits.loan = Duration::from_millis(500);
    let db = case.again().await;
    (case, db)
}

/// Has all connections work at once, and names their backends.
async fn backends(db: &Db) -> Vec<String> {
    let system = db.system("test");
    let asked = (0..CONNECTIONS).map(|_| system.sql("select pg_backend_pid()::bigint from pg_sleep(0.1)").one::<(i64,)>());
    try_join_all(asked).await.unwrap().into_iter().map(|(id,)| id.to_string()).collect()
}

#[tokio::test]
async fn a_connection_that_only_reads_is_thrown_away() {
    let (case, db) = case(1).await;
    // What is left of a server that became a replica: it answers, and keeps nothing.
    db.system("test").sql("set session characteristics as transaction read only").run().await.unwrap();
    let group = group();
    let caller = principal(group);
    let refused = send(&db, &caller, make("first", "")).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::StoreUnavailable);
    assert!(refused.retry_after().is_some());
    send(&db, &caller, make("second", "")).await.unwrap();
    assert_eq!(notes(&db, group).await, ["second"]);
    db.close().await;
    case.end().await;
}

#[tokio::test]
async fn no_change_meets_a_connection_that_was_shut_down_while_idle() {
    let (case, db) = case(CONNECTIONS).await;
    let group = group();
    let caller = principal(group);
    for round in 0..3 {
        let ids = backends(&db).await.join(",");
        postgres().run(&format!("select pg_terminate_backend(pid, 5000) from unnest(array[{ids}]) pid")).await;
        let changes = (0..CONNECTIONS).map(|number| send(&db, &caller, make(&format!("{round} {number}"), "")));
        for change in join_all(changes).await {
            change.unwrap();
        }
    }
    assert_eq!(notes(&db, group).await.len(), 12);
    db.close().await;
    case.end().await;
}

#[tokio::test]
async fn who_waits_behind_others_meets_overload_and_who_waits_where_nothing_moves_does_not() {
    let (case, db) = case(1).await;
    let system = db.system("test");
    let held = system.begin().await.unwrap();
    let (_taken, waited, ended) = tokio::join!(biased; system.begin(), system.begin(), held.undo());
    ended.unwrap();
    let refused = waited.err().unwrap();
    assert!(matches!(refused, Error::Busy), "{refused}");
    let refused = system.begin().await.err().unwrap();
    assert!(matches!(refused, Error::NotKept(_)), "{refused}");
    system.begin().await.expect("another pool took its place");
    db.close().await;
    case.end().await;
}

#[tokio::test]
async fn a_store_whose_connections_are_all_in_use_is_there() {
    let (case, db) = case(1).await;
    let system = db.system("test");
    let held = system.begin().await.unwrap();
    let (_taken, answer, ended) = tokio::join!(biased; system.begin(), db.answers(), held.undo());
    ended.unwrap();
    answer.expect("it is busy, not away");
    db.close().await;
    case.end().await;
}

#[tokio::test]
async fn a_store_is_there_until_nothing_moves_in_it() {
    let (case, db) = case(1).await;
    db.answers().await.unwrap();
    let held = db.system("test").begin().await.unwrap();
    let refused = db.answers().await.unwrap_err();
    assert!(matches!(refused, Error::NotKept(_)), "{refused}");
    db.answers().await.expect("another pool took its place");
    drop(held);
    db.close().await;
    case.end().await;
}
