//! Durable events a second: appended by 64 callers at once, beside one after the other, where each has a commit and a sync of its own.

use crate::{
    house::{House, bytes},
    load,
};
use chassis::upstream::Client;
use contract::{
    id::{self, GroupId},
    identity::v1::ActorKind,
    internal::v1::LogEvent,
};
use prost::Message;
use std::time::Instant;
use store::{Append, LogClient};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Interleaved, of which the quickest counts.
const ROUNDS: usize = 3;
/// As the relay ships them.
const BATCH: usize = 500;
/// Whose events they are.
const GROUPS: usize = 100;

/// Callers at once, each of which makes so many calls with so many events.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    callers: usize,
    calls: usize,
    events: usize,
    limit: &'static str,
}

const WAYS: [Way; 3] = [
    Way { name: "one caller, an event a sync", callers: 1, calls: 500, events: 1, limit: "" },
    Way { name: "64 callers, an event a call", callers: 64, calls: 100, events: 1, limit: "" },
    Way { name: "64 callers, 500 a call, as relays", callers: 64, calls: 2, events: BATCH, limit: "≥ 25" },
];

pub(crate) async fn print() {
    let house = House::open().await;
    let log = LogClient::new(house.client.clone());
    let groups: Vec<GroupId> = (0..GROUPS).map(|_| GroupId::new(house.clock.micros())).collect();
    let mut quickest = [0.0_f64; WAYS.len()];
    for _ in 0..ROUNDS {
        for (rate, way) in quickest.iter_mut().zip(WAYS) {
            *rate = rate.max(per_second(&log, way, &groups, house.clock.micros()).await);
        }
    }
    println!("{:<34} {:>10} {:>8} {:>8}", "durable events, SQLite", "events/s", "ratio", "limit");
    for (rate, way) in quickest.iter().zip(WAYS) {
        println!("{:<34} {rate:>10.0} {:>8.1} {:>8}", way.name, rate / quickest[0], way.limit);
    }
    house.close().await;
}

/// Events that were appended that way, in a second. They are made before.
async fn per_second(log: &LogClient<Client>, way: Way, groups: &[GroupId], micros: i64) -> f64 {
    let batch = || (0..way.events).map(|n| event(groups[n % groups.len()], micros)).collect::<Vec<_>>();
    let callers: Vec<Vec<_>> = (0..way.callers).map(|_| (0..way.calls).map(|_| batch()).collect()).collect();
    let begun = Instant::now();
    let mut appending = JoinSet::new();
    for batches in callers {
        let log = log.clone();
        appending.spawn(async move {
            for batch in batches {
                log.append(batch).await.expect("it is kept");
            }
        });
    }
    appending.join_all().await;
    (way.callers * way.calls * way.events) as f64 / begun.elapsed().as_secs_f64()
}

/// A thing was created, by a key.
fn event(group: GroupId, create_micros: i64) -> LogEvent {
    let (key, thing) = (bytes(Uuid::from_u128(7)), bytes(id::at(create_micros)));
    LogEvent {
        group_id: bytes(*group),
        id: bytes(id::at(create_micros)),
        r#type: "entity_created".to_owned(),
        actor_kind: ActorKind::Key.into(),
        actor_id: key.clone(),
        key_id: key,
        target_kind: "thing".to_owned(),
        target_id: thing,
        revision: 1,
        create_micros,
        call_id: Uuid::new_v4().to_string(),
        metadata: Some(load::properties().encode_to_vec().into()),
        ..LogEvent::default()
    }
}
