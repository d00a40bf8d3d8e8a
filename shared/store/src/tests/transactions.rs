//! Kept together or not at all, whatever the handler does.

use super::fixture::{MIGRATIONS, Made, Make, group, make, notes, principal, put};
use crate::{
    BASE, DbOptions, Dialect, Error, Limits, Migration,
    testing::{Case, both},
};
use contract::{Reason, Refusal};
use futures::FutureExt;
use std::time::Duration;
use tokio::{sync::oneshot, task::JoinSet};

#[tokio::test]
async fn what_was_committed_is_there_and_what_was_dropped_never_was() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let mut kept = case.db.group(group).begin().await.unwrap();
        put(&mut kept, group, "kept").await.unwrap();
        kept.commit().await.unwrap();
        let mut dropped = case.db.group(group).begin().await.unwrap();
        put(&mut dropped, group, "dropped").await.unwrap();
        drop(dropped);
        let mut undone = case.db.group(group).begin().await.unwrap();
        put(&mut undone, group, "undone").await.unwrap();
        undone.undo().await.unwrap();
        assert_eq!(notes(&case.db, group).await, ["kept"]);
        case.explain_all().await;
    })
    .await;
}

#[tokio::test]
async fn a_neighbour_that_fails_or_vanishes_harms_nobody() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let mut tasks = JoinSet::new();
        for n in 0..60 {
            let db = case.db.clone();
            tasks.spawn(async move {
                let mut tx = db.group(group).begin().await.unwrap();
                put(&mut tx, group, &format!("{n:02}")).await.unwrap();
                match n % 4 {
                    0 => assert!(put(&mut tx, group, &format!("{n:02}")).await.unwrap_err().is_conflict()),
                    1 => panic!("a handler's bug"),
                    2 => tx.undo().await.unwrap(),
                    _ => tx.commit().await.unwrap(),
                }
            });
        }
        while tasks.join_next().await.is_some() {}
        let expected: Vec<String> = (0..60).filter(|n| n % 4 == 3).map(|n| format!("{n:02}")).collect();
        assert_eq!(notes(&case.db, group).await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_handler_leaves_nothing_and_frees_the_writer() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let (began, has_begun) = oneshot::channel();
        let db = case.db.clone();
        let handler = tokio::spawn(async move {
            let mut tx = db.group(group).begin().await.unwrap();
            put(&mut tx, group, "half").await.unwrap();
            began.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        has_begun.await.unwrap();
        handler.abort();
        let mut next = case.db.group(group).begin().await.unwrap();
        put(&mut next, group, "next").await.unwrap();
        next.commit().await.unwrap();
        assert_eq!(notes(&case.db, group).await, ["next"]);
    })
    .await;
}

#[tokio::test]
async fn after_an_error_a_transaction_can_only_be_dropped() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let mut tx = case.db.group(group).begin().await.unwrap();
        put(&mut tx, group, "one").await.unwrap();
        assert!(put(&mut tx, group, "one").await.unwrap_err().is_conflict());
        assert!(matches!(put(&mut tx, group, "two").await, Err(Error::Spoiled)));
        assert!(matches!(tx.commit().await, Err(Error::Spoiled)));
        assert!(notes(&case.db, group).await.is_empty());
    })
    .await;
}

async fn reopened(case: &Case, limits: Limits) -> crate::Db {
    crate::Db::open(DbOptions { limits, ..case.options.clone() }).await.unwrap()
}

#[tokio::test]
async fn a_loan_ends_at_its_limit() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let db = reopened(case, Limits { loan: Duration::from_millis(50), ..Limits::default() }).await;
        let mut slow = db.group(group).begin().await.unwrap();
        put(&mut slow, group, "slow").await.unwrap();
        // Waits for the condition itself: the same row can be written by the next one only when the loan is over.
        let mut next = case.db.group(group).begin().await.unwrap();
        put(&mut next, group, "slow").await.unwrap();
        next.commit().await.unwrap();
        let error = put(&mut slow, group, "late").await.unwrap_err();
        assert!(matches!(error, Error::Expired | Error::NotKept(_)), "{error:?}");
        assert!(slow.commit().await.is_err());
        assert_eq!(notes(&db, group).await, ["slow"]);
        db.close().await;
    })
    .await;
}

#[tokio::test]
async fn too_many_who_wait_are_told_so() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let limits = Limits { waiting: 0, connections: 1, patience: Duration::from_millis(50), ..Limits::default() };
        let db = reopened(case, limits).await;
        let open = if case.dialect == Dialect::Postgres { Some(db.group(group).begin().await.unwrap()) } else { None };
        assert!(matches!(db.group(group).begin().await, Err(Error::Busy)));
        drop(open);
        db.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_closed_store_says_that_nothing_was_kept() {
    both(MIGRATIONS, async |case| {
        let db = case.again().await;
        db.close().await;
        assert!(matches!(db.group(group()).begin().await, Err(Error::NotKept(_))));
        assert!(db.group(group()).sql("select n from counter where group_id = $1").bind(group()).opt::<(i64,)>().await.is_err());
    })
    .await;
}

#[tokio::test]
async fn on_postgres_a_wall_stands_behind_the_statement() {
    let case = Case::postgres(MIGRATIONS).await;
    let (mine, theirs) = (group(), group());
    for group in [mine, theirs] {
        let mut tx = case.db.group(group).begin().await.unwrap();
        put(&mut tx, group, &group.to_string()).await.unwrap();
        tx.commit().await.unwrap();
    }
    let count = "select count(*) from note";
    let seen: (i64,) = case.db.group(mine).sql(count).one().await.unwrap();
    let both: (i64,) = case.db.groups(&[mine, theirs]).sql(count).one().await.unwrap();
    let all: (i64,) = case.db.system("test").sql(count).one().await.unwrap();
    assert_eq!((seen.0, both.0, all.0), (1, 2, 2));
    let mut tx = case.db.group(mine).begin().await.unwrap();
    assert!(put(&mut tx, theirs, "foreign").await.is_err());
    drop(tx);
    let mut tx = case.db.group(mine).begin().await.unwrap();
    tx.reach(&[theirs]).await.unwrap();
    put(&mut tx, theirs, "reached").await.unwrap();
    tx.commit().await.unwrap();
    case.end().await;
}

const DEFERRED: &[Migration] = &[
    BASE,
    MIGRATIONS[1],
    Migration {
        version: 3,
        name: "deferred",
        min_reader: 0,
        sql: &["CREATE TABLE parent (id BIGINT PRIMARY KEY)", "CREATE TABLE child (id BIGINT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"],
    },
];

/// SQLite only: on Postgres nobody sees a row before its COMMIT. A deferred constraint is the one way to make a COMMIT fail on purpose.
#[tokio::test]
async fn a_refusal_that_rests_on_a_neighbours_row_falls_with_it() {
    let case = Case::sqlite(DEFERRED).await;
    let group = group();
    let mut neighbour = case.db.group(group).begin().await.unwrap();
    put(&mut neighbour, group, "taken").await.unwrap();
    neighbour.sql("insert into child (id) values (1)").run().await.unwrap();
    let (db, who) = (case.db.clone(), principal(group));
    let refused = tokio::spawn(async move {
        db.change::<Make, Made, _>(&who, make("taken", ""), |principal, tx, input| {
            async move {
                let text = "select text from note where group_id = $1 and text = $2";
                let taken: Option<(String,)> = tx.sql(text).bind(principal.group).bind(input.text.as_str()).opt().await?;
                assert_eq!(taken, Some(("taken".into(),)), "it stands in its neighbour's batch");
                Err(Refusal::new(Reason::EtagMismatch, "taken"))
            }
            .boxed()
        })
        .await
    });
    tokio::task::yield_now().await; // one thread: now it waits for the writer
    assert!(matches!(neighbour.commit().await, Err(Error::NotKept(_) | Error::Sql(_))));
    assert_eq!(refused.await.unwrap().unwrap_err().reason(), Reason::StoreUnavailable);
    assert!(notes(&case.db, group).await.is_empty());
    case.end().await;
}
