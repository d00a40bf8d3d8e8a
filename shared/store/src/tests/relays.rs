//! Every event reaches the log, once by its id, in the order of its target's revisions.

use super::fixture::{MIGRATIONS, group, make, principal, rows, send};
use crate::{Append, At, Db, NewEvent, Relay, Result, Target, testing::both};
use contract::{Reason, Refusal, id::GroupId, internal::v1::LogEvent};
use prost_types::{Struct, Value, value::Kind};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

/// A log in memory. It knows events by their ids, and every third answer is lost on the way back.
#[derive(Clone, Default)]
struct Log(Arc<Memory>);

#[derive(Default)]
struct Memory {
    events: Mutex<Vec<LogEvent>>,
    calls: Mutex<usize>,
    count: watch::Sender<usize>,
}

impl Append for Log {
    async fn append(&self, events: Vec<LogEvent>) -> Result<(), Status> {
        let (len, calls) = {
            let (mut known, mut calls) = (self.0.events.lock().unwrap(), self.0.calls.lock().unwrap());
            for event in events {
                if known.iter().all(|old| old.id != event.id) {
                    known.push(event);
                }
            }
            *calls += 1;
            (known.len(), *calls)
        };
        self.0.count.send_replace(len);
        if calls % 3 == 0 { Err(Status::unavailable("the answer was lost")) } else { Ok(()) }
    }
}

impl Log {
    async fn has(&self, count: usize) {
        let mut seen = self.0.count.subscribe();
        timeout(Duration::from_secs(30), seen.wait_for(|len| *len >= count)).await.expect("the events arrive").unwrap();
    }

    fn events(&self) -> Vec<LogEvent> {
        self.0.events.lock().unwrap().clone()
    }
}

fn start(db: &Db, log: &Log, relays: &mut JoinSet<()>) -> CancellationToken {
    start_with(Duration::from_millis(1), db, log, relays)
}

fn start_with(gather: Duration, db: &Db, log: &Log, relays: &mut JoinSet<()>) -> CancellationToken {
    let stop = CancellationToken::new();
    relays.spawn(Relay::new(db.clone(), log.clone(), gather).run(stop.clone()));
    stop
}

/// Until the outbox is empty; it always ends, for the relay polls.
async fn emptied(db: &Db) {
    timeout(Duration::from_secs(30), async {
        while rows(db, "select count(*) from outbox where number > 0").await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the outbox empties");
}

#[tokio::test]
async fn every_change_reaches_the_log_once_and_in_order() {
    both(MIGRATIONS, async |case| {
        let (log, mut relays, second) = (Log::default(), JoinSet::new(), case.again().await);
        let stops = [start(&case.db, &log, &mut relays), start(&second, &log, &mut relays)];
        let mut writers = JoinSet::new();
        for _ in 0..8 {
            writers.spawn(revisions(case.db.clone(), group(), Uuid::new_v4()));
        }
        writers.join_all().await;
        log.has(160).await;
        emptied(&case.db).await;
        stops.iter().for_each(CancellationToken::cancel);
        relays.join_all().await;
        let mut last: HashMap<Vec<u8>, i64> = HashMap::new();
        for event in log.events() {
            let before = last.insert(event.target_id.to_vec(), event.revision).unwrap_or_default();
            assert_eq!(event.revision, before + 1, "revisions come in order, without a gap");
        }
        assert!(last.len() == 8 && last.values().all(|revision| *revision == 20));
        second.close().await;
        case.explain_all().await;
    })
    .await;
}

#[tokio::test]
async fn a_change_now_and_then_goes_at_once_and_many_go_together() {
    both(MIGRATIONS, async |case| {
        let (log, mut relays) = (Log::default(), JoinSet::new());
        let stop = start_with(Duration::from_secs(3_600), &case.db, &log, &mut relays);
        revisions(case.db.clone(), group(), Uuid::new_v4()).await;
        log.has(1).await; // at once: the next ones would wait for an hour
        revisions(case.db.clone(), group(), Uuid::new_v4()).await;
        stop.cancel();
        relays.join_all().await;
        assert_eq!(log.events().len(), 40);
        let calls = *log.0.calls.lock().unwrap();
        assert!(calls < 10, "{calls} shipments of 40 changes");
    })
    .await;
}

/// Twenty changes of one row.
async fn revisions(db: Db, group: GroupId, id: Uuid) {
    let text = id.to_string();
    for revision in 1..=20 {
        let mut tx = db.group(group).begin().await.unwrap();
        tx.sql(
            "insert into note (group_id, id, text, revision) values ($1, $2, $3, $4)
             on conflict (group_id, id) do update set revision = excluded.revision",
        )
        .bind(group)
        .bind(id)
        .bind(text.as_str())
        .bind(revision)
        .run()
        .await
        .unwrap();
        tx.emit(NewEvent { group, kind: "note_updated", target: Target { kind: "note", id, revision }, metadata: None }).unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_drain_ships_what_is_left_and_leaves_the_lease() {
    both(MIGRATIONS, async |case| {
        let (log, mut relays) = (Log::default(), JoinSet::new());
        for n in 0..3 {
            send(&case.db, &principal(group()), make(&n.to_string(), "")).await.unwrap();
        }
        start(&case.db, &log, &mut relays).cancel();
        relays.join_all().await;
        assert_eq!(log.events().len(), 3);
        assert_eq!(rows(&case.db, "select count(*) from outbox where number > 0").await, 0);
        let system = case.db.system("the test looks at the lease");
        let held = system.sql("select count(*) from worker where name = 'relay' and held_until > $1").bind(At(case.db.clock().micros()));
        assert_eq!(held.one::<(i64,)>().await.unwrap(), (0,), "a restart need not wait");
        let event = &log.events()[0];
        assert_eq!((event.r#type.as_str(), event.call_id.as_str(), event.traceparent.len()), ("note_created", "call", 55));
        assert_eq!(
            Uuid::from_slice(&event.id).unwrap().get_timestamp().map(|time| time.to_unix().0),
            u64::try_from(event.create_micros / 1_000_000).ok()
        );
    })
    .await;
}

#[tokio::test]
async fn a_relay_that_died_is_followed_by_another() {
    both(MIGRATIONS, async |case| {
        let (log, mut relays, second) = (Log::default(), JoinSet::new(), case.again().await);
        let first = start(&case.db, &log, &mut relays);
        send(&case.db, &principal(group()), make("a", "")).await.unwrap();
        log.has(1).await;
        emptied(&case.db).await;
        relays.abort_all(); // it still holds the lease
        drop(first);
        let stop = start(&second, &log, &mut relays);
        send(&case.db, &principal(group()), make("b", "")).await.unwrap();
        case.clock.advance(Duration::from_secs(6));
        log.has(2).await;
        stop.cancel();
        while relays.join_next().await.is_some() {}
        second.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_the_log_could_not_take_is_refused_before_anything_is_kept() {
    both(MIGRATIONS, async |case| {
        let group = group();
        let mut tx = case.db.group(group).begin().await.unwrap();
        let target = Target { kind: "note", id: Uuid::new_v4(), revision: 1 };
        let text = |text: &str| Value { kind: Some(Kind::StringValue(text.into())) };
        let fields = |name: &str, value| Struct { fields: [(name.to_owned(), value)].into() };
        let nested = |value| Value { kind: Some(Kind::StructValue(fields("inner", value))) };
        let long = "t".repeat(201);
        let wrong = [
            ("note_created", Some(fields("a", text(&"x".repeat(256 << 10))))),
            ("note_created", Some(fields("a\0", text("")))),
            ("note_created", Some(fields("a", nested(text("\0"))))),
            (long.as_str(), None),
            ("a\0b", None),
        ];
        for (kind, metadata) in wrong {
            let refusal: Refusal = tx.emit(NewEvent { group, kind, target, metadata }).unwrap_err();
            assert_eq!(refusal.reason(), Reason::InvalidField);
        }
        tx.emit(NewEvent { group, kind: &long[1..], target, metadata: Some(fields("a", text(&"x".repeat(200 << 10)))) }).unwrap();
        tx.commit().await.unwrap();
        assert_eq!(rows(&case.db, "select count(*) from outbox where number > 0").await, 1);
    })
    .await;
}

#[tokio::test]
async fn many_events_of_one_change_keep_their_order_by_number_and_by_id() {
    both(MIGRATIONS, async |case| {
        let (first, second) = (group(), group());
        let mut tx = case.db.group(first).begin().await.unwrap();
        for revision in 0..700 {
            let group = if revision % 2 == 0 { first } else { second };
            tx.emit(NewEvent { group, kind: "note_updated", target: Target { kind: "note", id: *group, revision }, metadata: None }).unwrap();
        }
        tx.commit().await.unwrap();
        for text in ["select revision from outbox order by number", "select revision from outbox order by event_id"] {
            let revisions: Vec<(i64,)> = case.db.system("test").sql(text).all().await.unwrap();
            assert!(revisions.into_iter().map(|(revision,)| revision).eq(0..700), "{text}");
        }
    })
    .await;
}
