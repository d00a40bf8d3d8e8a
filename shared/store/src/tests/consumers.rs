//! Every entry has its effect once, whoever reads it.

use super::fixture::{MIGRATIONS, group, notes, put};
use crate::{
    Consumer, Result, Tx,
    consumer::{Batch, Effect, Source},
    testing::both,
};
use contract::{Refusal, id::GroupId, internal::v1::Entry};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// A log of 300 entries with holes up to 40; every fifth question fails.
#[derive(Clone, Default)]
struct Log(Arc<AtomicUsize>);

impl Source for Log {
    async fn read(&self, after: i64, floor: i64) -> Result<Batch, Status> {
        assert_eq!(floor, if after == 0 { 0 } else { 40 }, "each replica knows with which floor the cursor began");
        if self.0.fetch_add(1, Ordering::Relaxed) % 5 == 4 {
            return Err(Status::unavailable("try again"));
        }
        if after >= 300 {
            std::future::pending::<()>().await; // no news
        }
        let entries = (after + 1..=(after + 7).min(300)).map(|position| Entry { position, ..Entry::default() }).collect();
        Ok(Batch { entries, floor: 40 + after }) // it moves on, but what counts is how it was at the beginning
    }
}

/// A note for each entry; every fourth batch fails half-way.
struct Notes {
    group: GroupId,
    batches: usize,
}

impl Effect for Notes {
    async fn apply(&mut self, tx: &mut Tx, entries: &[Entry]) -> Result<(), Refusal> {
        for entry in entries {
            put(tx, self.group, &format!("{:03}", entry.position)).await?;
        }
        self.batches += 1;
        if self.batches.is_multiple_of(4) { Err(Refusal::internal("half-way")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn every_entry_has_its_effect_once() {
    both(MIGRATIONS, async |case| {
        let (group, log, second, stop) = (group(), Log::default(), case.again().await, CancellationToken::new());
        let mut replicas = JoinSet::new();
        for db in [&case.db, &second, &case.db] {
            let life = Duration::from_millis(20); // short, so that it changes hands
            let consumer = Consumer::new(db.clone(), "notes", log.clone(), Notes { group, batches: 0 }, life);
            replicas.spawn(consumer.run(stop.clone()));
        }
        timeout(Duration::from_secs(60), async {
            while notes(&case.db, group).await.len() < 300 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("all entries have their effect");
        stop.cancel();
        replicas.join_all().await;
        let expected: Vec<String> = (1..=300).map(|position| format!("{position:03}")).collect();
        assert_eq!(notes(&case.db, group).await, expected);
        second.close().await;
        case.explain_all().await;
    })
    .await;
}
