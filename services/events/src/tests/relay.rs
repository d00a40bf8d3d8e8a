//! From 64 writers to a watcher, through everything that can go wrong in between.

use super::{House, group};
use chassis::upstream::Client;
use contract::{
    events::v1::{Event, watch_events_request::From},
    id::GroupId,
    internal::v1::LogEvent,
};
use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use store::{
    Append, BASE, Db, Dialect, LogClient, Migration, NewEvent, Relay, Target,
    testing::{Case, both},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

/// A service whose things count their changes.
const SERVICE: &[Migration] = &[
    BASE,
    Migration {
        version: 2,
        name: "thing",
        min_reader: 0,
        sql: &["create table thing (group_id uuid not null, id uuid not null, revision bigint not null, primary key (group_id, id))"],
    },
];

const WRITERS: u128 = 64;
const CHANGES: u128 = 12;
const GATHER: Duration = Duration::from_millis(1);

/// A log that answers badly.
#[derive(Clone)]
struct Lossy {
    log: LogClient<Client>,
    calls: Arc<AtomicU64>,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// Each third call is refused before, each third fails after it was kept.
    Refuses,
    /// Keeps the first and never answers.
    Hangs,
}

impl Lossy {
    fn new(house: &House, how: How) -> Self {
        Self { log: house.log(), calls: Arc::default(), how }
    }
}

impl Append for Lossy {
    async fn append(&self, events: Vec<LogEvent>) -> Result<(), Status> {
        let call = self.calls.fetch_add(1, Relaxed);
        match (self.how, call % 3) {
            (How::Refuses, 0) => Err(Status::unavailable("not reached")),
            (How::Refuses, 1) => self.log.append(events).await.and(Err(Status::unavailable("the answer was lost"))),
            (How::Refuses, _) => self.log.append(events).await,
            (How::Hangs, _) => {
                self.log.append(events).await?;
                self.calls.fetch_add(1, Relaxed);
                pending().await
            }
        }
    }
}

async fn service_beside(case: &Case) -> Case {
    match case.dialect {
        Dialect::Sqlite => Case::sqlite(SERVICE).await,
        Dialect::Postgres => Case::postgres(SERVICE).await,
    }
}

/// One change of a thing, and its event.
async fn change(db: &Db, group: GroupId, thing: Uuid) {
    let mut tx = db.group(group).begin().await.unwrap();
    let (revision,): (i64,) = tx
        .sql("insert into thing (group_id, id, revision) values ($1, $2, 1) on conflict (group_id, id) do update set revision = thing.revision + 1 returning revision")
        .bind(group)
        .bind(thing)
        .one()
        .await
        .unwrap();
    tx.emit(NewEvent { group, kind: "entity_updated", target: Target { kind: "thing", id: thing, revision }, metadata: None }).unwrap();
    tx.commit().await.unwrap();
}

/// 64 writers on ten things each of three groups.
async fn write(db: &Db, groups: [GroupId; 3]) {
    let writers = (0..WRITERS).map(|writer| {
        let db = db.clone();
        tokio::spawn(async move {
            for round in 0..CHANGES {
                let group = groups[usize::try_from((writer + round) % 3).unwrap()];
                change(&db, group, Uuid::from_u128(1 + (writer * 7 + round) % 10)).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

fn ship(db: &Db, log: impl Append, stop: &CancellationToken) -> JoinHandle<()> {
    tokio::spawn(Relay::new(db.clone(), log, GATHER).run(stop.clone()))
}

/// Moves the clock until told to stop, so that no lease holds.
fn lease_ender(case: &Case, stop: &CancellationToken) -> JoinHandle<()> {
    let (clock, stop) = (case.clock.clone(), stop.clone());
    tokio::spawn(async move {
        while stop.run_until_cancelled(tokio::task::yield_now()).await.is_some() {
            clock.advance(Duration::from_secs(10));
            tokio::time::timeout(Duration::from_millis(5), stop.cancelled()).await.ok();
        }
    })
}

/// Every change once, numbers without gaps, and the revisions of each thing in order.
async fn assert_whole(house: &House, groups: [GroupId; 3]) {
    let mut total = 0;
    for (place, group) in (0u128..).zip(groups) {
        let count = (0..WRITERS).flat_map(|writer| (0..CHANGES).map(move |round| (writer + round) % 3)).filter(|chosen| *chosen == place).count();
        let events = house.watch(group, From::Beginning(true), "").await.unwrap().take(count).await;
        assert!(events.iter().map(|event| event.sequence).eq(1..=i64::try_from(count).unwrap()));
        assert_in_order(&events);
        total += count;
    }
    let entries = (house.events.log.read(0, 0, Duration::ZERO).await.unwrap().rows, total);
    assert!(entries.0.len() == entries.1.min(500));
}

fn assert_in_order(events: &[Event]) {
    let mut revisions = HashMap::<&str, i64>::new();
    for target in events.iter().filter_map(|event| event.target.as_ref()) {
        let last = revisions.entry(&target.id).or_default();
        assert_eq!(target.revision, *last + 1, "each revision of a thing, once, in order");
        *last = target.revision;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_arrives_once_and_in_order_though_answers_are_lost() {
    both(crate::MIGRATIONS, async |case| {
        let (house, service, stop) = (House::on(case), service_beside(case).await, CancellationToken::new());
        let groups = [group(), group(), group()];
        let relay = ship(&service.db, Lossy::new(&house, How::Refuses), &stop);
        write(&service.db, groups).await;
        assert_whole(&house, groups).await;
        stop.cancel();
        relay.await.unwrap();
        case.explain_all().await;
        house.end().await;
        service.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_at_once_repeat_and_reorder_nothing() {
    both(crate::MIGRATIONS, async |case| {
        let (house, service, stop) = (House::on(case), service_beside(case).await, CancellationToken::new());
        let groups = [group(), group(), group()];
        let tasks = [lease_ender(&service, &stop), ship(&service.db, house.log(), &stop), ship(&service.db, Lossy::new(&house, How::Refuses), &stop)];
        write(&service.db, groups).await;
        assert_whole(&house, groups).await;
        stop.cancel();
        for task in tasks {
            task.await.unwrap();
        }
        house.end().await;
        service.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_stops_between_append_and_delete_costs_nothing() {
    both(crate::MIGRATIONS, async |case| {
        let (house, service, stop) = (House::on(case), service_beside(case).await, CancellationToken::new());
        let groups = [group(), group(), group()];
        let hanging = Lossy::new(&house, How::Hangs);
        let first = ship(&service.db, hanging.clone(), &stop);
        let writing = {
            let db = service.db.clone();
            tokio::spawn(async move { write(&db, groups).await })
        };
        while hanging.calls.load(Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        service.clock.advance(Duration::from_secs(10)); // its lease ends
        let second = ship(&service.db, house.log(), &stop);
        writing.await.unwrap();
        assert_whole(&house, groups).await;
        stop.cancel();
        second.await.unwrap();
        house.end().await;
        service.end().await;
    })
    .await;
}
